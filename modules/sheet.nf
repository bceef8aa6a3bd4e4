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

// The file or folder that a cell of the sheet names, relative to the sheet; null where there is none.
def located(sheet, text) {
    if (!text) {
        return null
    }
    try {
        def path = text.startsWith('/') || text.contains('://') ? file(text, glob: false) : sheet.parent.resolve(text)
        return path.exists() ? path : null
    }
    catch (Exception _no_path) {
        // a control character, or a scheme that the engine does not know
        return null
    }
}

// All distinct files that the sheet names: [text in the sheet, file], in the sheet's order.
def sheet_files(sheet) {
    def texts = sheet_rows(sheet).collectMany { row -> [row.path, row.raw_path] }.findAll { text -> text }.unique()
    return texts.collect { text -> [text, located(sheet, text)] }
}

// The same as a table for CHECK_INPUTS: where each file will be staged, empty where there is none.
def staging_table(files) {
    def found = files.findAll { _text, path -> path }
    def rows = files.collect { text, path ->
        def place = path ? "matrices/${found.indexOf([text, path]) + 1}/${path.name}" : ''
        [text, place].collect { cell -> '"' + cell.replace('"', '""') + '"' }.join(',')
    }
    return (['value_in_sheet,staged_path'] + rows).join('\n') + '\n'
}
