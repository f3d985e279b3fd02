include { LABEL_INTRONS as LABEL_CELL_TYPES } from '../modules/label_introns'
include { FIT as FIT_CELL_TYPES } from '../modules/fit'
include { TRANSFER } from '../modules/transfer'
include { inFolder } from '../modules/publishing'
include { conditionsOf } from '../modules/samples'
include { canFit; modelsOf; optionalFile; optionsOf } from '../modules/settings'

// A study of each condition of the sheet, on the same features, and how far the models of one tell what is in another.
workflow CELL_TYPES {
    take:
    features // [name, H5AD]
    measured // tables of all samples
    inputs // gtf, fasta, aliases
    context // bases around an intron that no two folds may share
    settings

    main:
    conditions = settings.transfer ? conditionsOf(settings.alignments) : []
    options = channel.fromList(conditions).map { condition ->
        optionsOf(settings, 'label_introns') + [condition: condition, folder: "cell_types/${condition}".toString()]
    }
    LABEL_CELL_TYPES(inputs.gtf, inputs.fasta, measured, optionalFile(settings.alignments), [], inputs.aliases, context, options)
    // a condition of which too little was measured has labels and no model
    labels = LABEL_CELL_TYPES.out.study.filter { _options, _labels, counts -> canFit(counts, settings + [target: 'label']) }
    wanted = features.flatMap { name, h5ad -> modelsOf(name, settings).collect { model -> [model, h5ad] } }
    each = labels.combine(wanted).multiMap { own, table, _counts, model, h5ad ->
        model: [model + [folder: own.folder, condition: own.condition], h5ad]
        labels: table
    }
    FIT_CELL_TYPES(each.model, each.labels, [], optionalFile(settings.covariates), optionsOf(settings, 'fit') + [target: 'label'])
    // [kind of model, conditions, labels, models] of at least two conditions
    fitted = FIT_CELL_TYPES.out.model.map { model, _h5ad, folder -> [model.condition, model.name, folder] }
    compared = labels.map { own, table, _counts -> [own.condition, table] }.cross(fitted)
        .map { own, model -> [model[1], [own[0], own[1], model[2]]] }
        .groupTuple(sort: { one, other -> one[0] <=> other[0] })
        .filter { _name, parts -> parts.size() > 1 }
        .map { name, parts -> [name] + parts.transpose() }
    TRANSFER(compared, settings.seed)

    emit:
    published = FIT_CELL_TYPES.out.model.map { model, _h5ad, folder -> [model.folder, folder] }.mix(
        LABEL_CELL_TYPES.out.study.flatMap { own, table, counts -> [[own.folder, table], [own.folder, counts]] },
        LABEL_CELL_TYPES.out.left_out.map { own, ledger -> [own.folder, ledger] },
        inFolder('cell_types', TRANSFER.out.table),
    )
}
