include { codeOf } from '../code'
include { featuresOf } from '../settings'

process FIT {
    tag "${wanted.name}"
    label 'big'
    ext code: { codeOf('fit') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/${wanted.folder ?: 'fit'}" }, mode: 'copy', saveAs: { name ->
        name.endsWith('.h5ad') ? null : name - 'fitted/'
    }

    input:
    tuple val(wanted), path(features) // wanted: name, embedder, model, groups, folder; one file or several
    path labels
    path near_copies
    path covariates, stageAs: 'covariates/*' // of the user
    val options // preset, target, threshold, calibration, shuffle_control, repeats, folds, bootstrap, seed

    output:
    tuple val(wanted), path(features), path("fitted/${wanted.name}"), emit: model

    script:
    def covariates_option = covariates ? "--covariates ${covariates}" : ''
    // levels have no threshold, no pairs that hold the same label twice, and no metrics that jump
    def copies_option = near_copies ? "--near-copies ${near_copies}" : ''
    def labels_only = "--threshold ${options.threshold} --bootstrap ${options.bootstrap} ${copies_option}"
    def label_options = options.target == 'label' ? labels_only : ''
    def repeats_option = options.repeats > 1 ? "--repeats ${options.repeats} --folds ${options.folds}" : ''
    def control_option = options.shuffle_control ? '--shuffle-control' : ''
    // features that are kept in memory; the rest is for what is computed from them
    def memory = task.memory.toGiga() * 0.6
    """
    # code ${task.ext.code}
    fit.py --features ${featuresOf(features, wanted)} --labels ${labels} --model ${wanted.model} --feature-groups ${wanted.groups} \\
        --preset ${options.preset} --target ${options.target} ${label_options} \\
        --calibrate ${options.calibration} ${control_option} ${repeats_option} ${covariates_option} \\
        --seed ${options.seed} \\
        --threads ${task.cpus} --memory ${memory} --output fitted/${wanted.name}
    """

    stub:
    """
    mkdir -p fitted/${wanted.name}
    touch fitted/${wanted.name}/{model.json,coefficients.tsv,predictions.tsv,metrics.json}
    """
}
