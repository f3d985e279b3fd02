include { codeOf } from '../code'

process EMBED_MOTIFS {
    tag "${name} ${shard.name}"
    label 'small'
    ext code: { codeOf('embed_motifs') }
    container "intronaut/core:${workflow.manifest.version}"

    input:
    tuple val(name), path(shard)
    path motifs, stageAs: 'motifs/*' // of the user; without them those of JASPAR
    val options // jaspar_release, tax_group

    output:
    tuple val(name), path('*.h5ad'), emit: features

    script:
    def motifs_option = motifs ? "--motifs ${motifs}" : "--jaspar-release ${options.jaspar_release} --tax-group ${options.tax_group}"
    """
    # code ${task.ext.code}
    embed_motifs.py ${shard} ${motifs_option} --output ${shard.name.replace('.fa.gz', '.h5ad')} --threads ${task.cpus}
    """

    stub:
    """
    touch ${shard.name.replace('.fa.gz', '.h5ad')}
    """
}
