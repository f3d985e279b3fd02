process SPLIT_INTRONS {
    label 'small'
    container "intronaut/core:${workflow.manifest.version}"

    input:
    path labels
    path windows
    val options // scheme, folds, context; identity of homologous windows

    output:
    path 'split.tsv', emit: labels

    script:
    def homology = windows ? "--windows ${windows} --identity ${options.identity}" : ''
    """
    split_introns.py ${labels} --scheme ${options.scheme} --folds ${options.folds} --context ${options.context} \\
        ${homology} --threads ${task.cpus} --output split.tsv
    """

    stub:
    """
    touch split.tsv
    """
}
