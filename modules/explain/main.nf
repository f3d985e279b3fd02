process EXPLAIN {
    tag "${embedder}"
    label 'small'
    container "intronaut/core:${workflow.manifest.version}"

    input:
    tuple val(embedder), path(features), path(model)
    path labels
    val seed

    output:
    path "explained/${embedder}", emit: explanation
    path "explained/${embedder}/groups.tsv", emit: groups

    script:
    // what the features of this embedder are gathered by
    def group_option = [motifs: '--group-by tf', sei: '--group-by target'][embedder] ?: ''
    """
    explain.py --model ${model} --features ${features} --labels ${labels} ${group_option} --seed ${seed} \\
        --threads ${task.cpus} --output explained/${embedder}
    """

    stub:
    """
    mkdir -p explained/${embedder}
    touch explained/${embedder}/{groups.tsv,contributions.tsv}
    """
}
