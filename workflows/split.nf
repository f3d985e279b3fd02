include { SPLIT_INTRONS } from '../modules/split_introns'
include { AUDIT_SPLIT } from '../modules/audit_split'
include { MATCH_INTRONS } from '../modules/match_introns'
include { inFolder } from '../modules/publishing'
include { optionalFile; optionsOf } from '../modules/settings'

// Labelled introns in folds that share nothing; with --match, only the spliced ones that look like retained ones.
workflow SPLIT {
    take:
    labels
    fits // whether models can be fitted to them
    windows // FASTA of short windows, to find equal and homologous ones by
    context
    settings

    main:
    SPLIT_INTRONS(labels, fits, windows, context, optionsOf(settings, 'split_introns'))
    studied = SPLIT_INTRONS.out.labels.combine(fits).filter { _labels, fit -> fit }.map { labels_, _fit -> labels_ }.first()
    MATCH_INTRONS(
        settings.match ? studied : channel.empty(), optionalFile(settings.covariates),
        optionsOf(settings, 'match_introns'),
    )
    kept = settings.match ? MATCH_INTRONS.out.labels : studied
    AUDIT_SPLIT(kept, windows)

    emit:
    labels = kept
    all_labels = studied
    near_copies = AUDIT_SPLIT.out.pairs
    published = inFolder(
        'labels',
        SPLIT_INTRONS.out.labels.mix(
            AUDIT_SPLIT.out.pairs, AUDIT_SPLIT.out.summary,
            MATCH_INTRONS.out.labels, MATCH_INTRONS.out.balance, MATCH_INTRONS.out.summary, MATCH_INTRONS.out.ledger,
        ),
    )
}
