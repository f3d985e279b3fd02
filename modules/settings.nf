// What the settings of a study mean for its steps.

// The bases that an embedder, or another reader of windows, reads: Sei, unless it is to read the window alone, the 4,096
// that it was trained on.
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

// The settings that each step reads and no other, so that a change repeats only what it touches.
def optionsOf(settings, step) {
    def read_by = [
        label_introns: [
            'ir_format', 'ir_value', 'ir_base', 'ir_threshold', 'ir_consensus', 'min_splice_sites', 'min_overlap', 'annotation_rule',
            'min_length', 'paper_labels', 'folds', 'condition',
        ],
        fetch_sequences: ['anchor', 'strand', 'shard_size'],
        split_introns: ['split', 'folds', 'homology', 'test_chromosomes', 'valid_chromosomes'],
        match_introns: ['match', 'seed'],
        fit: ['preset', 'calibration', 'shuffle_control', 'bootstrap', 'seed'],
        finetune: ['preset', 'network_epochs', 'bootstrap', 'seed'],
        attribute: ['attribute_method', 'seed'],
        find_motifs: ['tax_group', 'seed'],
        compare: ['bootstrap', 'seed'],
        make_report: ['assembly'],
        check: [
            'ir_format', 'ir_value', 'ir_base', 'ir_threshold', 'embedders', 'window', 'sei_weights', 'sei_targets', 'dnabert2_weights',
            'dnabert2_tokenizer',
        ],
        make_tracks: ['assembly'],
        score_variants: ['anchor', 'strand', 'seed'],
    ]
    return settings.subMap(read_by[step])
}

// Which windows a study reads: [reader, length] of every embedder and of the networks, e.g. ['motifs', 600]; the reader
// of short ones, for homologs and motifs; the longest, no base of which may be in two folds.
def windowPlan(settings) {
    def readers = settings.embedders.tokenize(',') + (settings.networks ? ['networks'] : [])
    def short_reader = readers.find { reader -> windowOf(reader, settings) == settings.window as Integer } ?: 'windows'
    def wanted = (readers + short_reader).unique().collect { reader -> [reader, windowOf(reader, settings)] }
    return [wanted: wanted, short_reader: short_reader, context: wanted.collect { _reader, length -> length }.max()]
}

// Whether motifs are looked for in all windows: where they are features, where networks are asked for them, or by wish.
def wantsMotifs(settings) {
    return settings.find_motifs || settings.attribute_method || 'motifs' in settings.embedders.tokenize(',')
}

// The folder of motifs that the claim on attributed regions is judged by: that of the first network, else all.
def judgedMotifs(settings) {
    return settings.attribute_method && settings.networks ? "motifs_network_${networksOf(settings)[0][0]}".toString() : 'motifs'
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

// Every file that the run reads, each with a folder of its own: files of different folders may share a name.
def inputsOf(settings) {
    def single = ['gtf', 'fasta', 'chrom_aliases', 'alignments', 'peaks', 'vcf'].collect { name -> optionalFile(settings[name]) }
    def several = ['ir_calls', 'marks'].collect { name -> filesOf(settings[name]) }
    def inputs = (single + several + ['sei', 'dnabert2'].collect { model -> madeWith(model, settings) }).flatten()
    return inputs.withIndex(1).collect { input, index -> ["inputs/${index.toString().padLeft(3, '0')}", input] }
}

// The params, and what ran the tools; nothing that differs when the same run is resumed.
def settingsJson(settings) {
    def run_by = [
        version: workflow.manifest.version, nextflow: workflow.nextflow.version.toString(),
        revision: workflow.commitId, profile: workflow.profile,
    ]
    return groovy.json.JsonOutput.toJson(settings + run_by)
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
