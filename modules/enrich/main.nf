include { codeOf } from '../code'

process ENRICH {
    label 'small'
    ext code: { codeOf('enrich') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy'

    input:
    path labels
    path covariates, stageAs: 'covariates/*' // of the user
    path marks, stageAs: 'marks/*' // a mark has the name of its file
    path aliases, stageAs: 'aliases/*'

    output:
    path 'enrich', emit: enrichment

    script:
    def alias_option = aliases ? "--chrom-aliases ${aliases}" : ''
    def covariates_option = covariates ? "--covariates ${covariates}" : ''
    """
    # code ${task.ext.code}
    enrich.py ${labels} --peaks ${marks} ${covariates_option} ${alias_option} --output enrich
    """

    stub:
    """
    mkdir enrich
    """
}
