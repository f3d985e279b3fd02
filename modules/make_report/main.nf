process MAKE_REPORT {
    label 'small'
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy'

    input:
    path labels
    path ledger
    path counts
    path audit
    path extras
    path models, stageAs: 'fit/*'
    path comparison
    path explanations, stageAs: 'explain/*'
    path variants, stageAs: 'variants/*'
    path settings

    output:
    path 'report.html', emit: report
    path 'figures', emit: figures
    path 'multiqc', emit: multiqc

    script:
    def options = [agreement: '--agreement agreement', 'balance.tsv': '--balance balance.tsv', 'matched.json': '--matched matched.json', enrich: '--enrich enrich']
    def variants_option = variants ? '--variants variants/*' : ''
    def motifs = extras.findAll { extra -> extra.name.startsWith('motifs') }.sort { folder -> folder.name }
    def extra_options = (extras - motifs).collect { extra -> options[extra.name] }.join(' ') + " --motifs ${motifs.join(' ')}"
    """
    make_report.py --labels ${labels} --ledger ${ledger} --counts ${counts} --audit ${audit} ${extra_options} ${variants_option} \\
        --fit fit/* --compare ${comparison} --explain explain/* --settings ${settings} --output report.html --figures figures --multiqc multiqc
    """

    stub:
    """
    mkdir figures multiqc
    touch report.html
    """
}
