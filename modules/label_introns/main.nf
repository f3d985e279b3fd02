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
    val options // base, value, threshold of the calls; min_overlap of the peaks; window, folds

    output:
    path 'labels.tsv', emit: labels
    path 'ledger.tsv', emit: ledger
    path 'counts.json', emit: counts

    script:
    def calls_options = calls ? "--calls ${calls} --calls-base ${options.base} --calls-threshold ${options.threshold}" : ''
    def value_option = calls && options.value ? "--calls-value ${options.value}" : ''
    def peaks_options = peaks ? "--peaks ${peaks} --min-overlap ${options.min_overlap}" : ''
    def alias_option = aliases ? "--chrom-aliases ${aliases}" : ''
    """
    label_introns.py ${annotation} --fasta ${fasta} ${calls_options} ${value_option} ${peaks_options} ${alias_option} \\
        --window ${options.window} --folds ${options.folds} \\
        --output labels.tsv --ledger ledger.tsv --counts counts.json
    """

    stub:
    """
    touch labels.tsv ledger.tsv counts.json
    """
}
