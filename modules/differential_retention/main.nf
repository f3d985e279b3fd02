include { codeOf } from '../code'

process DIFFERENTIAL_RETENTION {
    label 'small'
    ext code: { codeOf('differential_retention') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/quantified" }, mode: 'copy'

    input:
    path tables, stageAs: 'tables/*'
    path samples, stageAs: 'samples/*'
    val contrast // LEVEL_vs_REFERENCE, or none: every other condition with the first

    output:
    path 'differences.tsv', emit: differences
    path 'differences.json', emit: summary

    script:
    def (condition, reference) = contrast.split('_vs_', 2).toList() + [null]
    def contrast_options = contrast ? "--condition ${condition} --reference ${reference}" : ''
    """
    # code ${task.ext.code}
    differential_retention.py ${tables} --sample-sheet ${samples} ${contrast_options} \\
        --output differences.tsv --summary differences.json
    """

    stub:
    """
    touch differences.tsv differences.json
    """
}
