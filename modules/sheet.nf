// What has to be staged for the sample sheet. CHECK_INPUTS judges the sheet; nothing is judged here, and
// a sheet that cannot be read names no file.

// Rows as maps of column to text; none where the sheet cannot be read.
def sheet_rows(sheet) {
    try {
        // a larger one is not the sheet, and CHECK_INPUTS says so
        if (sheet.size() > 50_000_000) {
            return []
        }
        def lines = csv_lines(sheet.getText('UTF-8').replace('\uFEFF', ''))
        return lines ? lines.tail().collect { cells -> [lines[0], cells].transpose().collectEntries { pair -> pair } } : []
    }
    catch (Exception _unreadable) {
        return []
    }
}

// Lines of cells, as CHECK_INPUTS reads them: the engine's splitCsv knows neither a quote within quotes nor a line
// end there, and then no file of the sheet would be found.
def csv_lines(text) {
    def lines = [[]]
    (text =~ /(?:"((?:[^"]++|"")*+)"|([^,\r\n]*))(,|\r\n?|\n|\z)/).each { _all, quoted, plain, end ->
        lines[-1] << (quoted == null ? plain : quoted.replace('""', '"')).trim()
        if (end != ',') {
            lines << []
        }
    }
    return lines.findAll { cells -> cells.any { cell -> cell } }
}

// The file or folder that a cell of the sheet names, relative to the sheet; of a folder that a program of counts
// wrote, the matrix in it, so that no task is given what lies beside that. Null where there is none.
// column: path or raw_path.
def located(sheet, text, column) {
    if (!text) {
        return null
    }
    try {
        def path = text.startsWith('/') || text.contains('://') ? file(text, glob: false) : sheet.parent.resolve(text)
        return path.isDirectory() ? matrix_within(path, column) : path.exists() ? path : null
    }
    catch (Exception _no_path) {
        // a control character, or a scheme that the engine does not know
        return null
    }
}

// As bin/cartox/matrices/layouts.py does it, for scripts: the folder itself where there is no matrix in it, or of several samples.
def matrix_within(folder, column) {
    def layouts = new groovy.json.JsonSlurper().parse(file("${moduleDir}/../assets/layouts.json").toFile())
    if (folder.listFiles().any { path -> path.name.contains('.mtx') }) {
        return folder
    }
    def bases = layouts.prefixes.collect { prefix -> prefix ? folder.resolve(prefix) : folder }
    def samples = bases.collect { base ->
        def pool = base.resolve('per_sample_outs')
        pool.isDirectory() ? pool.listFiles().findAll { path -> path.isDirectory() } : []
    }
    def joined = bases.findIndexOf { base -> base.resolve('aggregation.csv').exists() }
    def pooled = samples.findIndexOf { found -> found.size() > 1 }
    def places = [bases, samples].transpose().collectMany { base, found -> found + [base] }
    def matrix = places.collectMany { base -> layouts[column].collect { name -> base.resolve(name) } }.find { path -> path.exists() }
    return joined < 0 && pooled < 0 && matrix ? matrix : folder
}

// All distinct files that the sheet names: [column, text in the sheet, file], in the sheet's order.
def sheet_files(sheet) {
    def cells = sheet_rows(sheet).collectMany { row -> [['path', row.path], ['raw_path', row.raw_path]] }
    return cells.findAll { _column, text -> text }.unique().collect { column, text -> [column, text, located(sheet, text, column)] }
}

// Files to stage, each once.
def found(files) {
    return files.findResults { _column, _text, path -> path }.unique()
}

// The same as a table for CHECK_INPUTS: where each file will be staged, empty where there is none.
def staging_table(files) {
    def places = found(files)
    def rows = files.collect { column, text, path ->
        def place = path ? "matrices/${places.indexOf(path) + 1}/${path.name}" : ''
        [column, text, place].collect { cell -> '"' + cell.replace('"', '""') + '"' }.join(',')
    }
    return (['column,value_in_sheet,staged_path'] + rows).join('\n') + '\n'
}
