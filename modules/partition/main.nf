include { codeOf } from '../code'
include { featuresOf } from '../settings'

process PARTITION {
    label 'big'
    ext code: { codeOf('partition') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy'

    input:
    path features, stageAs: 'features/*' // of any number of embedders
    path labels
    path covariates, stageAs: 'covariates/*'
    val options // target, anchors, seed

    output:
    path 'partition', emit: partition

    script:
    def covariates_option = covariates ? "--covariates ${covariates}" : ''
    // beside the gene's architecture, composition and splice sites; every set of more than six blocks would be too many
    def sampled_option = [features].flatten().size() + (covariates ? 1 : 0) > 3 ? '--sampled 20' : ''
    """
    # code ${task.ext.code}
    partition.py --features ${featuresOf(features, options)} --labels ${labels} --target ${options.target} ${covariates_option} \\
        ${sampled_option} --seed ${options.seed} --threads ${task.cpus} --output partition
    """

    stub:
    """
    mkdir partition
    """
}
