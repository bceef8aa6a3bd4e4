// What a run gives its user appears in --outdir all at once, when the run has succeeded: until then it gathers in
// --outdir/cartox_unfinished, so that no report or table of a failed run looks like a result, and an earlier run's results
// stay whole.

// Puts the files of `unfinished` in their places. What is wrong where that cannot be done, or nothing.
def publish_all(outdir, unfinished) {
    try {
        put_in_place(outdir, unfinished)
        return null
    }
    catch (IOException fault) {
        return "The results could not be put into ${outdir} (${fault.message}); make room for them there and run again with -resume"
    }
}

// Takes away, too, what an earlier run published and this one did not.
def put_in_place(outdir, unfinished) {
    def record = outdir.resolve('run/published.txt')
    // nothing beside --outdir is touched, whatever a record that came with a folder says
    def before = (record.exists() ? record.readLines() : []).findAll { name ->
        outdir.resolve(name).normalize().startsWith(outdir.normalize())
    }
    // the page that people read, which waits under another name, goes last: once it is there, all is
    def files = files_under(unfinished).sort { path -> path.toString() }.sort { path -> path.name.endsWith('.part') }
    def now = files.collect { path ->
        def name = unfinished.relativize(path).toString() - '.part'
        outdir.resolve(name).parent.mkdirs()
        java.nio.file.Files.move(path, outdir.resolve(name), java.nio.file.StandardCopyOption.REPLACE_EXISTING)
        name
    }
    (before - now).each { name -> java.nio.file.Files.deleteIfExists(outdir.resolve(name)) }
    record.text = now.sort().join('\n') + '\n'
    unfinished.deleteDir()
}

def files_under(folder) {
    return (folder.listFiles() ?: []).collectMany { path -> path.isDirectory() ? files_under(path) : [path] }
}

// The last words of a run, for its user.
def farewell(flow, outdir) {
    if (flow.success) {
        return "cartox: done in ${flow.duration}; open ${outdir}/report.html"
    }
    return "cartox: the run stopped; ${outdir} has none of its results. Mend the fault told here, then run the same command\n" +
        "with -resume: what was finished is reused. Tables made so far, if any, are in ${outdir}/cartox_unfinished."
}
