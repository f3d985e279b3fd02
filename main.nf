#!/usr/bin/env nextflow

include { checkParams; forgetRun; helpText; plainParams } from './modules/params'
include { gathered; inFolder; printLast } from './modules/publishing'
include { canFit; inputsOf; optionalFile; optionsOf; plainFile; settingsJson; windowPlan } from './modules/settings'
include { readsOf } from './modules/samples'
include { FAULTS } from './workflows/faults'
include { LABELS } from './workflows/labels'
include { SPLIT } from './workflows/split'
include { FEATURES } from './workflows/features'
include { MODELS } from './workflows/models'
include { CELL_TYPES } from './workflows/cell_types'
include { INTERPRET } from './workflows/interpret'
include { FETCH_SEQUENCES } from './modules/fetch_sequences'
include { MAKE_REPORT } from './modules/make_report'
include { MAKE_TRACKS } from './modules/make_tracks'
include { RECORD_RUN } from './modules/record_run'

// Which introns are retained, and what their DNA says about it.
workflow STUDY {
    take:
    settings // the params, or a variation of them

    main:
    inputs = [gtf: plainFile(settings.gtf), fasta: plainFile(settings.fasta), aliases: optionalFile(settings.chrom_aliases)]
    plan = windowPlan(settings)

    LABELS(inputs, plan.context, settings)
    FETCH_SEQUENCES(channel.fromList(plan.cuts), LABELS.out.labels, inputs.fasta, inputs.aliases, optionsOf(settings, 'fetch_sequences'))
    windows = FETCH_SEQUENCES.out.windows.filter { cut, _fa -> cut == plan.main }.map { _cut, fa -> fa }.first()
    // without enough labels, or levels, the study ends with what was measured
    fits = LABELS.out.counts.map { counts -> canFit(counts, settings) }
    SPLIT(LABELS.out.labels, fits, windows, plan.context, settings)
    shards = FETCH_SEQUENCES.out.shards.transpose().combine(fits.filter { fit -> fit }).map { cut, shard, _fit -> [cut, shard] }
    described = LABELS.out.labels.combine(fits.filter { fit -> fit }).map { labels, _fit -> labels }.first()
    FEATURES(shards, plan.embedded, described, inputs, settings)
    MODELS(FEATURES.out.features, windows, SPLIT.out.labels, SPLIT.out.near_copies, settings)
    CELL_TYPES(FEATURES.out.features, LABELS.out.measured, inputs, plan.context, settings)
    INTERPRET(
        MODELS.out.fitted, MODELS.out.networks, windows, SPLIT.out.labels, SPLIT.out.all_labels, LABELS.out.quantified, inputs, settings,
    )

    // every result with its folder, e.g. ['labels', ledger.tsv]
    results = LABELS.out.published.mix(
        inFolder('windows', FETCH_SEQUENCES.out.windows.map { _cut, fa -> fa }.mix(FETCH_SEQUENCES.out.dropped)),
        SPLIT.out.published, FEATURES.out.published, MODELS.out.published, INTERPRET.out.published,
        CELL_TYPES.out.published,
    )
    shown = inFolder('.', channel.of(settingsJson(settings)).collectFile(name: 'settings.json'))
    read_by_report = results.filter { folder, _file -> !(folder =~ /^(windows|features|cards|attribute|cell_types\/.*)$/) }
    MAKE_REPORT(gathered(read_by_report.mix(shown)), optionsOf(settings, 'make_report'))
    drawn = results.filter { folder, _file -> folder in ['labels', 'fit', 'attribute'] }
    MAKE_TRACKS(gathered(drawn), inputs.fasta, inputs.aliases, optionsOf(settings, 'make_tracks'))

    // what a crate holds: the results, what they were made from, and the packages of the images
    published = results.mix(inFolder('.', MAKE_REPORT.out.published.mix(MAKE_TRACKS.out.tracks)))
    recorded = published.map { folder, file -> ["results/${folder}", file] }.mix(
        shown, channel.fromList(inputsOf(settings) + readsOf(settings.alignments)), channel.of(['.', plainFile("${projectDir}/main.nf")]),
        inFolder('images', channel.fromPath("${projectDir}/containers/*", type: 'dir')),
    )
    RECORD_RUN(gathered(recorded))
}

workflow {
    given = plainParams(params)
    if (given.help == true) {
        print(helpText())
    }
    else if (given.check == true) {
        FAULTS(given)
    }
    else {
        checkParams(given)
        if ('paper' in workflow.profile.tokenize(',')) {
            log.warn("this is one study with the settings of 2025; nextflow run reproduce.nf repeats theirs beside ours: docs/reproduce.md")
        }
        STUDY(given)
    }
    workflow.onComplete = {
        def tasks = workflow.stats.succeedCount + workflow.stats.cachedCount
        if (workflow.success && !given.check && tasks > 0) {
            printLast("Report: ${given.outdir}/report.html")
        }
        if (given.check) {
            forgetRun()
        }
    }
}
