// Help from the schema: `--help` what most runs need, `--help_full` all, `--help NAME` one parameter.

include { schema_groups } from './params'

// The text that is asked for, or nothing.
def help_asked(given, schema_file, version) {
    def groups = schema_groups(schema_file)
    def help = given.help.toString()
    if (!(help in ['false', 'true', 'null', ''])) {
        return one_parameter(groups, help)
    }
    def full = given.help_full.toString() == 'true'
    if (!full && help != 'true') {
        return null
    }
    def known = groups.collectMany { group -> group.properties.values() }
    def shown = known.findAll { rule -> full || !rule.hidden }
    def parts = groups.collect { group -> group_text(group, full) }.findAll { text -> text }
    def more = full ? '' : "${shown.size()} of ${known.size()} parameters; --help_full shows all with bounds, --help NAME one of them.\n"
    return "cartox ${version}\n\n  nextflow run . --input samples.csv --outdir results\n\n" +
        "Parameters have two dashes and underscores (--min_genes). One dash is Nextflow's own (-resume, -profile).\n\n" +
        "${parts.join('\n\n')}\n\n${more}docs/usage.md says how to use them, docs/parameters.md has them as tables."
}

def group_text(group, full) {
    def rules = group.properties.findAll { _name, rule -> full || !rule.hidden }
    def lines = rules.collect { name, rule -> line(name, rule, full) }
    return lines ? "${group.title}${full ? ": ${group.description}" : ''}\n${lines.join('\n')}" : ''
}

def line(name, rule, full) {
    def allowed = full ? bounds(rule) : rule['enum'] ? rule['enum'].join(', ') : ''
    def notes = [allowed ? " (${allowed})" : '', rule.default == null ? '' : " [${rule.default}]"].join('')
    return "  --${name.padRight(19)} ${rule.description}${notes}"
}

// What a value may be, in words.
def bounds(rule) {
    def kind = [integer: 'whole number', number: 'number', boolean: 'true or false'][rule.type.toString()] ?: rule.format ==~ /.*path/ ? 'path' : ''
    def limits = [rule.minimum == null ? '' : "at least ${rule.minimum}", rule.maximum == null ? '' : "at most ${rule.maximum}"]
    return ([rule['enum'] ? "one of ${rule['enum'].join(', ')}" : kind] + limits).findAll { text -> text }.join(', ')
}

def one_parameter(groups, asked) {
    def name = asked.replaceFirst(/^-+/, '')
    def group = groups.find { candidate -> candidate.properties.containsKey(name) }
    if (!group) {
        return "No parameter --${name}; --help_full shows all."
    }
    def rule = group.properties[name]
    return [line(name, rule, true), rule.help_text, "In the group ${group.title}."].findAll { text -> text }.join('\n  ')
}
