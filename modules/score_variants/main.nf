process SCORE_VARIANTS {
    tag "${wanted.name}"
    label 'big'
    container "intronaut/torch:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/variants" }, mode: 'copy'

    input:
    tuple val(wanted), path(model), val(length) // name, embedder, model; the folder of fit or finetune; bases in a window
    path variants
    path labels // those that FETCH_SEQUENCES was given
    path fasta
    path aliases
    tuple path(weights, stageAs: 'weights/*'), path(names, stageAs: 'names/*') // Sei: and its targets; DNABERT-2: and its tokenizer
    val options // anchor, strand, null, seed

    output:
    tuple val(wanted), path("${wanted.name}/scores.tsv"), emit: scores
    path "${wanted.name}/*", emit: files

    script:
    def files = [sei: "--weights ${weights} --targets ${names}", dnabert2: "--weights ${weights} --tokenizer ${names}"]
    // what the features of this embedder are gathered by; trees and networks are not split
    def group_by = [motifs: '--group-by tf', sei: '--group-by target'][wanted.embedder] ?: ''
    def groups = wanted.model in ['logistic', 'elasticnet'] ? "--groups ${wanted.name}/groups.tsv ${group_by}" : ''
    def alias_option = aliases ? "--chrom-aliases ${aliases}" : ''
    """
    score_variants.py ${variants} --fasta ${fasta} ${alias_option} --introns ${labels} --model ${model} \\
        --anchor ${options.anchor} --length ${length} --strand ${options.strand} ${files[wanted.embedder] ?: ''} \\
        --null ${options.null} --seed ${options.seed} --threads ${task.cpus} ${groups} \\
        --output ${wanted.name}/scores.tsv --vcf ${wanted.name}/variants.vcf.gz --summary ${wanted.name}/summary.json
    """

    stub:
    """
    mkdir ${wanted.name}
    touch ${wanted.name}/{scores.tsv,groups.tsv,variants.vcf.gz,summary.json}
    """
}
