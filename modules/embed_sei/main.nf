include { codeOf } from '../code'

process EMBED_SEI {
    tag "${name} ${shard.name}"
    label 'gpu'
    ext code: { codeOf('embed_sei') }
    container "intronaut/torch:${workflow.manifest.version}"

    input:
    tuple val(name), path(shard)
    path weights, stageAs: 'weights/*'
    path targets, stageAs: 'targets/*'
    path projection, stageAs: 'projection/*'
    path class_names, stageAs: 'class_names/*'
    val options // sei_context, sei_features, embedding_cache

    output:
    tuple val(name), path('*.h5ad'), emit: features

    script:
    def targets_option = targets ? "--targets ${targets}" : ''
    def projection_option = projection ? "--projection ${projection}" : ''
    def names_option = class_names ? "--class-names ${class_names}" : ''
    def cache_option = options.embedding_cache ? "--cache ${options.embedding_cache}" : ''
    """
    # code ${task.ext.code}
    embed_sei.py ${shard} --weights ${weights} ${targets_option} ${projection_option} ${names_option} \\
        --context ${options.sei_context} --features ${options.sei_features} --threads ${task.cpus} --record-cost \\
        ${cache_option} --output ${shard.name.replace('.fa.gz', '.h5ad')}
    """

    stub:
    """
    touch ${shard.name.replace('.fa.gz', '.h5ad')}
    """
}
