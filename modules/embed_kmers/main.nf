include { codeOf } from '../code'

process EMBED_KMERS {
    tag "${name} ${shard.name}"
    label 'small'
    ext code: { codeOf('embed_kmers') }
    container "intronaut/core:${workflow.manifest.version}"

    input:
    tuple val(name), path(shard)

    output:
    tuple val(name), path('*.h5ad'), emit: features

    script:
    """
    # code ${task.ext.code}
    embed_kmers.py ${shard} --output ${shard.name.replace('.fa.gz', '.h5ad')}
    """

    stub:
    """
    touch ${shard.name.replace('.fa.gz', '.h5ad')}
    """
}
