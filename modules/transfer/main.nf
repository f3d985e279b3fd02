include { codeOf } from '../code'

process TRANSFER {
    tag "${model}"
    label 'small'
    ext code: { codeOf('transfer') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/cell_types" }, mode: 'copy'

    input:
    // a kind of model, the conditions that have one, their labels and models in the same order
    tuple val(model), val(conditions), path(labels, stageAs: 'labels?/*'), path(models, stageAs: 'models?/*')
    val seed

    output:
    path "transfer_${model}.tsv", emit: table

    script:
    def of_labels = [conditions, labels].transpose().collect { condition, file -> "${condition}=${file}" }.join(' ')
    def of_models = [conditions, models].transpose().collect { condition, file -> "${condition}=${file}" }.join(' ')
    """
    # code ${task.ext.code}
    transfer.py --models ${of_models} --labels ${of_labels} --seed ${seed} --output transfer_${model}.tsv
    """

    stub:
    """
    touch transfer_${model}.tsv
    """
}
