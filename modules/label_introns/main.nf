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
    val options // format, value, base, threshold, consensus of the calls; min_overlap of the peaks; context, folds

    output:
    path 'labels.tsv', emit: labels
    path 'ledger.tsv', emit: ledger
    path 'counts.json', emit: counts
    path 'calls.tsv', emit: calls, optional: true

    script:
    def calls_options = calls ? "--calls ${calls} --calls-format ${options.format} --consensus ${options.consensus} --calls-table calls.tsv" : ''
    def value_option = calls && options.value ? "--calls-value ${options.value}" : ''
    def base_option = calls && options.base != null ? "--calls-base ${options.base}" : ''
    def threshold_option = calls && options.threshold != null ? "--calls-threshold ${options.threshold}" : ''
    def peaks_options = peaks ? "--peaks ${peaks} --min-overlap ${options.min_overlap}" : ''
    def alias_option = aliases ? "--chrom-aliases ${aliases}" : ''
    """
    label_introns.py ${annotation} --fasta ${fasta} ${alias_option} ${peaks_options} \\
        ${calls_options} ${value_option} ${base_option} ${threshold_option} \\
        --window ${options.context} --folds ${options.folds} \\
        --output labels.tsv --ledger ledger.tsv --counts counts.json
    """

    stub:
    """
    touch labels.tsv ledger.tsv counts.json
    """
}
