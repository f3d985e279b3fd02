// What nextflow_schema.json says of the params: the help text, and a check that lists every mistake at once.

def schemaParams() {
    def schema = new groovy.json.JsonSlurper().parse(file("${projectDir}/nextflow_schema.json", glob: false).toFile())
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

// The params as their types in the schema say, whichever way they came: --outdir 2024 and --condition 1 come as numbers,
// lists of a params-file as lists, and, from other versions of Nextflow, true and false as text.
def plainParams(given) {
    def rules = schemaParams().collectEntries { rule -> [rule.name, rule] }
    return given.collectEntries { name, value -> [name, rules[name] ? plainValue(rules[name], value) : value] }
}

def plainValue(rule, value) {
    if (rule.type == 'boolean') {
        return [true: true, false: false].getOrDefault(value.toString(), value)
    }
    if (rule.commaList && value instanceof Collection) {
        return value.join(',')
    }
    // true is a param without a value
    return rule.type == 'string' && (value instanceof Number || value == false) ? value.toString() : value
}

// Stops the run with all mistakes in the given params.
def checkParams(given, also_required = [:], typed = given) {
    def mistakes = mistakesIn(given, also_required, typed)
    if (mistakes) {
        refuse("${mistakes.size()} wrong param${mistakes.size() > 1 ? 's' : ''}:\n  ${mistakes.join('\n  ')}\nSee nextflow run . --help")
    }
}

// All mistakes in the given params, each a sentence that starts with the param's name. A script that is no plain study may
// require more of them, each with a reason, and set some that the user has not typed.
def mistakesIn(given, also_required = [:], typed = given) {
    def rules = schemaParams().collectEntries { rule ->
        def reason = also_required[rule.name] ? [required: true, description: "${rule.description} (${also_required[rule.name]})"] : [:]
        // nobody is told that what they have not typed has no effect
        def needs = given[rule.name] == typed[rule.name] ? rule.needs : [:]
        [rule.name, rule + reason + [needs: needs]]
    }
    def kebab = given.keySet().findAll { name -> name.contains('-') }
    // Nextflow adds a camelCase twin of every kebab-case param; name only what the user typed
    def twins = kebab.collect { name -> name.replaceAll('-([a-z])') { hit -> hit[1].toUpperCase() } }
    def unknown = given.keySet().findAll { name -> !(name in rules.keySet()) && !(name in twins) }
    def mistakes = unknown.collect { name ->
        def meant = closest(name.replace('-', '_').toLowerCase(), rules.keySet())
        "--${name} is not a param" + (meant ? "; did you mean --${meant}?" : '')
    }
    return mistakes + rules.values().collectMany { rule -> mistakesOf(rule, given[rule.name], given) }
}

// The params that no mistake is about; of several files, those that are there.
def withoutMistakes(given, mistakes) {
    def wrong = mistakes.groupBy { mistake -> (mistake =~ /^--([\w-]+)/)[0][1] }
    def absent = wrong.findAll { _name, about -> about.every { mistake -> mistake.contains(': no such file: ') } }.keySet()
    def there = given.subMap(['ir_calls', 'marks'].intersect(absent)).collectEntries { name, paths ->
        [name, paths.tokenize(',').findAll { path -> file(path, glob: false).exists() }.join(',')]
    }
    return given.findAll { name, _value -> !(name in wrong) } + there
}

// Ends a run that has not begun, and leaves nothing of it: an error would let Nextflow write its reports, and -resume would
// later resume this run, of which nothing is cached, not the one before it.
def refuse(text) {
    System.err.println("\n${text}\n")
    def trace = nextflow.Global.session.config.trace
    if (trace?.enabled) {
        def opened = file(trace.file, glob: false)
        [opened, opened.parent, opened.parent.parent].each { path -> path.toFile().delete() }
    }
    forgetRun()
    System.exit(1)
}

// Takes this run out of Nextflow's history, so that -resume goes on from the one before it.
def forgetRun() {
    def history = nextflow.util.HistoryFile.getDEFAULT()
    if (history.getLast()?.runName == workflow.runName) {
        history.deleteEntry(history.getLast())
    }
}

def mistakesOf(rule, value, given) {
    if (value == null || value == '') {
        return missing(rule, value, given)
    }
    if (value == true && rule.type != 'boolean') {
        return ["--${rule.name} needs a value"]
    }
    if (value instanceof Collection || value instanceof Map) {
        return ["--${rule.name} is ${value}; it takes one value"]
    }
    if (rule.type == 'boolean' && !(value in [true, false])) {
        return ["--${rule.name} is '${value}', not true or false"]
    }
    def text = value.toString()
    def items = rule.commaList ? text.tokenize(',') : [text]
    return wrongNumber(rule, text) + wrongText(rule, text) + wrongItems(rule, items, given) + wrongBeside(rule, text, items, given)
}

def missing(rule, value, given) {
    if (rule.required) {
        return ["--${rule.name} is required: ${rule.description}"]
    }
    if (value == '' && rule['default'] != null) {
        return ["--${rule.name} is empty; leave it out for ${rule['default']}"]
    }
    // a choice among other params may need it, e.g. "neededBy": {"embedders": "sei"}
    def needing = (rule.neededBy ?: [:]).findAll { name, choice -> isChosen(name, choice, given) }
    return needing.collect { name, choice -> "--${rule.name} is required with ${shown(name, choice)}: ${rule.description}" }
}

def wrongNumber(rule, text) {
    if (!(rule.type in ['integer', 'number'])) {
        return []
    }
    if (rule.type == 'integer' && !(text ==~ /-?\d+/)) {
        return ["--${rule.name} is '${text}', not a whole number"]
    }
    if (!text.isNumber()) {
        return ["--${rule.name} is '${text}', not a number"]
    }
    if (rule.minimum != null && text.toBigDecimal() < rule.minimum) {
        return ["--${rule.name} is ${text}, less than ${rule.minimum}"]
    }
    if (rule.maximum != null && text.toBigDecimal() > rule.maximum) {
        return ["--${rule.name} is ${text}, more than ${rule.maximum}"]
    }
    return []
}

def wrongText(rule, text) {
    if (rule['enum'] && !(text in rule['enum']*.toString())) {
        return ["--${rule.name} is '${text}', not one of ${rule['enum'].join(', ')}${meaning(text, rule['enum'])}"]
    }
    if (rule.pattern && !(text ==~ rule.pattern)) {
        return ["--${rule.name} is '${text}': ${rule.errorMessage}"]
    }
    return []
}

def wrongItems(rule, items, given) {
    def found = repeated(items).collect { item -> "--${rule.name} names ${item} twice" }
    if (rule.choices) {
        // a table of the user may have more, e.g. "columnsOf": "covariates"
        def choices = rule.choices + columnsOf(rule.columnsOf ? given[rule.columnsOf] : null)
        found += (items - choices).unique().collect { item ->
            "--${rule.name} names ${item}, which is none of ${choices.join(', ')}${meaning(item, choices)}"
        }
    }
    if (rule.format == 'file-path') {
        def absent = items.findAll { path -> !file(path, glob: false).exists() }
        found += absent.collect { path -> "--${rule.name}: no such file: ${path}" }
        found += items.collectMany { path -> unsafe(rule.name, file(path, glob: false).toUriString()) }
    }
    if (rule.uniqueNames) {
        def names = items.unique(false).collect { path -> path.tokenize('/').last() }
        found += repeated(names).collect { name ->
            "--${rule.name}: two files are called ${name}, which is what the results call them; rename one"
        }
    }
    return found
}

// The columns of a table of the user, plain or gzip; none without it.
def columnsOf(path) {
    def table = path ? file(path, glob: false) : null
    return table?.isFile() ? table.withReader('UTF-8') { lines -> lines.readLine() ?: '' }.tokenize('\t') : []
}

// A path stands in the commands of tasks, where the shell would read some characters as its own.
def unsafe(name, path) {
    def odd = path.toList().unique().findAll { letter -> !(letter ==~ /[\p{L}\p{M}\p{N} _.,:@%+=~^()\[\]'#\/-]/) }
    return odd ? ["--${name}: rename it, or give a link of another name; a shell could read ${odd.collect { letter ->
        letter ==~ /\p{C}|\p{Z}/ ? String.format('U+%04X', letter.codePointAt(0)) : letter
    }.join(' ')} as a command: ${path}"] : []
}

// What does not go with the other params: "needs" and "excludes" name a param and its choice, one of
// several choices, or any.
def wrongBeside(rule, text, items, given) {
    def needed = text == rule['default'].toString() ? [:] : (rule.needs ?: [:])
    def lacking = needed.findAll { name, choice -> !isChosen(name, choice, given) }
    def clashing = items.collectMany { item ->
        def excluded = (rule.excludes?.get(item) ?: [:]) + (rule.excludes?.any ?: [:])
        def others = excluded.findAll { name, choice -> isChosen(name, choice, given) }
        others.collect { name, choice -> "--${rule.name} ${item} does not go with ${shown(name, choice)}" }
    }
    return lacking.collect { name, choice -> "--${rule.name} has no effect without ${shown(name, choice)}" } + clashing
}

def isChosen(name, choice, given) {
    def items = (given[name] ?: '').toString().tokenize(',')
    return choice == 'any' ? !items.isEmpty() : [choice].flatten().any { word -> word in items }
}

def shown(name, choice) {
    return choice == 'any' ? "--${name}" : "--${name} ${[choice].flatten().join(' or ')}"
}

// "; did you mean plants?", where a choice is close.
def meaning(word, choices) {
    def meant = closest(word, choices*.toString())
    return meant ? "; did you mean ${meant}?" : ''
}

// The option that takes the fewest changes of a letter, if those are at most a third of the word.
def closest(word, options) {
    def option = options.min { option -> changes(word, option) }
    return option && changes(word, option) <= Math.max(1, word.size().intdiv(3)) ? option : null
}

// Levenshtein's distance, row by row.
def changes(word, option) {
    return word.toList().inject((0..option.size()).toList()) { above, letter ->
        option.toList().withIndex().inject([above[0] + 1]) { row, pair ->
            def (other, index) = pair
            row + [[row[-1] + 1, above[index + 1] + 1, above[index] + (letter == other ? 0 : 1)].min()]
        }
    }.last()
}

def repeated(items) {
    return items.countBy { item -> item }.findAll { _item, times -> times > 1 }.keySet()
}
