include { codeOf } from '../code'

process SCORE_VARIANTS {
    tag "${model.name}"
    label 'gpu'
    ext code: { codeOf('score_variants') }
    container "intronaut/torch:${workflow.manifest.version}"
    publishDir path: { task.ext.outdir }, mode: 'copy'

    input:
    // the folder of a model, the bases in its windows, and what its features were made with
    tuple path(model), val(length), path(weights, stageAs: 'weights/*'), path(targets, stageAs: 'targets/*'),
        path(tokenizer, stageAs: 'tokenizer/*')
    path variants, stageAs: 'vcf/*'
    path labels
    path fasta, stageAs: 'fasta/*'
    path aliases, stageAs: 'aliases/*'
    val options // anchor, strand, seed

    output:
    path "variants/${model.name}", emit: scores

    script:
    def folder = "variants/${model.name}"
    def alias_option = aliases ? "--chrom-aliases ${aliases}" : ''
    def weights_option = weights ? "--weights ${weights}" : ''
    def targets_option = targets ? "--targets ${targets}" : ''
    def tokenizer_option = tokenizer ? "--tokenizer ${tokenizer}" : ''
    // EMBEDDER_MODEL, as FIT names its folders; only linear models are split by group
    def (embedder, kind) = model.name.tokenize('_')
    def group_option = [motifs: '--group-by tf', sei: '--group-by target'][embedder] ?: ''
    def groups_option = kind in ['logistic', 'elasticnet'] ? "--groups ${folder}/groups.tsv ${group_option}" : ''
    """
    # code ${task.ext.code}
    score_variants.py ${variants} --fasta ${fasta} ${alias_option} --introns ${labels} --model ${model} \\
        ${weights_option} ${targets_option} ${tokenizer_option} \\
        --anchor ${options.anchor} --length ${length} --strand ${options.strand} ${groups_option} \\
        --seed ${options.seed} --threads ${task.cpus} \\
        --output ${folder}/scores.tsv --vcf ${folder}/variants.vcf.gz --summary ${folder}/summary.json
    """

    stub:
    """
    mkdir -p variants/${model.name}
    touch variants/${model.name}/{scores.tsv,groups.tsv,variants.vcf.gz,summary.json}
    """
}
