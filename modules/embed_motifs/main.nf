include { codeOf } from '../code'

process EMBED_MOTIFS {
    tag "${name} ${shard.name}"
    label 'small'
    ext code: { codeOf('embed_motifs') }
    container "intronaut/core:${workflow.manifest.version}"

    input:
    tuple val(name), path(shard)
    val tax_group

    output:
    tuple val(name), path('*.h5ad'), emit: features

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
