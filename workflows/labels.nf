include { LABEL_INTRONS } from '../modules/label_introns'
include { COMPARE_CALLERS } from '../modules/compare_callers'
include { inFolder } from '../modules/publishing'
include { callersIn; filesOf; optionalFile; optionsOf } from '../modules/settings'

// Which introns, or peaks, are retained.
workflow LABELS {
    take:
    inputs // gtf, fasta, aliases
    context // bases around an intron that no two folds may share
    settings

    main:
    LABEL_INTRONS(
        inputs.gtf, inputs.fasta, filesOf(settings.ir_calls), optionalFile(settings.peaks), inputs.aliases,
        context, optionsOf(settings, 'label_introns'),
    )
    several_callers = LABEL_INTRONS.out.calls
        .combine(LABEL_INTRONS.out.counts)
        .filter { _calls, counts -> callersIn(counts) > 1 }
        .map { calls, _counts -> calls }
    COMPARE_CALLERS(several_callers)

    emit:
    labels = LABEL_INTRONS.out.labels
    published = inFolder(
        'labels',
        LABEL_INTRONS.out.ledger.mix(LABEL_INTRONS.out.counts, LABEL_INTRONS.out.calls, COMPARE_CALLERS.out.agreement),
    )
}
