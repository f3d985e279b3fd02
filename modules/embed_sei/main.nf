include { codeOf } from '../code'

process EMBED_SEI {
    tag "${shard.name}"
    label 'gpu'
    ext code: { codeOf('embed_sei') }
    container "intronaut/torch:${workflow.manifest.version}"

    input:
    tuple val(embedder), path(shard)
    path weights, stageAs: 'weights/*'
    path targets, stageAs: 'targets/*'
    val context

    output:
    tuple val(embedder), path('*.h5ad'), emit: features

    script:
    def targets_option = targets ? "--targets ${targets}" : ''
    """
    # code ${task.ext.code}
    embed_sei.py ${shard} --weights ${weights} ${targets_option} --context ${context} --threads ${task.cpus} \\
        --output ${shard.name.replace('.fa.gz', '.h5ad')}
    """

    stub:
    """
    touch ${shard.name.replace('.fa.gz', '.h5ad')}
    """
}
