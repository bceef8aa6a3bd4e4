// What a task asks for, from the size of what it reads.

// Memory: `base` GB for the libraries and `times` the bytes of the inputs, twice as much at each further attempt.
// The factors are from measured peaks (docs/hpc-and-cloud.md); a user's `withName` or --max_memory goes before them.
def memory_for(inputs, base, times, attempt) {
    def bytes = [inputs].flatten().sum { input -> bytes_of(input) } ?: 0
    def megabytes = Math.ceil((base * 1024 + times * bytes / (1024 * 1024)) * 2 ** (attempt - 1))
    return "${megabytes as long} MB"
}

// Size of a file, or of those of a folder that may be a matrix's. (What a task is given of a folder cannot be listed;
// where it is can.) alevin-fry keeps its matrix a folder further down, beside much larger files of another kind.
def bytes_of(path) {
    if (!path.isDirectory()) {
        return path.size()
    }
    def folder = path.toRealPath()
    def files = [folder, folder.resolve('alevin')].findAll { place -> place.isDirectory() }.collectMany { place -> place.listFiles() as List }
    return files.findAll { file -> file.isFile() && file.name ==~ /.*\.(mtx|tsv|csv|txt)(\.gz)?/ }.sum { file -> file.size() } ?: 0
}
