include { codeOf } from '../code'

process ATTRIBUTE {
    tag "${model.name}"
    label 'gpu'
    ext code: { codeOf('attribute') }
    container "intronaut/torch:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/attribute" }, mode: 'copy', saveAs: { name -> name - 'attributed/' }

    input:
    path model
    path weights, stageAs: 'weights/*' // of Sei, for linear models on it; empty for networks
    path targets, stageAs: 'targets/*'
    path windows
    path annotation, stageAs: 'annotation/*'
    path peaks, stageAs: 'peaks/*'
    path sizes, stageAs: 'sizes/*'
    val options // attribute_method, seed

    output:
    path "attributed/${model.name}", emit: attributions

    script:
    def weights_option = weights ? "--weights ${weights}" : ''
    def targets_option = targets ? "--targets ${targets}" : ''
    def annotation_option = annotation ? "--annotation ${annotation}" : ''
    def peaks_option = peaks ? "--peaks ${peaks}" : ''
    def sizes_option = sizes ? "--chrom-sizes ${sizes}" : ''
    """
    # code ${task.ext.code}
    attribute.py ${windows} --model ${model} ${weights_option} ${targets_option} ${annotation_option} \\
        ${peaks_option} ${sizes_option} --method ${options.attribute_method} --seed ${options.seed} \\
        --threads ${task.cpus} --output attributed/${model.name}
    """

    stub:
    """
    mkdir -p attributed/${model.name}
    touch attributed/${model.name}/{attributions.h5,windows.tsv,attributions.bedgraph}
    """
}
