include { EXPLAIN } from '../modules/explain'
include { EXPLAIN_INTRON } from '../modules/explain_intron'
include { ATTRIBUTE } from '../modules/attribute'
include { FIND_MOTIFS } from '../modules/find_motifs'
include { ENRICH } from '../modules/enrich'
include { COMPARE } from '../modules/compare'
include { SCORE_VARIANTS } from '../modules/score_variants'
include { inFolder } from '../modules/publishing'
include { sheetOf } from '../modules/samples'
include { embeddersOfWindows; filesOf; judgedMotifs; madeWith; optionalFile; optionsOf; wantsMotifs; windowOf } from '../modules/settings'

// What moves the models: groups of features, bases, motifs, measured peaks, variants; and which model is better.
workflow INTERPRET {
    take:
    fitted // [what was fitted, features, folder]
    networks // folder
    windows // FASTA that the networks read
    labels // those that the models were fitted on
    all_labels // also those without a match
    quantified // what was measured from reads, or nothing
    inputs // gtf, fasta, aliases
    settings

    main:
    covariates = optionalFile(settings.covariates)
    EXPLAIN(fitted, labels, covariates, settings.seed)
    // introns are drawn with the reads of all samples
    samples = settings.alignments ? sheetOf(settings.alignments) : [[], [], []]
    explained = EXPLAIN.out.explanation.map { folder -> [folder.name, folder] }
    described = fitted.map { wanted, features, model -> [wanted.name, wanted, features, model] }.join(explained)
        .map { _name, wanted, features, model, folder -> [wanted, features, model, folder] }
    EXPLAIN_INTRON(described, optionalFile(settings.rna_motifs), labels, samples, quantified, inputs.gtf, inputs.fasta, settings.cards)
    // explain/groups.tsv: the groups of every model in one table
    groups = EXPLAIN.out.groups.collectFile(name: 'groups.tsv', keepHeader: true, sort: { table -> table.parent.name })
    groups.subscribe { table -> table.copyTo("${settings.outdir}/explain/groups.tsv") }

    attributed = settings.attribute_method ? networks : channel.empty()
    ATTRIBUTE(attributed, [], [], windows, inputs.gtf, optionalFile(settings.peaks), [], optionsOf(settings, 'attribute'))
    // [folder, attributions, motifs of the user]: all sites, once the models are fitted, which others wait for; those of
    // motifs of RNA; and for each network that is attributed those where it looks
    sites = fitted.first().filter { wantsMotifs(settings) }.map { ['motifs', [], optionalFile(settings.motifs)] }.mix(
        fitted.first().filter { settings.rna_motifs }.map { ['motifs_rna', [], optionalFile(settings.rna_motifs)] },
        ATTRIBUTE.out.attributions.map { folder -> ["motifs_${folder.name}", folder, optionalFile(settings.motifs)] },
    )
    FIND_MOTIFS(windows, labels, covariates, sites, optionsOf(settings, 'find_motifs'))
    ENRICH(settings.marks ? labels : channel.empty(), covariates, filesOf(settings.marks), inputs.aliases)

    // the paper's claims on factors and marks are decided by Sei's explanation, that on motifs by attributed regions
    of_sei = EXPLAIN.out.explanation.filter { folder -> folder.name == 'sei_logistic' }.collect().ifEmpty([])
    of_motifs = FIND_MOTIFS.out.motifs.filter { folder -> folder.name == judgedMotifs(settings) }.collect().ifEmpty([])
    models = fitted.map { _model, _features, folder -> folder }.mix(networks)
    COMPARE(models.collect(sort: { folder -> folder.name }), labels, of_sei, of_motifs, optionsOf(settings, 'compare'))

    // [model, what it reads and is, files that its features were made with]
    scored = fitted.filter { model, _features, _folder -> model.embedder in embeddersOfWindows(settings) }.map { model, _features, folder ->
        def files = madeWith(model.embedder, settings)
        [folder, model + [length: windowOf(model.embedder, settings), options: files.keySet().toList()], files.values().toList()]
    }.mix(networks.map { folder -> [folder, [anchor: settings.anchor, length: settings.window, options: []], []] })
    SCORE_VARIANTS(
        settings.vcf ? scored : channel.empty(), optionalFile(settings.vcf), all_labels, inputs.fasta, inputs.aliases,
        optionalFile(settings.splice_weights), inputs.gtf, optionsOf(settings, 'score_variants'),
    )

    emit:
    published = inFolder('explain', EXPLAIN.out.explanation.mix(groups)).mix(
        inFolder('cards', EXPLAIN_INTRON.out.cards),
        inFolder('attribute', ATTRIBUTE.out.attributions),
        inFolder('variants', SCORE_VARIANTS.out.scores),
        inFolder('.', FIND_MOTIFS.out.motifs.mix(ENRICH.out.enrichment, COMPARE.out.comparison)),
    )
}
