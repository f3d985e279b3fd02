process COMPARE {
    label 'small'
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy'

    input:
    path models, stageAs: 'fit/*'
    path labels
    val options // bootstrap, seed

    output:
    path 'compare', emit: comparison

    script:
    """
    compare.py fit/* --labels ${labels} --bootstrap ${options.bootstrap} --seed ${options.seed} --output compare
    """

    stub:
    """
    mkdir compare
    """
}
