process FIT {
    tag "${wanted.name}"
    label 'big'
    container "intronaut/core:${workflow.manifest.version}"
    publishDir path: { "${task.ext.outdir}/fit" }, mode: 'copy', saveAs: { name -> name.endsWith('.h5ad') ? null : name - 'fitted/' }

    input:
    tuple val(wanted), path(features) // wanted: name, embedder, model, groups
    path labels
    val options // preset, bootstrap, seed

    output:
    tuple val(wanted), path(features), path("fitted/${wanted.name}"), emit: model

    script:
    """
    fit.py --features ${features} --labels ${labels} --model ${wanted.model} --feature-groups ${wanted.groups} \\
        --preset ${options.preset} --bootstrap ${options.bootstrap} --seed ${options.seed} \\
        --threads ${task.cpus} --output fitted/${wanted.name}
    """

    stub:
    """
    mkdir -p fitted/${wanted.name}
    touch fitted/${wanted.name}/{model.json,coefficients.tsv,predictions.tsv,metrics.json}
    """
}
