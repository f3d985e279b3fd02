#!/usr/bin/env nextflow

include { checkParams; helpText } from './modules/params'
include { callersIn; filesOf; inputsOf; madeWith; modelsOf; networksOf; optionalFile; plainFile; runBy; windowOf } from './modules/settings'
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
include { FINETUNE } from './modules/finetune'
include { COMPARE } from './modules/compare'
include { EXPLAIN } from './modules/explain'
include { EXPLAIN_INTRON } from './modules/explain_intron'
include { ATTRIBUTE } from './modules/attribute'
include { FIND_MOTIFS } from './modules/find_motifs'
include { ENRICH } from './modules/enrich'
include { SCORE_VARIANTS } from './modules/score_variants'
include { MAKE_REPORT } from './modules/make_report'
include { RECORD_RUN } from './modules/record_run'

// Which introns are retained, and what their DNA says about it.
workflow STUDY {
    take:
    settings // the params, or a variation of them

    main:
    gtf = plainFile(settings.gtf)
    fasta = plainFile(settings.fasta)
    aliases = optionalFile(settings.chrom_aliases)
    embedders = settings.embedders.tokenize(',')
    // who reads windows; the networks read some of their own
    readers = embedders + (settings.networks ? ['networks'] : [])
    // alignments and motifs want short windows: those of a reader that has them, or windows of their own
    short_reader = readers.find { reader -> windowOf(reader, settings) == settings.window as Integer } ?: 'windows'
    // [reader, window length], e.g. ['motifs', 600]
    windows_wanted = (readers + short_reader).unique().collect { reader -> [reader, windowOf(reader, settings)] }
    // no base of the longest window may be in two folds
    context = windows_wanted.collect { _reader, length -> length }.max()
    calls = filesOf(settings.ir_calls)
    // each step is handed the settings that it reads and no other, so that a change repeats only what it touches
    label_options = settings.subMap(['ir_format', 'ir_value', 'ir_base', 'ir_threshold', 'ir_consensus', 'min_splice_sites', 'min_overlap', 'annotation_rule', 'paper_labels', 'folds'])
    LABEL_INTRONS(gtf, fasta, calls, optionalFile(settings.peaks), aliases, context, label_options)
    several_callers = LABEL_INTRONS.out.calls.combine(LABEL_INTRONS.out.counts)
        .filter { _calls_table, counts -> callersIn(counts) > 1 }
    COMPARE_CALLERS(several_callers.map { calls_table, _counts -> calls_table })

    FETCH_SEQUENCES(channel.fromList(windows_wanted), LABEL_INTRONS.out.labels, fasta, aliases, settings.subMap(['anchor', 'strand', 'shard_size']))
    windows = FETCH_SEQUENCES.out.windows.filter { reader, _windows -> reader == short_reader }
        .map { _reader, fa -> fa }.first()

    SPLIT_INTRONS(LABEL_INTRONS.out.labels, settings.homology ? windows : [], context, settings.subMap(['split', 'folds', 'homology', 'test_chromosomes', 'valid_chromosomes']))
    AUDIT_SPLIT(SPLIT_INTRONS.out.labels, windows)
    MATCH_INTRONS(settings.match ? SPLIT_INTRONS.out.labels : channel.empty(), settings.match ?: '', settings.seed)
    labels = settings.match ? MATCH_INTRONS.out.labels : SPLIT_INTRONS.out.labels

    // [embedder, shard FASTA], e.g. ['motifs', windows.00001.fa.gz], to the process of that embedder
    shards = FETCH_SEQUENCES.out.shards.transpose().branch { embedder, _shard ->
        motifs: embedder == 'motifs'
        kmers: embedder == 'kmers'
        sei: embedder == 'sei'
        dnabert2: embedder == 'dnabert2'
    }
    EMBED_MOTIFS(shards.motifs, settings.tax_group)
    EMBED_KMERS(shards.kmers)
    EMBED_SEI(shards.sei, optionalFile(settings.sei_weights), optionalFile(settings.sei_targets), settings.sei_context)
    EMBED_DNABERT2(shards.dnabert2, optionalFile(settings.dnabert2_weights), optionalFile(settings.dnabert2_tokenizer))

    // [embedder, features of all its shards in genome order]
    features_ch = EMBED_MOTIFS.out.features
        .mix(EMBED_KMERS.out.features, EMBED_SEI.out.features, EMBED_DNABERT2.out.features)
        .groupTuple(sort: { one, other -> one.name <=> other.name })
    MERGE_FEATURES(features_ch)

    // [what to fit, features], e.g. [[name: 'motifs_logistic', embedder: 'motifs', model: 'logistic', groups: 'all'], motifs.h5ad]
    fits_ch = MERGE_FEATURES.out.features
        .flatMap { embedder, features -> modelsOf(embedder, settings).collect { wanted -> [wanted, features] } }
    FIT(fits_ch, labels, settings.subMap(['preset', 'bootstrap', 'seed']))
    // [network, its weights, its tokenizer], e.g. ['basset', [], []]
    networks_ch = channel.fromList(networksOf(settings))
    network_windows = FETCH_SEQUENCES.out.windows.filter { reader, _windows -> reader == 'networks' }.map { _reader, fa -> fa }.first()
    FINETUNE(networks_ch, network_windows, labels, settings.subMap(['preset', 'network_epochs', 'bootstrap', 'seed']))
    // the folders of all models
    models = FIT.out.model.map { _wanted, _features, model -> model }.mix(FINETUNE.out.model).collect(sort: { model -> model.name })

    EXPLAIN(FIT.out.model, labels, settings.seed)
    explanations = EXPLAIN.out.explanation.collect(sort: { explanation -> explanation.name })
    // explain/groups.tsv: the groups of every model in one table
    groups = EXPLAIN.out.groups
        .collectFile(name: 'groups.tsv', keepHeader: true, sort: { groups -> groups.parent.name }, storeDir: "${settings.outdir}/explain")
    EXPLAIN_INTRON(FIT.out.model, labels, settings.cards)
    attributed_ch = settings.attribute_method ? FINETUNE.out.model : channel.empty()
    ATTRIBUTE(attributed_ch, [], [], network_windows, gtf, optionalFile(settings.peaks), [], settings.subMap(['attribute_method', 'seed']))

    // [folder, attributions]: all sites, and for each network that is attributed those where it looks
    sites_ch = channel.of(['motifs', []]).mix(ATTRIBUTE.out.attributions.map { attributed -> ["motifs_${attributed.name}", attributed] })
    FIND_MOTIFS(windows, labels, sites_ch, settings.subMap(['tax_group', 'seed']))
    // the claim on motifs is one on attributed regions: those of the first network, else all
    judged = settings.attribute_method && settings.networks ? "motifs_network_${networksOf(settings)[0][0]}" : 'motifs'
    of_motifs = FIND_MOTIFS.out.motifs.filter { motifs -> motifs.name == judged }.first()
    // what the claims on factors and marks are decided by
    of_sei = EXPLAIN.out.explanation.filter { explanation -> explanation.name == 'sei_logistic' }.collect().ifEmpty([])
    COMPARE(models, labels, of_sei, of_motifs, settings.subMap(['bootstrap', 'seed']))
    ENRICH(settings.marks ? labels : channel.empty(), filesOf(settings.marks), aliases)
    // [model, window length, what its features were made with]
    scored_ch = FIT.out.model.map { wanted, _features, model -> [model, windowOf(wanted.embedder, settings)] + madeWith(wanted.embedder, settings) }
        .mix(FINETUNE.out.model.map { model -> [model, settings.window, [], [], []] })
    SCORE_VARIANTS(settings.vcf ? scored_ch : channel.empty(), optionalFile(settings.vcf), SPLIT_INTRONS.out.labels, fasta, aliases, settings.subMap(['anchor', 'strand', 'seed']))

    shown = channel.of(groovy.json.JsonOutput.toJson(settings + runBy())).collectFile(name: 'settings.json')
    // what only some runs have: the callers' agreement, the balance of matched introns, measured peaks
    extras = COMPARE_CALLERS.out.agreement.mix(MATCH_INTRONS.out.balance, MATCH_INTRONS.out.summary, FIND_MOTIFS.out.motifs, ENRICH.out.enrichment).collect(sort: true)
    variants = SCORE_VARIANTS.out.scores.collect(sort: { scores -> scores.name }).ifEmpty([])
    cards = EXPLAIN_INTRON.out.cards.collect(sort: { cards -> cards.name })
    attributions = ATTRIBUTE.out.attributions.collect(sort: { attributions -> attributions.name }).ifEmpty([])
    MAKE_REPORT(
        labels, LABEL_INTRONS.out.ledger, LABEL_INTRONS.out.counts, AUDIT_SPLIT.out.summary, extras,
        models, COMPARE.out.comparison, explanations, variants, shown,
    )

    // everything that is published, in the folders where it will lie
    labels_dir = SPLIT_INTRONS.out.labels.mix(
        LABEL_INTRONS.out.ledger, LABEL_INTRONS.out.counts, LABEL_INTRONS.out.calls, COMPARE_CALLERS.out.agreement,
        AUDIT_SPLIT.out.pairs, AUDIT_SPLIT.out.summary, MATCH_INTRONS.out.labels, MATCH_INTRONS.out.balance, MATCH_INTRONS.out.summary, MATCH_INTRONS.out.ledger,
    )
    RECORD_RUN(
        labels_dir.collect(sort: true),
        FETCH_SEQUENCES.out.windows.map { _embedder, fa -> fa }.mix(FETCH_SEQUENCES.out.dropped).collect(sort: true),
        MERGE_FEATURES.out.features.map { _embedder, features -> features }.collect(sort: true),
        models, explanations.mix(groups).collect(sort: true), cards, attributions, variants,
        COMPARE.out.comparison.mix(
            FIND_MOTIFS.out.motifs, ENRICH.out.enrichment, MAKE_REPORT.out.report, MAKE_REPORT.out.figures, MAKE_REPORT.out.multiqc,
        ).collect(sort: true),
        inputsOf(settings), files("${projectDir}/containers/*", type: 'dir'), shown, plainFile("${projectDir}/main.nf"),
    )
}

workflow {
    if (params.help) {
        print(helpText())
    }
    else {
        checkParams(params)
        STUDY(params)
    }
}
