include { codeOf } from '../code'

process DIFFERENTIAL_RETENTION {
    label 'small'
    ext code: { codeOf('differential_retention') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/quantified" }, mode: 'copy'

    input:
    path tables, stageAs: 'tables/*'
    path samples, stageAs: 'samples/*'

    output:
    path 'differences.tsv', emit: differences
    path 'differences.json', emit: summary

    script:
    """
    # code ${task.ext.code}
    differential_retention.py ${tables} --sample-sheet ${samples} --output differences.tsv --summary differences.json
    """

    stub:
    """
    touch differences.tsv differences.json
    """
}
