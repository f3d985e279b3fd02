process LABEL_INTRONS {
    tag "${annotation.name}"
    label 'small'
    container "intronaut/core:${workflow.manifest.version}"

    input:
    path annotation
    path fasta
    path calls
    path peaks
    path aliases

    output:
    path 'labels.tsv', emit: labels
    path 'ledger.tsv', emit: ledger
    path 'counts.json', emit: counts

    script:
    def calls_options = calls ? "--calls ${calls} --calls-base ${params.ir_base} --calls-threshold ${params.ir_threshold}" : ''
    def value_option = calls && params.ir_value ? "--calls-value ${params.ir_value}" : ''
    def peaks_options = peaks ? "--peaks ${peaks} --min-overlap ${params.min_overlap}" : ''
    def alias_option = aliases ? "--chrom-aliases ${aliases}" : ''
    """
    label_introns.py ${annotation} --fasta ${fasta} ${calls_options} ${value_option} ${peaks_options} ${alias_option} \\
        --window ${params.window} --folds ${params.folds} \\
        --output labels.tsv --ledger ledger.tsv --counts counts.json
    """

    stub:
    """
    touch labels.tsv ledger.tsv counts.json
    """
}
