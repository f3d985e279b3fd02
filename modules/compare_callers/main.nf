include { codeOf } from '../code'

process COMPARE_CALLERS {
    label 'small'
    ext code: { codeOf('compare_callers') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/labels" }, mode: 'copy'

    input:
    path calls

    output:
    path 'agreement', emit: agreement

    script:
    """
    # code ${task.ext.code}
    mkdir agreement
    compare_callers.py ${calls} --output agreement/agreement.tsv --summary agreement/agreement.json \\
        --figure agreement/agreement.svg
    """

    stub:
    """
    mkdir agreement
    """
}
