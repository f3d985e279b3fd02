#!/usr/bin/env nextflow

include { checkParams; helpText } from './modules/params'
include { LABEL_INTRONS } from './modules/label_introns'
include { COMPARE_CALLERS } from './modules/compare_callers'
include { FETCH_SEQUENCES } from './modules/fetch_sequences'
include { SPLIT_INTRONS } from './modules/split_introns'
include { AUDIT_SPLIT } from './modules/audit_split'
include { MATCH_INTRONS } from './modules/match_introns'
include { EMBED_MOTIFS } from './modules/embed_motifs'
include { EMBED_KMERS } from './modules/embed_kmers'
include { EMBED_SEI } from './modules/embed_sei'
include { EMBED_DNABERT2 } from './modules/embed_dnabert2'
include { MERGE_FEATURES } from './modules/merge_features'
include { FIT } from './modules/fit'
include { COMPARE } from './modules/compare'
include { EXPLAIN } from './modules/explain'
include { MAKE_REPORT } from './modules/make_report'

// Which introns are retained, and what their DNA says about it.
workflow STUDY {
    main:
    fasta = file(params.fasta)
    aliases = optionalFile(params.chrom_aliases)
    embedders = params.embedders.tokenize(',')
    // no base of the longest window may be in two folds
    context = embedders.collect { embedder -> windowOf(embedder, params.window) }.max()
    draws = [bootstrap: params.bootstrap, seed: params.seed]

    label_options = [
        format: params.ir_format, value: params.ir_value, base: params.ir_base, threshold: params.ir_threshold,
        consensus: params.ir_consensus, min_overlap: params.min_overlap, context: context, folds: params.folds,
    ]
    calls = params.ir_calls ? params.ir_calls.tokenize(',').collect { path -> file(path) } : []
    LABEL_INTRONS(file(params.gtf), fasta, calls, optionalFile(params.peaks), aliases, label_options)
    several_callers = LABEL_INTRONS.out.calls.combine(LABEL_INTRONS.out.counts)
        .filter { _calls_table, counts -> callersIn(counts) > 1 }
    COMPARE_CALLERS(several_callers.map { calls_table, _counts -> calls_table })

    // [embedder, window length], e.g. ['motifs', 600]
    embedders_ch = channel.fromList(embedders).map { embedder -> [embedder, windowOf(embedder, params.window)] }
    window_options = [anchor: params.anchor, strand: params.strand, shard_size: params.shard_size]
    FETCH_SEQUENCES(embedders_ch, LABEL_INTRONS.out.labels, fasta, aliases, window_options)
    windows = FETCH_SEQUENCES.out.windows.filter { embedder, _windows -> embedder == embedders[0] }
        .map { _embedder, fa -> fa }.first()

    split_options = [scheme: params.split, folds: params.folds, context: context, identity: params.homology]
    SPLIT_INTRONS(LABEL_INTRONS.out.labels, params.homology ? windows : [], split_options)
    AUDIT_SPLIT(SPLIT_INTRONS.out.labels, windows)
    MATCH_INTRONS(params.match ? SPLIT_INTRONS.out.labels : channel.empty(), params.match ?: '', params.seed)
    labels = params.match ? MATCH_INTRONS.out.labels : SPLIT_INTRONS.out.labels

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

    FIT(MERGE_FEATURES.out.features, labels, draws)
    // the folders of all models
    models = FIT.out.model.map { _embedder, _features, model -> model }.collect(sort: { model -> model.name })
    COMPARE(models, labels, draws)

    EXPLAIN(FIT.out.model, labels, params.seed)
    explanations = EXPLAIN.out.explanation.collect(sort: { explanation -> explanation.name })
    // explain/groups.tsv: the groups of every model in one table
    EXPLAIN.out.groups.collectFile(
        name: 'groups.tsv', keepHeader: true, sort: { groups -> groups.parent.name }, storeDir: "${params.outdir}/explain"
    )

    settings = channel.of(groovy.json.JsonOutput.toJson(params + [version: workflow.manifest.version]))
        .collectFile(name: 'settings.json', sort: true)
    // what only some runs have: the callers' agreement, the balance of matched introns
    extras = COMPARE_CALLERS.out.agreement.mix(MATCH_INTRONS.out.balance).collect(sort: true).ifEmpty([])
    MAKE_REPORT(
        labels, LABEL_INTRONS.out.ledger, LABEL_INTRONS.out.counts, AUDIT_SPLIT.out.summary, extras,
        models, COMPARE.out.comparison, explanations, settings,
    )
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

// The bases that an embedder reads: Sei the 4,096 that it was trained on.
def windowOf(embedder, window) {
    return embedder == 'sei' ? 4096 : window as Integer
}

// How many callers label_introns found in the calls.
def callersIn(counts) {
    return new groovy.json.JsonSlurper().parse(counts.toFile()).callers.size()
}

// The file, or an empty list, which Nextflow stages as nothing.
def optionalFile(path) {
    return path ? file(path) : []
}
