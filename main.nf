#!/usr/bin/env nextflow

include { checkParams; helpText } from './modules/params'
include { LABEL_INTRONS } from './modules/label_introns'
include { FETCH_SEQUENCES } from './modules/fetch_sequences'
include { EMBED_MOTIFS } from './modules/embed_motifs'
include { EMBED_KMERS } from './modules/embed_kmers'
include { EMBED_SEI } from './modules/embed_sei'
include { EMBED_DNABERT2 } from './modules/embed_dnabert2'
include { MERGE_FEATURES } from './modules/merge_features'
include { FIT } from './modules/fit'
include { EXPLAIN } from './modules/explain'
include { MAKE_REPORT } from './modules/make_report'

// Which introns are retained, and what their DNA says about it.
workflow STUDY {
    main:
    fasta = file(params.fasta)
    aliases = optionalFile(params.chrom_aliases)

    calls = optionalFile(params.ir_calls)
    label_options = [
        base: params.ir_base, value: params.ir_value, threshold: params.ir_threshold,
        min_overlap: params.min_overlap, window: params.window, folds: params.folds,
    ]
    LABEL_INTRONS(file(params.gtf), fasta, calls, optionalFile(params.peaks), aliases, label_options)
    labels = LABEL_INTRONS.out.labels

    // [embedder, window length], e.g. ['motifs', 600]; Sei reads the 4,096 bp that it was trained on
    embedders_ch = channel.fromList(params.embedders.tokenize(','))
        .map { embedder -> [embedder, embedder == 'sei' ? 4096 : params.window] }
    window_options = [anchor: params.anchor, strand: params.strand, shard_size: params.shard_size]
    FETCH_SEQUENCES(embedders_ch, labels, fasta, aliases, window_options)

    // [embedder, shard FASTA], e.g. ['motifs', windows.00001.fa.gz], to the process of that embedder
    shards = FETCH_SEQUENCES.out.shards.transpose().branch { embedder, _shard ->
        motifs: embedder == 'motifs'
        kmers: embedder == 'kmers'
        sei: embedder == 'sei'
        dnabert2: embedder == 'dnabert2'
    }
    EMBED_MOTIFS(shards.motifs)
    EMBED_KMERS(shards.kmers)
    EMBED_SEI(shards.sei, optionalFile(params.sei_weights), optionalFile(params.sei_targets))
    EMBED_DNABERT2(shards.dnabert2, optionalFile(params.dnabert2_weights), optionalFile(params.dnabert2_tokenizer))

    // [embedder, features of all its shards in genome order]
    features_ch = EMBED_MOTIFS.out.features
        .mix(EMBED_KMERS.out.features, EMBED_SEI.out.features, EMBED_DNABERT2.out.features)
        .groupTuple(sort: { one, other -> one.name <=> other.name })
    MERGE_FEATURES(features_ch)

    FIT(MERGE_FEATURES.out.features, labels, [bootstrap: params.bootstrap, seed: params.seed])
    EXPLAIN(FIT.out.model, labels, params.seed)

    // explain/groups.tsv: the groups of every model in one table
    EXPLAIN.out.groups.collectFile(
        name: 'groups.tsv', keepHeader: true, sort: { groups -> groups.parent.name }, storeDir: "${params.outdir}/explain"
    )

    // the folders of all models and of all explanations, for the one report
    models = FIT.out.model.map { _embedder, _features, model -> model }.collect(sort: { model -> model.name })
    explanations = EXPLAIN.out.explanation.collect(sort: { explanation -> explanation.name })
    settings = channel.of(groovy.json.JsonOutput.toJson(params + [version: workflow.manifest.version]))
        .collectFile(name: 'settings.json', sort: true)
    MAKE_REPORT(labels, LABEL_INTRONS.out.ledger, LABEL_INTRONS.out.counts, models, explanations, settings)
}

workflow {
    if (params.help) {
        print(helpText())
    }
    else {
        checkParams(params)
        STUDY()
    }
}

// The file, or an empty list, which Nextflow stages as nothing.
def optionalFile(path) {
    return path ? file(path) : []
}
