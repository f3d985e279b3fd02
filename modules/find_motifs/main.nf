process FIND_MOTIFS {
    label 'big'
    container "intronaut/torch:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy'

    input:
    path windows
    path labels
    val options // tax_group, seed

    output:
    path 'motifs', emit: motifs

    script:
    """
    find_motifs.py ${windows} --labels ${labels} --tax-group ${options.tax_group} --seed ${options.seed} \\
        --threads ${task.cpus} --output motifs
    """

    stub:
    """
    mkdir motifs
    """
}
