include { codeOf } from '../code'

process COMPARE {
    label 'small'
    ext code: { codeOf('compare') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy'

    input:
    path models, stageAs: 'fit/*'
    path labels
    path explanation // of Sei's profiles
    path motifs
    val options // bootstrap, seed

    output:
    path 'compare', emit: comparison

    script:
    def claims_options = (explanation ? "--explain ${explanation} " : '') + (motifs ? "--motifs ${motifs}" : '')
    """
    # code ${task.ext.code}
    compare.py fit/* --labels ${labels} ${claims_options} --bootstrap ${options.bootstrap} --seed ${options.seed} --output compare
    """

    stub:
    """
    mkdir compare
    """
}
