include { codeOf } from '../code'
include { quoted } from '../samples'

process EMBED_TRACKS {
    label 'small'
    ext code: { codeOf('embed_tracks') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/features" }, mode: 'copy'

    input:
    path labels
    tuple val(lines), path(tracks, stageAs: 'tracks?/*') // lines of a sheet that name the tracks as they are staged
    path aliases, stageAs: 'aliases/*'
    val options // anchor, window

    output:
    tuple val('tracks'), path('tracks.h5ad'), emit: features

    script:
    def aliases_option = aliases ? "--chrom-aliases ${aliases}" : ''
    """
    # code ${task.ext.code}
    printf '%s\\n' ${lines.collect { line -> "'${quoted(line)}'" }.join(' ')} > sheet.tsv
    embed_tracks.py ${labels} --tracks sheet.tsv ${aliases_option} --anchor ${options.anchor} --length ${options.window} \\
        --output tracks.h5ad
    """

    stub:
    """
    touch tracks.h5ad
    """
}
