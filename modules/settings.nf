// What the settings of a study mean for its steps.

// The bases that an embedder, or whatever else reads windows, reads: Sei, unless it is to read the window alone, the 4,096 that it was trained on.
def windowOf(embedder, settings) {
    return embedder == 'sei' && settings.sei_context == 'genome' ? 4096 : settings.window as Integer
}

// The models of one embedder's features: every kind, and for Sei every group of its profiles.
def modelsOf(embedder, settings) {
    def groups = embedder == 'sei' ? settings.sei_groups.tokenize(',') : ['all']
    return [settings.models.tokenize(','), groups].combinations().collect { model, group ->
        def name = "${embedder}_${model}" + (group == 'all' ? '' : "_${group}")
        [name: name, embedder: embedder, model: model, groups: group]
    }
}

// How many callers label_introns found in the calls.
def callersIn(counts) {
    return new groovy.json.JsonSlurper().parse(counts.toFile()).callers.size()
}

// What an embedder or network was made with: weights, targets, tokenizer; empty lists for what it does without.
def madeWith(name, settings) {
    def params_of = ['weights', 'targets', 'tokenizer'].collect { kind -> "${name}_${kind}".toString() }
    return params_of.collect { param -> settings.containsKey(param) ? optionalFile(settings[param]) : [] }
}

// The networks to train, each with its weights and tokenizer.
def networksOf(settings) {
    return (settings.networks ?: '').tokenize(',').collect { network ->
        def (weights, _targets, tokenizer) = madeWith(network, settings)
        [network, weights, tokenizer]
    }
}

// Every file that the run reads.
def inputsOf(settings) {
    def single = ['gtf', 'fasta', 'chrom_aliases', 'peaks', 'vcf'].collect { name -> optionalFile(settings[name]) }
    def several = ['ir_calls', 'marks'].collect { name -> filesOf(settings[name]) }
    return (single + several + ['sei', 'dnabert2'].collect { model -> madeWith(model, settings) }).flatten()
}

// What ran the tools, beside the params; nothing that differs when the same run is resumed.
def runBy() {
    return [version: workflow.manifest.version, nextflow: workflow.nextflow.version.toString(), revision: workflow.commitId, profile: workflow.profile]
}

// The files of a list joined by commas; none without it.
def filesOf(paths) {
    return (paths ?: '').tokenize(',').collect { path -> plainFile(path) }
}

// The file, or an empty list, which Nextflow stages as nothing.
def optionalFile(path) {
    return path ? plainFile(path) : []
}

// The file of just this name: * and [1] in it are no pattern.
def plainFile(path) {
    return file(path, glob: false)
}
