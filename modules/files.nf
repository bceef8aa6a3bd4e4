// What parameters name, as files to stage. CHECK_INPUTS tells what is not there.

// All files of a channel as one list, by name: order of arrival changes no hash and no result.
def gathered(files) {
    return files.toSortedList { a, b -> a.name <=> b.name }
}

def optional(path) {
    return path ? file(path, glob: false) : []
}

def asset(name) {
    return file("${projectDir}/assets/${name}")
}

// The table of another species' genes, or nothing for human.
def orthologues_of(organism) {
    return organism == 'human' ? [] : asset("orthologues/${organism}.tsv.gz")
}

def marker_table(given) {
    return given ? file(given, glob: false) : asset('markers/blood_cart.tsv')
}

// The files of the gene sets asked for: those that ship with cartox by name, others by path.
def gene_set_files(names) {
    return names.tokenize(',').collect { name ->
        def shipped = name.trim() ==~ /[a-z]+/ ? files("${projectDir}/assets/gene_sets/${name.trim()}*.{gmt,tsv,tsv.gz}") : []
        shipped ? shipped[0] : file(name.trim(), glob: false)
    }.findAll { path -> path.isFile() }.unique()
}

// The user's table of ligand-receptor pairs, or nothing where a resource of liana's is named.
def given_pairs(name) {
    def path = name ==~ /.*[.\/].*/ ? file(name, glob: false) : null
    return path && path.isFile() ? path : []
}
