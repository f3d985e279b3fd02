// What the sheet of --alignments says: which files are of which sample.

include { refuse; unsafe } from './params'
include { plainFile } from './settings'

// One entry a sample: its name, the lines of a sheet for its task with the files as they are staged, the files, and
// shell lines that lay each index beside its reads, e.g.
// ['liver', ['sample\treads', 'liver\treads1/a.bam'], [a.bam, a.bam.bai], ['ln -s ../reads2/a.bam.bai reads1/']].
def samplesOf(sheet) {
    def lines = plainFile(sheet).readLines().findAll { line -> line }
    def header = lines ? cellsOf(lines[0]) : []
    if (!('sample' in header)) {
        refuse("--alignments ${sheet}: no column sample; it has ${header.join(', ')}")
    }
    def rows = lines.drop(1).collect { line -> [header, cellsOf(line)].transpose().collectEntries() }
    def paths = rows.collectMany { row -> filesOfRow(row, sheet).values() }
    def absent = paths.findAll { path -> !path.exists() }.collect { path -> "no such file: ${path}" }
    def odd = rows.collectMany { row -> [row.sample, row.replicate_of] }.findAll { name -> name && !(name ==~ /[\w.+-]+/) }
    def mistakes = absent + paths.collectMany { path -> unsafe('alignments', path.toUriString()) } +
        odd.unique().collect { name -> "sample '${name}': letters, digits and _ . + - name its files" }
    if (mistakes) {
        refuse("--alignments ${sheet}:\n  ${mistakes.join('\n  ')}")
    }
    return rows.groupBy { row -> row.replicate_of ?: row.sample }.collect { name, own -> sampleOf(name, own, header, sheet) }
}

def sampleOf(name, rows, header, sheet) {
    def staged = []
    def links = []
    def lines = rows.collect { row ->
        def places = filesOfRow(row, sheet).collectEntries { column, path ->
            staged << path
            def place = "reads${staged.size()}"
            def indexes = ['.bai', '.csi', '.crai'].collect { ending -> plainFile("${path.toUriString()}${ending}") }
            def index = indexes.find { beside -> beside.exists() }
            if (index) {
                staged << index
                links << "ln -s '../reads${staged.size()}/${quoted(index.name)}' ${place}/"
            }
            [column, "${place}/${path.name}".toString()]
        }
        header.collect { column -> places[column] ?: row[column] }.join('\t')
    }
    return [name, [header.join('\t')] + lines, staged, links]
}

// The conditions of the samples, in the order of the sheet.
def conditionsOf(sheet) {
    def lines = plainFile(sheet).readLines().findAll { line -> line }
    def place = cellsOf(lines[0]).indexOf('condition')
    return place < 0 ? [] : lines.drop(1).collect { line -> cellsOf(line)[place] }.findAll { name -> name }.unique()
}

// The files of a row by column; relative paths are relative to the sheet.
def filesOfRow(row, sheet) {
    def columns = ['reads', 'path', 'junctions', 'coverage', 'coverage_plus', 'coverage_minus', 'counts']
    return row.subMap(columns).findAll { _column, path -> path }.collectEntries { column, path ->
        [column, path.startsWith('/') || path.contains('://') ? plainFile(path) : plainFile(sheet).parent.resolve(path)]
    }
}

def cellsOf(line) {
    return line.split('\t', -1).toList()
}

// Text between single quotes of the shell.
def quoted(text) {
    return text.replace("'", "'\\''")
}
