#!/usr/bin/env nextflow

include { checkParams; helpText; plainParams } from './modules/params'
include { printLast } from './modules/publishing'
include { STUDY as THEIR_WAY } from './main'
include { STUDY as OUR_WAY } from './main'

// Daoud & Ben-Hur 2025 twice over, from the same downloads: as they did it, and as we would. See docs/reproduce.md.
workflow {
    given = plainParams(params)
    if (given.help == true) {
        print(helpText())
    }
    else {
        // peaks inside genes, random rows for training and test, the window alone, the published settings
        theirs = given + [
            paper_labels: true, annotation_rule: 'any-exon', split: 'paper', strand: 'forward', sei_context: 'native', preset: 'paper',
            test_chromosomes: null, valid_chromosomes: null, homology: null, match: null, partition: false,
            outdir: "${given.outdir}/their_way",
        ]
        // their labels are peaks, which other studies do without
        needed = [peaks: 'the study of 2025 labels peaks and embeds with Sei and DNABERT-2: -profile paper, docs/reproduce.md']
        checkParams(theirs, needed, given)
        checkParams(given)
        THEIR_WAY(theirs)
        // spliced introns as negatives, the chromosomes that Sei never saw for the test, real flanks, chosen penalties
        OUR_WAY(given + [outdir: "${given.outdir}/our_way"])
    }
    workflow.onComplete = {
        def tasks = workflow.stats.succeedCount + workflow.stats.cachedCount
        if (workflow.success && tasks > 0) {
            printLast("Reports: ${given.outdir}/their_way/report.html ${given.outdir}/our_way/report.html")
        }
    }
}
