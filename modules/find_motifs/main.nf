include { codeOf } from '../code'

process FIND_MOTIFS {
    tag "${name}"
    label 'big'
    ext code: { codeOf('find_motifs') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy'

    input:
    path windows
    path labels
    path covariates, stageAs: 'covariates/*' // of the user
    // folder of attribute, empty for all sites; motifs of the user, without them those of JASPAR
    tuple val(name), path(attributions), path(motifs, stageAs: 'motifs_given/*')
    val options // jaspar_release, tax_group, seed

    output:
    path name, emit: motifs

    script:
    def attributions_option = attributions ? "--attributions ${attributions}/attributions.h5" : ''
    def motifs_option = motifs ? "--motifs ${motifs}" : "--jaspar-release ${options.jaspar_release} --tax-group ${options.tax_group}"
    def covariates_option = covariates ? "--covariates ${covariates}" : ''
    """
    # code ${task.ext.code}
    find_motifs.py ${windows} --labels ${labels} ${covariates_option} ${attributions_option} ${motifs_option} \\
        --seed ${options.seed} --threads ${task.cpus} --output ${name}
    """

    stub:
    """
    mkdir ${name}
    """
}
