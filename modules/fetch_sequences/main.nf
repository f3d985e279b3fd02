include { codeOf } from '../code'

process FETCH_SEQUENCES {
    tag "${embedder}"
    label 'small'
    ext code: { codeOf('fetch_sequences') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/windows" }, mode: 'copy', pattern: '*.{fa.gz,tsv}'

    input:
    tuple val(embedder), val(length)
    path labels
    path fasta, stageAs: 'fasta/*'
    path aliases, stageAs: 'aliases/*'
    val options // anchor, strand, shard_size

    output:
    tuple val(embedder), path("${embedder}/*.fa.gz"), emit: shards
    tuple val(embedder), path("${embedder}.fa.gz"), emit: windows
    path "${embedder}.dropped.tsv", emit: dropped

    script:
    def alias_option = aliases ? "--chrom-aliases ${aliases}" : ''
    """
    # code ${task.ext.code}
    fetch_sequences.py ${labels} --fasta ${fasta} ${alias_option} \\
        --anchor ${options.anchor} --length ${length} --strand ${options.strand} \\
        --shard-size ${options.shard_size} --shard-dir ${embedder} \\
        --output ${embedder}.fa.gz --dropped ${embedder}.dropped.tsv
    """

    stub:
    """
    mkdir ${embedder}
    touch ${embedder}/windows.00001.fa.gz ${embedder}/windows.00002.fa.gz ${embedder}.fa.gz ${embedder}.dropped.tsv
    """
}
