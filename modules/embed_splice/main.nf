include { codeOf } from '../code'

process EMBED_SPLICE {
    label 'gpu'
    ext code: { codeOf('embed_splice') }
    container "intronaut/torch:${workflow.manifest.version}"

    input:
    path labels
    path fasta
    path gtf
    path weights, stageAs: 'weights/*'
    path aliases

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
