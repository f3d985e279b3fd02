include { codeOf } from '../code'
include { intoFolders } from '../publishing'

process MAKE_REPORT {
    label 'small'
    ext code: { codeOf('make_report') }
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy'

    input:
    tuple val(folders), path(results, stageAs: 'staged/?/*') // in the folders of a finished study
    val options // assembly

    output:
    path '{report.html,figures,multiqc}', emit: published

    script:
    // what only some studies have
    def option_of = [
        'labels/audit.tsv': '--audit-pairs', 'labels/agreement': '--agreement', 'labels/balance.tsv': '--balance',
        'labels/matched.json': '--matched', './enrich': '--enrich', './partition': '--partition',
    ]
    // a staged file's name is all of staged/1/NAME
    def names = results.collect { result -> result.name.tokenize('/').last() }
    def paths = [folders, names].transpose().collect { folder, name -> "${folder}/${name}".toString() }
    def labels = 'labels/matched.tsv' in paths ? 'labels/matched.tsv' : 'labels/labels.tsv'
    def extra_options = option_of.findAll { path, _option -> path in paths }.collect { path, option -> "${option} ${path}" }.join(' ')
    def motifs_option = names.any { name -> name.startsWith('motifs') } ? '--motifs motifs*' : ''
    def assembly_option = options.assembly ? "--assembly ${options.assembly}" : ''
    def quantified_option = 'quantified' in folders ? '--quantified quantified' : ''
    // none where labels or levels are too few for models
    def models_options = 'fit' in folders ? '--fit fit/* --compare compare --explain explain/*/ --audit labels/audit.json' : ''
    def variants_option = 'variants' in folders ? '--variants variants/*' : ''
    def transfer_option = 'cell_types' in folders ? '--transfer cell_types/*' : ''
    """
    # code ${task.ext.code}
    ${intoFolders(folders)}
    make_report.py --labels ${labels} --ledger labels/ledger.tsv --counts labels/counts.json \\
        ${extra_options} ${motifs_option} ${variants_option} ${quantified_option} ${transfer_option} \\
        ${models_options} --settings settings.json --date "\$(date +%F)" ${assembly_option} \\
        --output report.html --figures figures --multiqc multiqc
    """

    stub:
    """
    ${intoFolders(folders)}
    mkdir figures multiqc
    touch report.html
    """
}
