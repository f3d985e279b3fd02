include { SPLIT_INTRONS } from '../modules/split_introns'
include { AUDIT_SPLIT } from '../modules/audit_split'
include { MATCH_INTRONS } from '../modules/match_introns'
include { inFolder } from '../modules/publishing'
include { optionsOf } from '../modules/settings'

// Labelled introns in folds that share nothing; with --match, only the spliced ones that look like retained ones.
workflow SPLIT {
    take:
    labels
    windows // FASTA of short windows, to find homologs by
    context
    settings

    main:
    SPLIT_INTRONS(labels, settings.homology ? windows : [], context, optionsOf(settings, 'split_introns'))
    AUDIT_SPLIT(SPLIT_INTRONS.out.labels, windows)
    MATCH_INTRONS(settings.match ? SPLIT_INTRONS.out.labels : channel.empty(), optionsOf(settings, 'match_introns'))

    emit:
    labels = settings.match ? MATCH_INTRONS.out.labels : SPLIT_INTRONS.out.labels
    all_labels = SPLIT_INTRONS.out.labels
    published = inFolder(
        'labels',
        SPLIT_INTRONS.out.labels.mix(
            AUDIT_SPLIT.out.pairs, AUDIT_SPLIT.out.summary,
            MATCH_INTRONS.out.labels, MATCH_INTRONS.out.balance, MATCH_INTRONS.out.summary, MATCH_INTRONS.out.ledger,
        ),
    )
}
