process ENRICH {
    label 'small'
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy'

    input:
    path labels
    path marks
    path aliases

    output:
    path 'enrich', emit: enrichment

    script:
    def alias_option = aliases ? "--chrom-aliases ${aliases}" : ''
    """
    enrich.py ${labels} --peaks ${marks} ${alias_option} --output enrich
    """

    stub:
    """
    mkdir enrich
    """
}
