include { codeOf } from '../code'

// The inputs of a study in one pass: every fault at once, and what the run will take.
process CHECK {
    label 'small'
    ext code: { codeOf('check') }
    container "intronaut/core:${workflow.manifest.version}"
    debug true
    cache false

    input:
    path mistakes // in the params, as JSON
    path gtf, stageAs: 'annotation/*'
    path fasta, stageAs: 'genome/*'
    path aliases, stageAs: 'aliases/*'
    path calls, stageAs: 'calls/?/*'
    path peaks, stageAs: 'peaks/*'
    path marks, stageAs: 'marks/?/*'
    path vcf, stageAs: 'variants/*'
    path mounted, stageAs: 'named/?/*' // the named files, so that a container sees them, and what lies beside them
    val named // [option: path] of files that stay in their places, where sheets find theirs
    val options // ir_..., min_splice_sites, annotation_rule, condition, contrast, embedders, networks, window

    output:
    stdout

    script:
    def given = [gtf: gtf, fasta: fasta, chrom_aliases: aliases, ir_calls: calls, peaks: peaks, marks: marks, vcf: vcf]
        .findAll { _name, path -> path }
        .collect { name, path -> "--${name} ${path instanceof Path ? path : path.join(',')}" }
    def others = (named + options).findAll { _name, value -> value != null }.collect { name, value -> "--${name} '${value}'" }
    """
    # code ${task.ext.code}
    check.py --params ${mistakes} ${given.join(' ')} ${others.join(' ')} --trials 2>&1
    """

    stub:
    """
    echo checked
    """
}
