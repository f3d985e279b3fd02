include { codeOf } from '../code'

process SCORE_VARIANTS {
    tag "${model.name}"
    label 'gpu'
    ext code: { codeOf('score_variants') }
    container "intronaut/torch:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy'

    input:
    // the folder of a model; what it reads and is: anchor, length, embedder, model, and the options of the files that its
    // features were made with
    tuple path(model), val(scored), path(files, stageAs: 'made_with?/*')
    path variants, stageAs: 'vcf/*'
    path labels
    path fasta, stageAs: 'fasta/*'
    path aliases, stageAs: 'aliases/*'
    path splice_weights, stageAs: 'splice/*' // also say which splice sites change
    path annotation, stageAs: 'annotation/*'
    val options // strand, seed

    output:
    path "variants/${model.name}", emit: scores

    script:
    def folder = "variants/${model.name}"
    def alias_option = aliases ? "--chrom-aliases ${aliases}" : ''
    def paths = files instanceof List ? files : [files]
    def file_options = [scored.options, paths].transpose().collect { option, path -> "--${option} ${path}" }.join(' ')
    def splice_options = splice_weights ? "--splice ${splice_weights} --annotation ${annotation} --genes ${folder}/genes.tsv" : ''
    // only linear models are split by group
    def group_option = [motifs: '--group-by tf', sei: '--group-by target'][scored.embedder] ?: ''
    def groups_option = scored.model in ['logistic', 'elasticnet'] ? "--groups ${folder}/groups.tsv ${group_option}" : ''
    """
    # code ${task.ext.code}
    score_variants.py ${variants} --fasta ${fasta} ${alias_option} --introns ${labels} --model ${model} \\
        ${file_options} --anchor ${scored.anchor} --length ${scored.length} --strand ${options.strand} ${groups_option} \\
        ${splice_options} --seed ${options.seed} --threads ${task.cpus} \\
        --output ${folder}/scores.tsv --vcf ${folder}/variants.vcf.gz --summary ${folder}/summary.json
    """

    stub:
    """
    mkdir -p variants/${model.name}
    touch variants/${model.name}/{scores.tsv,groups.tsv,variants.vcf.gz,summary.json}
    """
}
