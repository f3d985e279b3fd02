include { codeOf } from '../code'

process MERGE_FEATURES {
    tag "${name}"
    label 'small'
    ext code: { codeOf('merge_features') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/features" }, mode: 'copy'

    input:
    tuple val(name), path(shards)

    output:
    tuple val(name), path("${name}.h5ad"), emit: features

    script:
    """
    # code ${task.ext.code}
    merge_features.py ${shards} --output ${name}.h5ad
    """

    stub:
    """
    touch ${name}.h5ad
    """
}
