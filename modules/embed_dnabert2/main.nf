include { codeOf } from '../code'

process EMBED_DNABERT2 {
    tag "${name} ${shard.name}"
    label 'gpu'
    ext code: { codeOf('embed_dnabert2') }
    container "intronaut/torch:${workflow.manifest.version}"

    input:
    tuple val(name), path(shard)
    path weights, stageAs: 'weights/*'
    path tokenizer, stageAs: 'tokenizer/*'
    val options // embedding_cache

    output:
    tuple val(name), path('*.h5ad'), emit: features

    script:
    def cache_option = options.embedding_cache ? "--cache ${options.embedding_cache}" : ''
    """
    # code ${task.ext.code}
    embed_dnabert2.py ${shard} --weights ${weights} --tokenizer ${tokenizer} --threads ${task.cpus} --record-cost \\
        ${cache_option} --output ${shard.name.replace('.fa.gz', '.h5ad')}
    """

    stub:
    """
    touch ${shard.name.replace('.fa.gz', '.h5ad')}
    """
}
