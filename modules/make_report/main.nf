process MAKE_REPORT {
    label 'small'
    container "intronaut/core:${workflow.manifest.version}"

    input:
    path labels
    path ledger
    path counts
    path models, stageAs: 'fit/*'
    path explanations, stageAs: 'explain/*'
    path settings

    output:
    path 'report.html', emit: report
    path 'figures', emit: figures
    path 'multiqc', emit: multiqc

    script:
    """
    make_report.py --labels ${labels} --ledger ${ledger} --counts ${counts} --fit fit/* --explain explain/* \\
        --settings ${settings} --output report.html --figures figures --multiqc multiqc
    """

    stub:
    """
    mkdir figures multiqc
    touch report.html
    """
}
