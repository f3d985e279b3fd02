include { codeOf } from '../code'

process EMBED_MOTIFS {
    tag "${shard.name}"
    label 'small'
    ext code: { codeOf('embed_motifs') }
    container "intronaut/core:${workflow.manifest.version}"

    input:
    tuple val(embedder), path(shard)
    val tax_group

    output:
    tuple val(embedder), path('*.h5ad'), emit: features

    script:
    """
    # code ${task.ext.code}
    embed_motifs.py ${shard} --tax-group ${tax_group} --output ${shard.name.replace('.fa.gz', '.h5ad')} --threads ${task.cpus}
    """

    stub:
    """
    touch ${shard.name.replace('.fa.gz', '.h5ad')}
    """
}
