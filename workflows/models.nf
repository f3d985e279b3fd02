include { FIT } from '../modules/fit'
include { FINETUNE } from '../modules/finetune'
include { PARTITION } from '../modules/partition'
include { inFolder } from '../modules/publishing'
include { joinedModels; modelsOf; networksOf; optionalFile; optionsOf } from '../modules/settings'

// Linear models and trees on features, networks on the windows themselves, and what each kind of features adds.
workflow MODELS {
    take:
    features // [name, H5AD]
    windows // FASTA that the networks read
    labels
    near_copies // pairs of windows that folds share nearly
    settings

    main:
    // [what to fit, features], e.g. [[name: 'motifs_logistic', embedder: 'motifs', model: 'logistic', groups: 'all' ...], motifs.h5ad]
    wanted = features.flatMap { name, h5ad -> modelsOf(name, settings).collect { model -> [model, h5ad] } }
    // files by name, so that a resumed run gives them in the same order
    all_features = features.map { _name, h5ad -> h5ad }.toSortedList { one, other -> one.name <=> other.name }
    joined = all_features.flatMap { files -> joinedModels(files, settings).collect { model -> [model, files] } }
    covariates = optionalFile(settings.covariates)
    FIT(wanted.mix(joined), labels, near_copies, covariates, optionsOf(settings, 'fit'))
    FINETUNE(channel.fromList(networksOf(settings)), windows, labels, covariates, optionsOf(settings, 'finetune'))
    // what each kind of information adds to what the others know, once the models are fitted, which others wait for
    after_fits = all_features.map { files -> [files] }.combine(FIT.out.model.count()).map { files, _fits -> files }
    PARTITION(after_fits.filter { settings.partition }, labels, covariates, optionsOf(settings, 'partition'))

    emit:
    fitted = FIT.out.model // [what was fitted, features, folder]
    networks = FINETUNE.out.model // folder
    published = inFolder('fit', FIT.out.model.map { _model, _features, folder -> folder }.mix(FINETUNE.out.model))
        .mix(inFolder('.', PARTITION.out.partition))
}
