include { codeOf } from '../code'

process EMBED_SPLICE {
    label 'gpu'
    ext code: { codeOf('embed_splice') }
    container "intronaut/torch:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/features" }, mode: 'copy'

    input:
    path labels
    path fasta, stageAs: 'fasta/*'
    path gtf, stageAs: 'annotation/*'
    path aliases, stageAs: 'aliases/*'
    path weights, stageAs: 'weights/*'

    output:
    tuple val('splice'), path('splice.h5ad'), emit: features

    script:
    def aliases_option = aliases ? "--chrom-aliases ${aliases}" : ''
    """
    # code ${task.ext.code}
    embed_splice.py ${labels} --fasta ${fasta} --annotation ${gtf} --weights ${weights} ${aliases_option} \\
        --threads ${task.cpus} --output splice.h5ad
    """

    stub:
    """
    touch splice.h5ad
    """
}
