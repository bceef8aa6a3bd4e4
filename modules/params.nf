// Parameters, checked and typed once by the schema: nothing else reads `params`.

// The typed map of parameters; all faults are told at once.
def checked_params(given, schema_file) {
    def known = schema_properties(schema_file)
    def faults = []
    def own = given.findAll { name, _value -> !name.contains('-') }
    own.each { name, _value ->
        if (!known.containsKey(name)) {
            def nearest = known.keySet().toList().closest(name)
            faults << "--${name}: no such parameter${nearest ? "; did you mean ${nearest.collect { n -> "--${n}" }.join(' or ')}?" : ''}"
        }
    }
    def typed = known.collectEntries { name, rule ->
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

// All parameters of the schema with their rules, in its order.
def schema_properties(schema_file) {
    def schema = new groovy.json.JsonSlurper().parse(schema_file.toFile())
    return schema['$defs'].values().collectMany { group -> group.properties.entrySet() }.collectEntries { entry -> [entry.key, entry.value] }
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

// Help from the schema, by group.
def help_text(schema_file) {
    def schema = new groovy.json.JsonSlurper().parse(schema_file.toFile())
    def groups = schema['$defs'].values().collect { group ->
        def lines = group.properties.findAll { _name, rule -> !rule.hidden }.collect { name, rule ->
            def value = rule.default == null ? '' : " [${rule.default}]"
            "  --${name.padRight(20)} ${rule.description}${value}"
        }
        "${group.title}\n${lines.join('\n')}"
    }
    return "cartox: ${schema.description}\n\n  nextflow run . --input samples.csv --outdir results\n\n${groups.join('\n\n')}\n"
}

// What was asked, for the report: parameters, command and version, without what differs between resumed runs.
def run_record(opts, flow, version) {
    def command = flow.commandLine.replaceAll(/\s+-resume(\s+[0-9a-f-]{36})?(?=\s|$)/, '')
    return groovy.json.JsonOutput.prettyPrint(groovy.json.JsonOutput.toJson([command: command, version: version] + opts)) + '\n'
}
