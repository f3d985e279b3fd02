process ENRICH {
    label 'small'
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy'

    input:
    path labels
    path marks, stageAs: 'marks/*' // a mark has the name of its file
    path aliases, stageAs: 'aliases/*'

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
