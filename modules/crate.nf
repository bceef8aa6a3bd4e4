// The record of a run as an RO-Crate: REPORT describes inputs, parameters and software; what was published is known
// here alone.

// Adds the files that are about to be published, with size and checksum, and when the run was.
def complete_crate(flow, unfinished) {
    def record = unfinished.resolve('ro-crate-metadata.json')
    def crate = record.exists() ? new groovy.json.JsonSlurper().parse(record.toFile()) : ['@graph': []]
    def root = crate['@graph'].find { entity -> entity['@id'] == './' }
    def action = crate['@graph'].find { entity -> entity['@type'] == 'CreateAction' }
    if (!root || !action) {
        return
    }
    file("${flow.projectDir}/main.nf").copyTo(unfinished.resolve('run/main.nf'))
    def published = files_below(unfinished).findAll { path -> path != record }.collectEntries { path ->
        [relative_uri(unfinished, path), path]
    }.sort()
    def described = crate['@graph'].collectEntries { entity -> [entity['@id'], entity] }
    published.each { id, path ->
        def entity = described[id] ?: ['@id': id, '@type': 'File', name: path.name.replaceFirst(/\.part$/, '')]
        entity.putAll(facts(path))
        if (!described.containsKey(id)) {
            crate['@graph'] << entity
        }
    }
    def parts = [root.hasPart ?: []].flatten()
    root.hasPart = parts + published.keySet().collect { id -> ['@id': id] }.findAll { part -> !(part in parts) }
    action.result = published.keySet().findAll { id -> id != 'run/main.nf' }.collect { id -> ['@id': id] }
    action.startTime = to_the_second(flow.start)
    action.endTime = to_the_second(flow.complete)
    root.datePublished = action.endTime
    record.text = groovy.json.JsonOutput.prettyPrint(groovy.json.JsonOutput.toJson(crate)) + '\n'
}

// ISO 8601, as validators read it. A full minute has its seconds too, which toString would leave out.
def to_the_second(time) {
    return java.time.format.DateTimeFormatter.ISO_OFFSET_DATE_TIME.format(time.truncatedTo(java.time.temporal.ChronoUnit.SECONDS))
}

// Its place as the crate names it; what waits under another name has its own there.
def relative_uri(folder, path) {
    return new URI(null, null, folder.relativize(path).toString().replaceFirst(/\.part$/, ''), null).rawPath
}

def facts(path) {
    def types = [csv: 'text/csv', gz: 'application/gzip', html: 'text/html', json: 'application/json', md: 'text/markdown', txt: 'text/plain',
        parquet: 'application/vnd.apache.parquet', h5ad: 'application/x-hdf5']
    def type = types[path.name.replaceFirst(/\.part$/, '').tokenize('.').last()]
    return [contentSize: path.size().toString()] + (type ? [encodingFormat: type] : [:]) + (path.scheme == 'file' ? [sha256: sha256(path)] : [:])
}

// Of files on a disk: from a store in the cloud it would be a download of all.
def sha256(path) {
    def digest = java.security.MessageDigest.getInstance('SHA-256')
    path.eachByte(1024 * 1024) { bytes, n -> digest.update(bytes, 0, n) }
    return digest.digest().encodeHex().toString()
}

def files_below(folder) {
    return (folder.listFiles() ?: []).collectMany { path -> path.isDirectory() ? files_below(path) : [path] }
}
