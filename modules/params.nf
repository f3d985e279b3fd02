// What nextflow_schema.json says of the params: the help text, and a check that lists every mistake at once.

def schemaParams() {
    def schema = new groovy.json.JsonSlurper().parse(file("${projectDir}/nextflow_schema.json").toFile())
    return schema['$defs'].collectMany { _key, group ->
        group.properties.collect { name, rule -> rule + [name: name, group: group.title, required: name in (group.required ?: [])] }
    }
}

// The --help text: one line a param, in the schema's groups and order.
def helpText() {
    def text = schemaParams().groupBy { rule -> rule.group }.collect { title, rules ->
        def lines = rules.collect { rule ->
            def choices = rule['enum'] ? " (${rule['enum'].join(', ')})" : ''
            def standard = rule['default'] != null ? " [${rule['default']}]" : ''
            "  --${rule.name.padRight(20)} ${rule.description}${choices}${standard}"
        }
        "${title}\n${lines.join('\n')}"
    }
    return "nextflow run . --gtf GTF --fasta FASTA [options]\n\n${text.join('\n\n')}\n"
}

// Stops the run with all mistakes in the given params.
def checkParams(given) {
    def rules = schemaParams().collectEntries { rule -> [rule.name, rule] }
    def kebab = given.keySet().findAll { name -> name.contains('-') }
    // Nextflow adds a camelCase twin of every kebab-case param; name only what the user typed
    def twins = kebab.collect { name -> name.replaceAll('-([a-z])') { hit -> hit[1].toUpperCase() } }
    def unknown = given.keySet().findAll { name -> !(name in rules.keySet()) && !(name in twins) }
    def mistakes = unknown.collect { name ->
        def near = name.replace('-', '_').toLowerCase()
        "--${name} is not a param" + (near in rules.keySet() ? "; did you mean --${near}?" : '')
    }
    mistakes += rules.values().collectMany { rule -> mistakesOf(rule, given[rule.name], given) }
    if (mistakes) {
        error("${mistakes.size()} wrong param${mistakes.size() > 1 ? 's' : ''}:\n  ${mistakes.join('\n  ')}\nSee nextflow run . --help")
    }
}

// A param that is missing though a choice among others needs it, e.g. "neededBy": {"embedders": "sei"}.
def neededBy(rule, given) {
    def needing = (rule.neededBy ?: [:]).findAll { name, choice -> choice in (given[name] ?: '').toString().tokenize(',') }
    return needing.collect { name, choice -> "--${rule.name} is required with --${name} ${choice}: ${rule.description}" }
}

def mistakesOf(rule, value, given) {
    if (value == null || value == '') {
        return rule.required ? ["--${rule.name} is required: ${rule.description}"] : neededBy(rule, given)
    }
    if (value == true && rule.type != 'boolean') {
        return ["--${rule.name} needs a value"]
    }
    def text = value.toString()
    def found = []
    if (rule.type == 'integer' && !(text ==~ /-?\d+/)) {
        found << "--${rule.name} is '${text}', not a whole number"
    }
    else if (rule.type == 'number' && !text.isNumber()) {
        found << "--${rule.name} is '${text}', not a number"
    }
    else if (rule.type in ['integer', 'number']) {
        if (rule.minimum != null && text.toBigDecimal() < rule.minimum) {
            found << "--${rule.name} is ${text}, less than ${rule.minimum}"
        }
        if (rule.maximum != null && text.toBigDecimal() > rule.maximum) {
            found << "--${rule.name} is ${text}, more than ${rule.maximum}"
        }
    }
    if (rule['enum'] && !(text in rule['enum']*.toString())) {
        found << "--${rule.name} is '${text}', not one of ${rule['enum'].join(', ')}"
    }
    if (rule.pattern && !(text ==~ rule.pattern)) {
        found << "--${rule.name} is '${text}': ${rule.errorMessage}"
    }
    if (rule.format == 'file-path') {
        found += text.tokenize(',').findAll { path -> !file(path).exists() }.collect { path -> "--${rule.name}: no such file: ${path}" }
    }
    return found
}
