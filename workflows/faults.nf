include { CHECK } from '../modules/check'
include { mistakesIn; withoutMistakes } from '../modules/params'
include { filesOf; namedFiles; optionalFile; optionsOf } from '../modules/settings'

// Every fault of the params and of the inputs, in one pass; what the run will take where there is none.
workflow FAULTS {
    take:
    given // the params

    main:
    mistakes = mistakesIn(given)
    sound = withoutMistakes(given, mistakes)
    CHECK(
        channel.of(groovy.json.JsonOutput.toJson(mistakes)).collectFile(name: 'params.json'),
        optionalFile(sound.gtf), optionalFile(sound.fasta), optionalFile(sound.chrom_aliases), filesOf(sound.ir_calls),
        optionalFile(sound.peaks), filesOf(sound.marks), optionalFile(sound.vcf),
        namedFiles(sound).values().toList(), namedFiles(sound), optionsOf(sound, 'check'),
    )
}
