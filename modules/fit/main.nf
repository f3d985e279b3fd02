process FIT {
    tag "${embedder}"
    label 'big'
    container "intronaut/core:${workflow.manifest.version}"

    input:
    tuple val(embedder), path(features)
    path labels
    val options // bootstrap, seed

    output:
    tuple val(embedder), path(features), path("fitted/${embedder}"), emit: model

    script:
    """
    fit.py --features ${features} --labels ${labels} --bootstrap ${options.bootstrap} --seed ${options.seed} \\
        --threads ${task.cpus} --output fitted/${embedder}
    """

    stub:
    """
    mkdir -p fitted/${embedder}
    touch fitted/${embedder}/{model.json,coefficients.tsv,predictions.tsv,metrics.json}
    """
}
