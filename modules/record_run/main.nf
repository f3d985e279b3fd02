include { codeOf } from '../code'
include { intoFolders } from '../publishing'

process RECORD_RUN {
    label 'small'
    ext code: { codeOf('record_run') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy', saveAs: { name -> name - 'recorded/' }

    input:
    tuple val(folders), path(files, stageAs: 'staged/?/*') // results/..., inputs/..., images, settings.json, main.nf

    output:
    path 'recorded/ro-crate-metadata.json*', emit: crate
    path 'recorded/pipeline_info/*', emit: info

    script:
    """
    # code ${task.ext.code}
    ${intoFolders(folders)}
    record_run.py results --inputs inputs/*/* --locks images/*/requirements.txt --settings settings.json --workflow main.nf \\
        --output recorded
    """

    stub:
    """
    ${intoFolders(folders)}
    mkdir -p recorded/pipeline_info
    touch recorded/ro-crate-metadata.json{,.sha256} recorded/pipeline_info/versions.tsv
    """
}
