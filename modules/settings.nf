// What the settings of a study mean for its steps.

// Windows of one kind, which are cut once for all who read them: [name, bases, anchor], e.g. ['centre_600', 600, 'centre'].
def cutOf(length, anchor) {
    return ["${anchor}_${length}".toString(), length as Integer, anchor]
}

// Which windows a study cuts, and who reads which: `embedded` has [cut, embedder, what its features are called] of each
// embedder at each anchor, e.g. ['donor_600', 'motifs', 'motifs_donor']; `main` is the cut that networks, motifs and the
// search for homologs read; no base of the longest, `context`, may be in two folds.
def windowPlan(settings) {
    def anchors = anchorsOf(settings)
    def main = cutOf(settings.window, settings.anchor)
    def embeddings = [embeddersOfWindows(settings), anchors].combinations().collect { embedder, anchor ->
        [cutOf(windowOf(embedder, settings), anchor), embedder, anchors.size() > 1 ? "${embedder}_${anchor}".toString() : embedder]
    }
    def cuts = ([main] + embeddings.collect { cut, _embedder, _name -> cut }).unique()
    return [
        cuts: cuts, main: main[0], context: cuts.collect { _name, length, _anchor -> length }.max(),
        embedded: embeddings.collect { cut, embedder, name -> [cut[0], embedder, name] },
    ]
}

def anchorsOf(settings) {
    return settings.anchors ? settings.anchors.tokenize(',') : [settings.anchor]
}

// The embedders of a study: those asked for, and k-mers beside any network's features, which must tell more than counts of
// words in the same windows.
def embeddersOf(settings) {
    def asked = settings.embedders.tokenize(',')
    return asked.intersect(['sei', 'dnabert2', 'splice']) ? (asked + ['kmers']).unique() : asked
}

// The embedders that read windows; others read the genome itself.
def embeddersOfWindows(settings) {
    return embeddersOf(settings) - ['splice', 'tracks']
}

// The bases that an embedder reads: Sei, unless it is to read the window alone, the 4,096 that it was trained on.
def windowOf(embedder, settings) {
    return embedder == 'sei' && settings.sei_context == 'genome' ? 4096 : settings.window as Integer
}

// The models of one features file, called EMBEDDER or EMBEDDER_ANCHOR: every kind, and for Sei every group of its profiles.
def modelsOf(features, settings) {
    def (embedder, anchor) = features.tokenize('_')
    def groups = embedder == 'sei' ? settings.sei_groups.tokenize(',') : ['all']
    return [settings.models.tokenize(','), groups].combinations().collect { model, group ->
        def name = "${features}_${model}" + (group == 'all' ? '' : "_${group}")
        [
            name: name, embedder: embedder, model: model, groups: group,
            anchor: anchor ?: settings.anchor, anchors: settings.anchors, group_by: groupBy(embedder, settings),
        ]
    }
}

// The models of all features files side by side, where several are there and this is wanted.
def joinedModels(files, settings) {
    def kinds = settings.join_features && files.size() > 1 ? settings.models.tokenize(',') : []
    return kinds.collect { model ->
        [
            name: "joined_${model}".toString(), embedder: 'joined', model: model, groups: 'all',
            anchor: settings.anchor, anchors: settings.anchors, group_by: 'block',
        ]
    }
}

// Features files as tools take them; of several anchors each is a block of its own.
def featuresOf(files, settings) {
    def paths = files instanceof List ? files : [files]
    def several = paths.size() > 1 && settings.anchors
    return paths.collect { path -> several ? "${path.name.tokenize('/').last() - '.h5ad'}=${path}" : path }.join(' ')
}

// The column that the features of an embedder are gathered by, where they have one.
def groupBy(embedder, settings) {
    def of_profiles = settings.sei_features in ['all', 'tf', 'histone', 'access', 'logits'] ? 'factor' : null
    return [motifs: 'tf', rna: 'tf', sei: of_profiles, tracks: 'factor'][embedder]
}

// The settings that each step reads and no other, so that a change repeats only what it touches.
def optionsOf(settings, step) {
    def read_by = [
        label_introns: [
            'ir_format', 'ir_value', 'ir_base', 'ir_scale', 'ir_threshold', 'ir_limits', 'ir_consensus', 'ir_exclude_flags',
            'min_splice_sites', 'min_overlap', 'annotation_rule', 'min_length', 'paper_labels', 'folds', 'condition', 'contrast',
        ],
        fetch_sequences: ['strand', 'shard_size'],
        embed_motifs: ['jaspar_release', 'tax_group'],
        embed_tracks: ['anchor', 'window'],
        embed_sei: ['sei_context', 'sei_features', 'embedding_cache'],
        embed_dnabert2: ['embedding_cache'],
        split_introns: ['target', 'split', 'folds', 'homology', 'test_chromosomes', 'valid_chromosomes'],
        match_introns: ['match', 'seed'],
        fit: ['preset', 'target', 'threshold', 'calibration', 'shuffle_control', 'repeats', 'folds', 'bootstrap', 'seed'],
        finetune: ['target', 'preset', 'network_epochs', 'bootstrap', 'seed'],
        partition: ['target', 'anchors', 'seed'],
        attribute: ['attribute_method', 'seed'],
        find_motifs: ['jaspar_release', 'tax_group', 'seed'],
        compare: ['bootstrap', 'seed'],
        make_report: ['assembly'],
        check: [
            'ir_format', 'ir_value', 'ir_base', 'ir_scale', 'ir_threshold', 'ir_limits', 'min_splice_sites', 'annotation_rule',
            'condition', 'contrast', 'embedders', 'networks', 'window',
        ],
        make_tracks: ['assembly'],
        score_variants: ['strand', 'seed'],
    ]
    return settings.subMap(read_by[step])
}

