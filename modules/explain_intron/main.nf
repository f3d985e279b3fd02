include { codeOf } from '../code'
include { featuresOf } from '../settings'

process EXPLAIN_INTRON {
    tag "${wanted.name}"
    label 'small'
    ext code: { codeOf('explain_intron') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/cards" }, mode: 'copy', saveAs: { name -> name - 'cards/' }

    input:
    tuple val(wanted), path(features), path(model)
    path labels
    val top

    output:
    path "cards/${wanted.name}", emit: cards

    script:
    def group_option = wanted.group_by ? "--group-by ${wanted.group_by}" : ''
    """
    # code ${task.ext.code}
    explain_intron.py --model ${model} --features ${featuresOf(features, wanted)} --labels ${labels} ${group_option} --top ${top} \\
        --threads ${task.cpus} --output cards/${wanted.name}
    """

    stub:
    """
    mkdir -p cards/${wanted.name}
    touch cards/${wanted.name}/{cards.html,cards.tsv,cards.json}
    """
}
