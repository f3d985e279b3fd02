// What sheets of the user say: which files are of which sample, and which track is of which target.

include { refuse; unsafe } from './params'
include { plainFile } from './settings'

// One entry a sample of --alignments: its name, the lines of a sheet for its task with the files as they are staged, the
// files, and shell lines that lay each index beside its reads, e.g.
// ['liver', ['sample\treads', 'liver\treads1/a.bam'], [a.bam, a.bam.bai], ['ln -s ../reads2/a.bam.bai reads1/']].
def samplesOf(sheet) {
    def rows = rowsOf('alignments', sheet, ['sample'])
    def odd = rows.collectMany { row -> [row.sample, row.replicate_of] }.findAll { name -> name && !(name ==~ /[\w.-]+/) }
    if (odd) {
        def names = odd.unique().collect { name -> "'${name}'" }.join(', ')
        refuse("--alignments ${sheet}: samples name files, by letters, digits and _ . -: rename ${names}")
    }
    def twice = rows.countBy { row -> row.sample }.findAll { _name, count -> count > 1 }.keySet()
    if (twice) {
        def names = twice.join(', ')
        def cure = 'further lanes have a name of their own, and its name in replicate_of'
        refuse("--alignments ${sheet}: sample ${names} is named twice; ${cure}")
    }
    return rows.groupBy { row -> row.replicate_of ?: row.sample }.collect { name, own -> sampleOf(name, own, sheet) }
}

// All samples of the sheet at once: [lines of a sheet with the files as they are staged, the files, shell lines for indexes].
def sheetOf(sheet) {
    return sampleOf('', rowsOf('alignments', sheet, ['sample']), sheet).drop(1)
}

// Each file that the sheet names with a folder of its own, as the crate lists what the run read.
def readsOf(sheet) {
    def rows = sheet ? rowsOf('alignments', sheet, ['sample']) : []
    def paths = rows.collectMany { row -> filesOfRow(row, sheet).values() }
    return paths.withIndex(1).collect { path, index -> ["inputs/reads${index}", path] }
}

// The conditions that the samples of --alignments have.
def conditionsOf(sheet) {
    return rowsOf('alignments', sheet, ['sample']).collect { row -> row.condition }.findAll { condition -> condition }.unique()
}

// Stops the run where the sheet lacks a condition that is asked for, or has several and none is chosen: label_introns would,
// once all samples are measured.
def checkConditions(settings) {
    def sheet = settings.alignments
    def known = conditionsOf(sheet).sort()
    def asked = settings.contrast ? settings.contrast.split('_vs_', 2).toList() : [settings.condition].findAll()
    def absent = asked - known
    if (absent) {
        def param = settings.contrast ? 'contrast' : 'condition'
        def has = known.join(', ') ?: 'no column condition, or nothing in it'
        refuse("--${param} ${settings[param]}: no condition ${absent.join(', ')} in ${sheet}, which has ${has}")
    }
    if (!asked && known.size() > 1) {
        refuse("--alignments ${sheet}: several conditions, ${known.join(', ')}; choose one by --condition, or compare two by --contrast")
    }
}

// The lines of the sheet of --tracks with its files as they are staged, and the files, e.g.
// [['path\ttarget\tcell\tkind', 'tracks1/a.bw\tCTCF\tK562\ttf'], [a.bw]].
def tracksOf(sheet) {
    def rows = sheet ? rowsOf('tracks', sheet, ['path', 'target', 'cell', 'kind']) : []
    def lines = rows.withIndex(1).collect { row, index ->
        (row + [path: "tracks${index}/${filesOfRow(row, sheet).path.name}"]).values().join('\t')
    }
    return rows ? [[rows[0].keySet().join('\t')] + lines, rows.collect { row -> filesOfRow(row, sheet).path }] : [[], []]
}

// The rows of a sheet by column. Stops the run for columns or files that are not there, and paths that a shell would run.
def rowsOf(param, sheet, needed) {
    def lines = plainFile(sheet).readLines('UTF-8').findAll { line -> line.replace('\t', '') }
    def header = lines ? cellsOf(lines[0]) : []
    if (!header.containsAll(needed)) {
        refuse("--${param} ${sheet}: no column ${(needed - header).join(', ')}; it has ${header.join(', ')}")
    }
    def rows = lines.drop(1).collect { line -> [header, cellsOf(line)].transpose().collectEntries() }
    def paths = rows.collectMany { row -> filesOfRow(row, sheet).values() }
    def mistakes = paths.findAll { path -> !path.exists() }.collect { path -> "no such file: ${path}" } +
        paths.collectMany { path -> unsafe(param, path.toUriString()) }
    if (mistakes) {
        refuse("--${param} ${sheet}:\n  ${mistakes.join('\n  ')}")
    }
    return rows
}

def sampleOf(name, rows, sheet) {
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
        (row + places).values().join('\t')
    }
    return [name, [rows[0].keySet().join('\t')] + lines, staged, links]
}

// The files of a row by column; relative paths are relative to the sheet.
def filesOfRow(row, sheet) {
    def columns = ['reads', 'path', 'junctions', 'coverage', 'coverage_plus', 'coverage_minus', 'counts']
    return row.subMap(columns).findAll { _column, path -> path }.collectEntries { column, path ->
        [column, path.startsWith('/') || path.contains('://') ? plainFile(path) : plainFile(sheet).parent.resolve(path)]
    }
}

def cellsOf(line) {
    return line.split('\t', -1).collect { cell ->
        def inQuotes = cell.size() > 1 && cell.startsWith('"') && cell.endsWith('"')
        inQuotes ? cell.substring(1, cell.size() - 1).replace('""', '"') : cell
    }
}

// Text between single quotes of the shell.
def quoted(text) {
    return text.replace("'", "'\\''")
}
