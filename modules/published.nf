// What a run gives its user appears in --outdir all at once, when the run has succeeded: until then it gathers in
// --outdir/cartox_unfinished, so that no report or table of a failed run looks like a result, and an earlier run's results
// stay whole.

include { complete_crate ; files_below } from './crate'

// Publishes a run's results where it succeeded, and tells its user what to look at, or what to do next. What is wrong
// where they could not be published, or nothing: the engine heeds an error of the entry workflow alone.
def finish(flow, outdir, unfinished) {
    def fault = flow.success ? publish_all(flow, outdir, unfinished) : null
    if (!fault) {
        println(farewell(flow, outdir, unfinished))
    }
    return fault
}

// Puts the files of `unfinished` in their places. What is wrong where that cannot be done, or nothing.
def publish_all(flow, outdir, unfinished) {
    try {
        complete_crate(flow, unfinished)
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
    def before = (record.exists() ? record.readLines() : []).findAll { name -> name &&
        outdir.resolve(name).normalize().startsWith(outdir.normalize())
    }
    // the page that people read, which waits under another name, goes last: once it is there, all is
    def files = files_below(unfinished).sort { path -> path.toString() }.sort { path -> path.name.endsWith('.part') }
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

// The last words of a run, for its user.
def farewell(flow, outdir, unfinished) {
    if (flow.success) {
        def summary = outdir.resolve('run/summary.txt')
        return "\n${summary.exists() ? summary.text : ''}" +
            "Read ${outdir}/report.html; what the other files are: docs/output.md\n" +
            "cartox: done in ${flow.duration}"
    }
    def next = full_disk(flow.workDir, '-work-dir') ?: full_disk(outdir, '--outdir') ?: advice(flow.exitStatus)
    def made = unfinished.exists() && files_below(unfinished).any { path -> path.parent != unfinished.resolve('run') }
    return "cartox: the run stopped; ${outdir} has none of its results. Mend the fault told here, then run the same command\n" +
        "with -resume: what was finished is reused.${made ? " Tables made so far are in ${unfinished}." : ''}${next}"
}

// What to do where the disk of a folder is full, for a step has no room there for its own last words; nothing where it is not.
def full_disk(folder, flag) {
    def local = folder.toUri().scheme == 'file' && folder.exists()
    // under a megabyte, as the steps themselves judge it
    def full = local && java.nio.file.Files.getFileStore(folder).usableSpace < 1_000_000
    return full ? "\nThere is no space left on the disk of ${folder}: free some, or choose another folder (${flag})." : ''
}

// What to do about a task that ended with this status; nothing where its own words say it.
def advice(status) {
    if (status == 127) {
        return '\nA program was not found: run `make setup` once, or choose an engine of containers (-profile docker).'
    }
    if (status in (130..145) + [104, 175, Integer.MAX_VALUE]) {
        return '\nA task was killed, most often for memory, each time it was tried: free memory, raise --max_memory if it is below what the\n' +
            'machine has, or give the step more (docs/hpc-and-cloud.md).'
    }
    return status ? '\nAll that the step said is in .command.log of its work dir, named above.' : ''
}
