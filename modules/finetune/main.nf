include { codeOf } from '../code'

process FINETUNE {
    tag "${network}"
    label 'gpu'
    ext code: { codeOf('finetune') }
    container "intronaut/torch:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/fit" }, mode: 'copy', saveAs: { name -> name - 'fitted/' }

    input:
    tuple val(network), path(weights, stageAs: 'weights/*'), path(tokenizer, stageAs: 'tokenizer/*')
    path windows
    path labels
    path covariates, stageAs: 'covariates/*' // of the user
    val options // target, preset, network_epochs, bootstrap, seed

    output:
    path "fitted/network_${network}", emit: model

    script:
    def weights_option = weights ? "--weights ${weights}" : ''
    def tokenizer_option = tokenizer ? "--tokenizer ${tokenizer}" : ''
    def covariates_option = covariates ? "--covariates ${covariates}" : ''
    def epochs_option = options.network_epochs ? "--epochs ${options.network_epochs}" : ''
    """
    # code ${task.ext.code}
    finetune.py --network ${network} ${weights_option} ${tokenizer_option} --windows ${windows} --labels ${labels} \\
        --target ${options.target} --preset ${options.preset} ${epochs_option} \\
        ${covariates_option} --bootstrap ${options.bootstrap} --seed ${options.seed} \\
        --threads ${task.cpus} --output fitted/network_${network}
    """

    stub:
    """
    mkdir -p fitted/network_${network}
    touch fitted/network_${network}/{model.json,predictions.tsv,metrics.json}
    """
}
