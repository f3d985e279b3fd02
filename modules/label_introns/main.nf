include { codeOf } from '../code'

process LABEL_INTRONS {
    tag "${annotation.name}"
    label 'small'
    ext code: { codeOf('label_introns') }
    container "intronaut/core:${workflow.manifest.version}"
    // the labels of a study are published once they are split
    publishDir path: { "${task.ext.outdir}/${options.folder}" }, mode: 'copy', saveAs: { name ->
        name == 'labels.tsv' && options.folder == 'labels' ? null : name
    }

    input:
    // a user's files, in folders of their own: none can have the name of an output
    path annotation, stageAs: 'annotation/*'
    path fasta, stageAs: 'fasta/*'
    path calls, stageAs: 'calls?/*' // callers name the files of all samples alike
    path samples, stageAs: 'samples/*' // the sheet of those that were measured from reads
    path peaks, stageAs: 'peaks/*'
    path aliases, stageAs: 'aliases/*'
    val context // bases about an intron that no two folds may share
    val options // ir_..., min_splice_sites, min_overlap, annotation_rule, min_length, paper_labels, folds, condition, contrast, folder

    output:
    tuple val(options), path('labels.tsv'), path('counts.json'), emit: study
    tuple val(options), path('ledger.tsv'), emit: left_out
    path 'labels.tsv', emit: labels
    path 'ledger.tsv', emit: ledger
    path 'counts.json', emit: counts
    path 'calls.tsv', emit: calls, optional: true

    script:
    def calls_option = calls ? "--calls ${calls} --calls-format ${options.ir_format} --calls-table calls.tsv" : ''
    def agreement_options = calls ? "--consensus ${options.ir_consensus} --min-splice-sites ${options.min_splice_sites}" : ''
    def sheet_option = samples ? "--sample-sheet ${samples}" : ''
    def condition_option = options.condition ? "--condition ${options.condition}" : ''
    def value_option = calls && options.ir_value ? "--calls-value ${options.ir_value}" : ''
    def base_option = calls && options.ir_base != null ? "--calls-base ${options.ir_base}" : ''
    def scale_option = calls ? "--calls-scale ${options.ir_scale}" : ''
    def flags_option = calls && options.ir_exclude_flags ? '--exclude-flags' : ''
    def threshold_option = calls && options.ir_threshold != null ? "--calls-threshold ${options.ir_threshold}" : ''
    def limits_option = calls && options.ir_limits ? "--calls-limits ${options.ir_limits}" : ''
    def paper_option = options.paper_labels ? '--paper' : ''
    def peaks_options = peaks ? "--peaks ${peaks} --min-overlap ${options.min_overlap} ${paper_option}" : ''
    // what reads can tell may be too little for models, which counts.json says and the study then does without
    def empty_option = samples || options.contrast ? '--allow-empty' : ''
    def length_option = options.min_length ? "--min-length ${options.min_length}" : ''
    def alias_option = aliases ? "--chrom-aliases ${aliases}" : ''
    """
    # code ${task.ext.code}
    label_introns.py ${annotation} --fasta ${fasta} ${alias_option} ${peaks_options} --annotation-rule ${options.annotation_rule} \\
        ${calls_option} ${sheet_option} ${condition_option} ${agreement_options} ${flags_option} ${value_option} \\
        ${base_option} ${scale_option} ${threshold_option} ${limits_option} ${length_option} ${empty_option} \\
        --window ${context} --folds ${options.folds} \\
        --output labels.tsv --ledger ledger.tsv --counts counts.json
    """

    stub:
    """
    touch labels.tsv ledger.tsv counts.json
    """
}
