// Parameters, checked and typed once by the schema: nothing else reads `params`.

// The typed map of parameters; all faults are told at once.
def checked_params(given, schema_file) {
    def known = schema_properties(schema_file)
    def faults = []
    def own = as_typed(given)
    own.each { name, _value ->
        if (!known.containsKey(name)) {
            faults << unknown(name, known.keySet().toList())
        }
    }
    def typed = known.findAll { name, _rule -> !(name in ['help', 'help_full']) }.collectEntries { name, rule ->
        def value = own.containsKey(name) ? own[name] : rule.default
        [name, typed_value(name, value, rule, faults)]
    }
    if (!typed.input) {
        faults << '--input: missing; give the sample sheet (columns sample, patient, timepoint, path)'
    }
    if (faults) {
        error("The parameters have ${faults.size()} fault${faults.size() == 1 ? '' : 's'}:\n  " + faults.join('\n  '))
    }
    return typed
}

// One entry for each parameter given: of `--min-genes` the engine makes `minGenes`, and some versions keep both.
def as_typed(given) {
    return given.findAll { name, _value -> !(name.contains('-') && given.containsKey(camel_case(name))) }
}

def camel_case(name) {
    return name.replaceAll(/-+(\w)/) { _all, letter -> letter.toUpperCase() }
}

// What is wrong with a name that the schema does not have, as people may have written it, and the nearest ones.
def unknown(name, names) {
    def words = name.replaceAll(/([a-z0-9])([A-Z])/, '$1_$2').replace('-', '_').toLowerCase()
    def written = name == camel_case(words.replace('_', '-')) && words.contains('_') ? "--${name} (or --${words.replace('_', '-')})" : "--${name}"
    def nearest = words in names ? [words] : names.closest(words)
    return "${written}: no such parameter${nearest ? "; did you mean ${nearest.collect { n -> "--${n}" }.join(' or ')}?" : '; --help_full shows all'}"
}

// The groups of the schema, in its order.
def schema_groups(schema_file) {
    return new groovy.json.JsonSlurper().parse(schema_file.toFile())['$defs'].values()
}

// All parameters of the schema with their rules, in its order.
def schema_properties(schema_file) {
    return schema_groups(schema_file).collectMany { group -> group.properties.entrySet() }.collectEntries { entry -> [entry.key, entry.value] }
}

// `value` as the schema's type: from the command line a parameter may arrive as a string.
def typed_value(name, value, rule, faults) {
    if (value == null || value == '') {
        return null
    }
    def text = value.toString()
    def typed = value
    if (rule.type == 'boolean') {
        typed = text == 'true'
        if (!(text in ['true', 'false'])) {
            faults << "--${name} ${text}: must be true or false"
        }
    }
    else if (rule.type == 'integer' || rule.type == 'number') {
        def pattern = rule.type == 'integer' ? /-?\d+/ : /-?\d+(\.\d+)?([eE]-?\d+)?/
        if (!(text ==~ pattern)) {
            faults << "--${name} ${text}: must be a${rule.type == 'integer' ? ' whole' : ''} number"
            return null
        }
        if (text.length() > 18) {
            faults << "--${name} ${text}: has too many digits"
            return null
        }
        typed = rule.type == 'integer' ? text.toLong() : text.toBigDecimal()
        if (rule.minimum != null && typed < rule.minimum) {
            faults << "--${name} ${text}: must be at least ${rule.minimum}"
        }
        if (rule.maximum != null && typed > rule.maximum) {
            faults << "--${name} ${text}: must be at most ${rule.maximum}"
        }
    }
    else {
        typed = text
        if (rule.pattern && !(text ==~ rule.pattern)) {
            faults << "--${name} ${text}: has characters that are not allowed here"
        }
        if (rule.format in ['file-path', 'path'] && rule.exists) {
            faults.addAll(file_faults(text).collect { what -> "--${name} ${text}: ${what}; check the path" })
        }
    }
    if (rule['enum'] && !(typed in rule['enum'])) {
        faults << "--${name} ${text}: must be one of ${rule['enum'].join(', ')}"
    }
    return typed
}

// What is wrong with a path that should be a file's; a pipe would be waited for, a device read without end.
def file_faults(text) {
    try {
        def path = file(text, glob: false)
        return path.isFile() ? [] : [path.isDirectory() ? 'is a folder, not a file' : path.exists() ? 'is no regular file' : 'no such file']
    }
    catch (Exception _unusable) {
        return ['cannot be a path']
    }
}

// What was asked, for the report and to run it again: the parameters, as `-params-file` takes them, and what ran them,
// without what differs between resumed runs. [file, text] of each.
def run_records(opts, flow) {
    def command = flow.commandLine.replaceAll(/\s+-resume(\s+[0-9a-f-]{36})?(?=\s|$)/, '')
    def run = [command: command, version: flow.manifest.version, nextflow: flow.nextflow.version.toString(), profile: flow.profile]
    return [['params.json', opts], ['run.json', run]].collect { name, content ->
        [name, groovy.json.JsonOutput.prettyPrint(groovy.json.JsonOutput.toJson(content)) + '\n']
    }
}
