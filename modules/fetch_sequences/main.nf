include { codeOf } from '../code'

process FETCH_SEQUENCES {
    tag "${cut}"
    label 'small'
    ext code: { codeOf('fetch_sequences') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/windows" }, mode: 'copy', pattern: '*.{fa.gz,tsv}'

    input:
    tuple val(cut), val(length), val(anchor)
    path labels
    path fasta, stageAs: 'fasta/*'
    path aliases, stageAs: 'aliases/*'
    val options // strand, shard_size

    output:
    tuple val(cut), path("${cut}/*.fa.gz"), emit: shards
    tuple val(cut), path("${cut}.fa.gz"), emit: windows
    path "${cut}.dropped.tsv", emit: dropped

    script:
    def alias_option = aliases ? "--chrom-aliases ${aliases}" : ''
    """
    # code ${task.ext.code}
    fetch_sequences.py ${labels} --fasta ${fasta} ${alias_option} \\
        --anchor ${anchor} --length ${length} --strand ${options.strand} \\
        --shard-size ${options.shard_size} --shard-dir ${cut} \\
        --output ${cut}.fa.gz --dropped ${cut}.dropped.tsv
    """

    stub:
    """
    mkdir ${cut}
    touch ${cut}/windows.00001.fa.gz ${cut}/windows.00002.fa.gz ${cut}.fa.gz ${cut}.dropped.tsv
    """
}
