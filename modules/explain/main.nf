process EXPLAIN {
    tag "${embedder}"
    label 'small'
    container "intronaut/core:${workflow.manifest.version}"

    input:
    tuple val(embedder), path(features), path(model)
    path labels

    output:
    path "explained/${embedder}", emit: explanation

    script:
    """
    explain.py --model ${model} --features ${features} --labels ${labels} --seed ${params.seed} \\
        --threads ${task.cpus} --output explained/${embedder}
    """

    stub:
    """
    mkdir -p explained/${embedder}
    touch explained/${embedder}/{groups.tsv,contributions.tsv}
    """
}
