include { SPLIT_INTRONS } from '../modules/split_introns'
include { AUDIT_SPLIT } from '../modules/audit_split'
include { MATCH_INTRONS } from '../modules/match_introns'
include { inFolder } from '../modules/publishing'
include { optionalFile; optionsOf } from '../modules/settings'

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
    MATCH_INTRONS(
        settings.match ? SPLIT_INTRONS.out.labels : channel.empty(), optionalFile(settings.covariates),
        optionsOf(settings, 'match_introns'),
    )

    emit:
    labels = settings.match ? MATCH_INTRONS.out.labels : SPLIT_INTRONS.out.labels
    all_labels = SPLIT_INTRONS.out.labels
    near_copies = AUDIT_SPLIT.out.pairs
    published = inFolder(
        'labels',
        SPLIT_INTRONS.out.labels.mix(
            AUDIT_SPLIT.out.pairs, AUDIT_SPLIT.out.summary,
            MATCH_INTRONS.out.labels, MATCH_INTRONS.out.balance, MATCH_INTRONS.out.summary, MATCH_INTRONS.out.ledger,
        ),
    )
}
