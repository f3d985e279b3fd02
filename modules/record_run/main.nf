process RECORD_RUN {
    label 'small'
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy', saveAs: { name -> name - 'recorded/' }

    input:
    path labels, stageAs: 'results/labels/*'
    path windows, stageAs: 'results/windows/*'
    path features, stageAs: 'results/features/*'
    path models, stageAs: 'results/fit/*'
    path explanations, stageAs: 'results/explain/*'
    path cards, stageAs: 'results/cards/*'
    path attributions, stageAs: 'results/attribute/*'
    path variants, stageAs: 'results/variants/*'
    path others, stageAs: 'results/*'
    path inputs, stageAs: 'inputs/?/*'
    path images, stageAs: 'images/*'
    path settings
    path main_script

    output:
    path 'recorded/ro-crate-metadata.json', emit: crate
    path 'recorded/pipeline_info/*', emit: info

    script:
    """
    record_run.py results --inputs inputs/*/* --locks images/*/requirements.txt --settings ${settings} --workflow ${main_script} --output recorded
    """

    stub:
    """
    mkdir -p recorded/pipeline_info
    touch recorded/ro-crate-metadata.json recorded/pipeline_info/versions.tsv
    """
}
