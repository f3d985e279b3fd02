include { LABEL_INTRONS } from '../modules/label_introns'
include { QUANTIFY_INTRONS } from '../modules/quantify_introns'
include { DIFFERENTIAL_RETENTION } from '../modules/differential_retention'
include { COMPARE_CALLERS } from '../modules/compare_callers'
include { inFolder } from '../modules/publishing'
include { checkConditions; conditionsOf; samplesOf } from '../modules/samples'
include { callersIn; filesOf; optionalFile; optionsOf } from '../modules/settings'

// Which introns, or peaks, are retained.
workflow LABELS {
    take:
    inputs // gtf, fasta, aliases
    context // bases around an intron that no two folds may share
    settings

    main:
    if (settings.alignments) {
        checkConditions(settings)
    }
    // retention measured from reads, one task a sample; its tables are calls beside those of the user
    samples = channel.fromList(settings.alignments ? samplesOf(settings.alignments) : [])
    QUANTIFY_INTRONS(samples, inputs.gtf, inputs.fasta, inputs.aliases)
    // two conditions or more are compared
    compared = settings.alignments && conditionsOf(settings.alignments).size() > 1
    measured = QUANTIFY_INTRONS.out.tables.toSortedList { one, other -> one.name <=> other.name }
    DIFFERENTIAL_RETENTION(measured.filter { compared }, optionalFile(settings.alignments), settings.contrast ?: '')
    // what is studied: which introns are retained, or which are retained more in one condition than in another
    all_calls = settings.contrast
        ? DIFFERENTIAL_RETENTION.out.differences.first().map { differences -> [differences] }
        : measured.map { tables -> tables + filesOf(settings.ir_calls) }
    LABEL_INTRONS(
        inputs.gtf, inputs.fasta, all_calls, settings.contrast ? [] : optionalFile(settings.alignments), optionalFile(settings.peaks),
        inputs.aliases, context, optionsOf(settings, 'label_introns') + [folder: 'labels'],
    )
    several_callers = LABEL_INTRONS.out.calls
        .combine(LABEL_INTRONS.out.counts)
        .filter { _calls, counts -> callersIn(counts) > 1 }
        .map { calls, _counts -> calls }
    COMPARE_CALLERS(several_callers)

    emit:
    measured = measured // tables of all samples
    quantified = QUANTIFY_INTRONS.out.tables.mix(QUANTIFY_INTRONS.out.counts).toSortedList { one, other -> one.name <=> other.name }
    labels = LABEL_INTRONS.out.labels
    counts = LABEL_INTRONS.out.counts
    published = inFolder(
        'labels',
        LABEL_INTRONS.out.ledger.mix(LABEL_INTRONS.out.counts, LABEL_INTRONS.out.calls, COMPARE_CALLERS.out.agreement),
    ).mix(inFolder(
        'quantified',
        QUANTIFY_INTRONS.out.tables.mix(QUANTIFY_INTRONS.out.counts, QUANTIFY_INTRONS.out.multiqc, QUANTIFY_INTRONS.out.tracks,
            QUANTIFY_INTRONS.out.figures,
            DIFFERENTIAL_RETENTION.out.differences, DIFFERENTIAL_RETENTION.out.summary),
    ))
}
