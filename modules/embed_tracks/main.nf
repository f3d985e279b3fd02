include { codeOf } from '../code'

process EMBED_TRACKS {
    label 'small'
    ext code: { codeOf('embed_tracks') }
    container "intronaut/core:${workflow.manifest.version}"

    input:
    path labels
    path sheet
    path tracks // the files that the sheet names, beside it
    path aliases
    val options // anchor, window

    output:
    tuple val('tracks'), path('tracks.h5ad'), emit: features

    script:
    def aliases_option = aliases ? "--chrom-aliases ${aliases}" : ''
    """
    # code ${task.ext.code}
    embed_tracks.py ${labels} --tracks ${sheet} ${aliases_option} --anchor ${options.anchor} --length ${options.window} \\
        --output tracks.h5ad
    """

    stub:
    """
    touch tracks.h5ad
    """
}
