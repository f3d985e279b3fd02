include { codeOf } from '../code'

process MATCH_INTRONS {
    tag "${options.match}"
    label 'small'
    ext code: { codeOf('match_introns') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/labels" }, mode: 'copy'

    input:
    path labels
    path covariates, stageAs: 'covariates/*' // of the user
    val options // match, seed

    output:
    path 'matched.tsv', emit: labels
    path 'balance.tsv', emit: balance
    path 'matched.json', emit: summary
    path 'unmatched.tsv', emit: ledger

    script:
    def covariates_option = covariates ? "--covariates ${covariates}" : ''
    """
    # code ${task.ext.code}
    match_introns.py ${labels} --match ${options.match} ${covariates_option} --seed ${options.seed} \\
        --output matched.tsv --balance balance.tsv --json matched.json --ledger unmatched.tsv
    """

    stub:
    """
    touch matched.tsv balance.tsv matched.json unmatched.tsv
    """
}
