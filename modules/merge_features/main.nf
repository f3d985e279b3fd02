include { codeOf } from '../code'

process MERGE_FEATURES {
    tag "${embedder}"
    label 'small'
    ext code: { codeOf('merge_features') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/features" }, mode: 'copy'

    input:
    tuple val(embedder), path(shards)

    output:
    tuple val(embedder), path("${embedder}.h5ad"), emit: features

    script:
    """
    # code ${task.ext.code}
    merge_features.py ${shards} --output ${embedder}.h5ad
    """

    stub:
    """
    touch ${embedder}.h5ad
    """
}
