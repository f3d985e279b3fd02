include { codeOf } from '../code'
include { quoted } from '../samples'
include { featuresOf } from '../settings'

process EXPLAIN_INTRON {
    tag "${wanted.name}"
    label 'small'
    ext code: { codeOf('explain_intron') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/cards" }, mode: 'copy', saveAs: { name -> name - 'cards/' }

    input:
    tuple val(wanted), path(features), path(model), path(explained, stageAs: 'explained/*')
    path motifs, stageAs: 'motifs/*' // of RNA-binding proteins, as embed_motifs read them
    path labels
    // lines of a sheet of samples, their alignments, how indexes come beside them; or three empty lists
    tuple val(lines), path(reads, stageAs: 'reads?/*'), val(links)
    path quantified, stageAs: 'quantified/*'
    path annotation, stageAs: 'annotation/*'
    path fasta, stageAs: 'fasta/*'
    val top

    output:
    path "cards/${wanted.name}", emit: cards

    script:
    def group_option = wanted.group_by ? "--group-by ${wanted.group_by}" : ''
    def motifs_option = wanted.embedder == 'rna' ? "--motifs ${motifs}" : ''
    def reads_options = lines
        ? "--sample-sheet sheet.tsv --quantified quantified --annotation ${annotation} --fasta ${fasta}" : ''
    """
    # code ${task.ext.code}
    printf '%s\\n' ${lines.collect { line -> "'${quoted(line)}'" }.join(' ')} > sheet.tsv
    ${links.join('\n    ')}
    explain_intron.py --model ${model} --features ${featuresOf(features, wanted)} --labels ${labels} \\
        ${group_option} --top ${top} --explain ${explained} ${motifs_option} \\
        ${reads_options} \\
        --threads ${task.cpus} --output cards/${wanted.name}
    """

    stub:
    """
    mkdir -p cards/${wanted.name}
    touch cards/${wanted.name}/{cards.html,cards.tsv,cards.json}
    """
}
