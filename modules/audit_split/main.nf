include { codeOf } from '../code'

process AUDIT_SPLIT {
    label 'small'
    ext code: { codeOf('audit_split') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/labels" }, mode: 'copy'

    input:
    path labels
    path windows

    output:
    path 'audit.tsv', emit: pairs
    path 'audit.json', emit: summary

    script:
    // the report shows every leak; it is the user who decides which of them matter
    """
    # code ${task.ext.code}
    audit_split.py --labels ${labels} --windows ${windows} --threads ${task.cpus} \\
        --max-bases 1 --max-twin 1 --max-homology 1 --max-gene 1 --output audit.tsv --json audit.json
    """

    stub:
    """
    touch audit.tsv audit.json
    """
}
