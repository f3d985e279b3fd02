include { codeOf } from '../code'
include { quoted } from '../samples'

process QUANTIFY_INTRONS {
    tag "${sample}"
    label 'big'
    ext code: { codeOf('quantify_introns') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/quantified" }, mode: 'copy', saveAs: { path -> path.tokenize('/').last() }

    input:
    // one sample: lines of a sheet that name its files as they are staged, the files, how their indexes come beside them
    tuple val(sample), val(lines), path(reads, stageAs: 'reads?/*'), val(links)
    path annotation, stageAs: 'annotation/*'
    path fasta, stageAs: 'fasta/*'
    path aliases, stageAs: 'aliases/*'

    output:
    path "quantified/${sample}.introns.tsv.gz", emit: tables
    path "quantified/${sample}.counts.json", emit: counts
    path "quantified/${sample}.*_mqc.tsv", emit: multiqc
    path "quantified/${sample}.psi.bw", emit: tracks, optional: true
    path "quantified/${sample}.sashimi", emit: figures, optional: true

    script:
    def alias_option = aliases ? "--chrom-aliases ${aliases}" : ''
    """
    # code ${task.ext.code}
    printf '%s\\n' ${lines.collect { line -> "'${quoted(line)}'" }.join(' ')} > sheet.tsv
    ${links.join('\n    ')}
    quantify_introns.py ${annotation} --samples sheet.tsv --fasta ${fasta} ${alias_option} \\
        --tracks --sashimi-top 3 --threads ${task.cpus} --output quantified
    for table in quantified/*_mqc.tsv; do mv \$table quantified/${sample}.\${table##*/}; done
    if [ -d quantified/sashimi ]; then mv quantified/sashimi quantified/${sample}.sashimi; fi
    """

    stub:
    """
    mkdir quantified
    touch quantified/${sample}.introns.tsv.gz quantified/${sample}.counts.json quantified/${sample}.quantify_introns_mqc.tsv
    """
}
