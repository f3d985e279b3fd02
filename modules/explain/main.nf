include { codeOf } from '../code'
include { featuresOf } from '../settings'

process EXPLAIN {
    tag "${wanted.name}"
    label 'big'
    ext code: { codeOf('explain') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/explain" }, mode: 'copy', saveAs: { name -> name.endsWith('.tsv') ? null : name - 'explained/' }

    input:
    tuple val(wanted), path(features), path(model)
    path labels
    path covariates, stageAs: 'covariates/*' // of the user
    val seed

    output:
    path "explained/${wanted.name}", emit: explanation
    path "explained/${wanted.name}/groups.tsv", emit: groups

    script:
    def group_option = wanted.group_by ? "--group-by ${wanted.group_by}" : ''
    // what is computed from Sei's features takes some 6 GB beside them
    def memory = task.memory.toGiga() * 0.4
    def covariates_option = covariates ? "--covariates ${covariates}" : ''
    """
    # code ${task.ext.code}
    explain.py --model ${model} --features ${featuresOf(features, wanted)} --labels ${labels} ${covariates_option} ${group_option} \\
        --seed ${seed} --threads ${task.cpus} --memory ${memory} --output explained/${wanted.name}
    """

    stub:
    """
    mkdir -p explained/${wanted.name}
    touch explained/${wanted.name}/{groups.tsv,contributions.tsv}
    """
}