// Whether motifs are looked for in all windows: where they are features, where networks are asked for them, or by wish.
def wantsMotifs(settings) {
    return settings.find_motifs || settings.attribute_method || 'motifs' in settings.embedders.tokenize(',')
}

// The folder of motifs that the claim on attributed regions is judged by: that of the first network, else all.
def judgedMotifs(settings) {
    return settings.attribute_method && settings.networks ? "motifs_network_${networksOf(settings)[0][0]}".toString() : 'motifs'
}

// Whether models can be fitted to what label_introns found: what is measured from reads may be too little. A stub's counts
// are empty.
def canFit(counts, settings) {
    return counts.size() == 0 || !new groovy.json.JsonSlurper().parse(counts.toFile()).no_study[settings.target]
}

// How many callers label_introns found in the calls.
def callersIn(counts) {
    return new groovy.json.JsonSlurper().parse(counts.toFile()).callers.size()
}

// The files that the features of an embedder were made with, by the option that tools take them by.
def madeWith(embedder, settings) {
    def classes = settings.sei_features == 'seqclass'
    def options = [
        rna: ['motifs'],
        sei: ['weights'] + (classes ? ['projection', 'class_names'] : groupBy('sei', settings) ? ['targets'] : []),
        dnabert2: ['weights', 'tokenizer'],
    ]
    def named = (options[embedder] ?: []).collectEntries { option -> [option, settings["${embedder}_${option}".toString()]] }
    return (embedder == 'motifs' ? [motifs: settings.motifs] : named)
        .findAll { _option, path -> path }
        .collectEntries { option, path -> [option.replace('_', '-'), plainFile(path)] }
}

// The networks to train, each with its weights and tokenizer, or empty lists, e.g. ['basset', [], []].
def networksOf(settings) {
    return (settings.networks ?: '').tokenize(',').collect { network ->
        def names = ['weights', 'tokenizer'].collect { kind -> "${network}_${kind}".toString() }
        def given = settings.subMap(names)  // those trained from scratch have no such params
        [network] + names.collect { name -> optionalFile(given[name]) }
    }
}

// Every file that the run reads, each with a folder of its own: files of different folders may share a name.
def inputsOf(settings) {
    def names = [
        'gtf', 'fasta', 'chrom_aliases', 'alignments', 'peaks', 'vcf', 'covariates', 'splice_weights', 'tracks', 'motifs',
        'rna_motifs',
    ]
    def single = names.collect { name -> optionalFile(settings[name]) }
    def several = ['ir_calls', 'marks'].collect { name -> filesOf(settings[name]) }
    def made_with = ['sei', 'dnabert2'].collect { model -> madeWith(model, settings).values() }
    def inputs = (single + several + made_with).flatten()
    return inputs.withIndex(1).collect { input, index -> ["inputs/${index.toString().padLeft(3, '0')}", input] }
}

// The files that check reads in their own places, by option: sheets name others beside themselves, weights are large.
def namedFiles(settings) {
    def names = [
        'alignments', 'tracks', 'covariates', 'sei_weights', 'sei_targets', 'dnabert2_weights', 'dnabert2_tokenizer', 'splice_weights',
    ]
    return settings.subMap(names).findAll { _name, path -> path }.collectEntries { name, path -> [name, plainFile(path)] }
}

// The command line without what only says how Nextflow works and shows it: resumed, a run has the same.
def commandOf() {
    def words = workflow.commandLine.findAll(/(?<=\s)(?:-(?:profile|params-file|r)(?= )|--[\w-]+)(?:[ =](?!-)(?:'[^']*'|\S+))*/)
    return (['nextflow run', workflow.repository ?: '.'] + words).join(' ')
}

// The params, and what ran the tools; nothing that differs when the same run is resumed.
def settingsJson(settings) {
    def folder = plainFile(settings.outdir)
    def run_by = [
        command: commandOf(),
        // what MultiQC calls it: many folders of results are called so
        run: folder.name == 'results' ? folder.parent.name : folder.name,
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
