// A run that was moved to another folder, with its work folder: the engine looks for finished tasks where they were,
// so while the run is on, a link stands in the old place.

// Makes the links that a resumed run needs and notes where it works now. The links made.
def link_old_work_folders(flow) {
    def work = flow.workDir
    if (work.scheme != 'file') {
        return []
    }
    def record = flow.launchDir.resolve('.nextflow/work_folders')
    def known = record.exists() ? record.readLines() : []
    if (!(work.toString() in known)) {
        record.parent.mkdirs()
        record.text = (known + [work.toString()]).join('\n') + '\n'
    }
    def moved = known.collect { name -> file(name, glob: false) }.findAll { old -> flow.resume && old != work && (!old.exists() || is_link(old)) }
    return moved.findAll { old -> is_link(old) || linked(old, work) }
}

def is_link(path) {
    return java.nio.file.Files.isSymbolicLink(path)
}

// Whether the link could be made; where not, the tasks run again.
def linked(old, work) {
    try {
        java.nio.file.Files.createDirectories(old.parent)
        java.nio.file.Files.createSymbolicLink(old, work)
        return true
    }
    catch (IOException _denied) {
        log.warn("This run was moved, and no link can be made at ${old} for the time of the run: what was finished runs again")
        return false
    }
}

// Takes the links away again, with the folders that were made for them.
def unlink(links) {
    links.each { link ->
        java.nio.file.Files.deleteIfExists(link)
        remove_empty(link.parent)
    }
}

def remove_empty(folder) {
    if (folder && folder.isDirectory() && !folder.list()) {
        folder.delete()
        remove_empty(folder.parent)
    }
}
