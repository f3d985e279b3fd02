include { codeOf } from '../code'

process SPLIT_INTRONS {
    label 'small'
    ext code: { codeOf('split_introns') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/labels" }, mode: 'copy'

    input:
    path labels, stageAs: 'unsplit.tsv'
    val fits // whether models can be fitted to the labels; else they stay as they are
    path windows // equal sequences go to one part; with homology, similar ones too
    val context // bases about an intron that no two parts may share
    val options // target, split, folds, homology, test_chromosomes, valid_chromosomes

    output:
    path 'labels.tsv', emit: labels

    script:
    def by_chromosome = options.split == 'chromosome'
    def test_option = by_chromosome ? "--test-chromosomes ${options.test_chromosomes}" : ''
    def valid_option = by_chromosome ? "--valid-chromosomes ${options.valid_chromosomes}" : ''
    def alike = options.homology ? "--identity ${options.homology}" : '--identity 1 --coverage 1'
    if (!fits) {
        return "# code ${task.ext.code}\ncp unsplit.tsv labels.tsv"
    }
    """
    # code ${task.ext.code}
    split_introns.py ${labels} --target ${options.target} --scheme ${options.split} --folds ${options.folds} --context ${context} \\
        ${test_option} ${valid_option} --windows ${windows} ${alike} --threads ${task.cpus} --output labels.tsv
    """

    stub:
    """
    touch labels.tsv
    """
}
