include { codeOf } from '../code'

process PARTITION {
    label 'big'
    ext code: { codeOf('partition') }
    container "intronaut/core:${workflow.manifest.version}"

    input:
    path features, stageAs: 'features/*' // of any number of embedders
    path labels
    val options // seed

    output:
    path 'partition', emit: partition

    script:
    def features_option = features ? "--features ${features}" : ''
    """
    # code ${task.ext.code}
    partition.py ${features_option} --labels ${labels} --seed ${options.seed} --threads ${task.cpus} --output partition
    """

    stub:
    """
    mkdir partition
    """
}
