include { FIT } from '../modules/fit'
include { FINETUNE } from '../modules/finetune'
include { inFolder } from '../modules/publishing'
include { modelsOf; networksOf; optionsOf } from '../modules/settings'

// Linear models and trees on features, and networks on the windows themselves.
workflow MODELS {
    take:
    features // [name, H5AD]
    windows // FASTA that the networks read
    labels
    settings

    main:
    // [what to fit, features], e.g. [[name: 'motifs_logistic', embedder: 'motifs', model: 'logistic', groups: 'all' …], motifs.h5ad]
    wanted = features.flatMap { name, h5ad -> modelsOf(name, settings).collect { model -> [model, h5ad] } }
    FIT(wanted, labels, optionsOf(settings, 'fit'))
    FINETUNE(channel.fromList(networksOf(settings)), windows, labels, optionsOf(settings, 'finetune'))

    emit:
    fitted = FIT.out.model // [what was fitted, features, folder]
    networks = FINETUNE.out.model // folder
    published = inFolder('fit', FIT.out.model.map { _model, _features, folder -> folder }.mix(FINETUNE.out.model))
}
