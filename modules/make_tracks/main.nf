include { codeOf } from '../code'
include { intoFolders } from '../publishing'

process MAKE_TRACKS {
    label 'small'
    ext code: { codeOf('make_tracks') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy'

    input:
    tuple val(folders), path(results, stageAs: 'staged/?/*') // labels, fit and attribute of a finished study
    path fasta, stageAs: 'fasta/*'
    path aliases, stageAs: 'aliases/*'
    val options // assembly

    output:
    path 'tracks', emit: tracks

    script:
    def aliases_option = aliases ? "--chrom-aliases ${aliases}" : ''
    def fit_option = 'fit' in folders ? '--fit fit/*' : ''
    def attributions_option = 'attribute' in folders ? '--attributions attribute/*' : ''
    def assembly_option = options.assembly ? "--assembly ${options.assembly}" : ''
    """
    # code ${task.ext.code}
    ${intoFolders(folders)}
    make_tracks.py --labels labels/labels.tsv --fasta ${fasta} ${aliases_option} ${fit_option} ${attributions_option} \\
        ${assembly_option} --output tracks
    """

    stub:
    """
    mkdir tracks
    touch tracks/igv_session.xml
    """
}
