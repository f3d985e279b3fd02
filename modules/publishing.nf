// Results and the folders where they lie, as pairs such as ['fit', motifs_logistic].

// Each result of a channel with the folder that it is published in.
def inFolder(folder, results) {
    return results.flatten().map { result -> [folder, result] }
}

// The pairs of a channel as one [folders, files], in an order that a resumed run repeats; nothing where a run was cut short.
def gathered(pairs) {
    return pairs
        .toSortedList { one, other -> "${one[0]}/${one[1].name}" <=> "${other[0]}/${other[1].name}" }
        .filter { sorted -> sorted }
        .map { sorted -> sorted.transpose() }
}

// Prints a line as the last of all: on a terminal Nextflow writes its own summary below what a script prints.
def printLast(line) {
    Runtime.runtime.addShutdownHook(new Thread({ System.out.println(line) } as Runnable))
}

// Shell lines that move files staged as staged/1/NAME, staged/2/NAME ... into their folders, those of hidden files too.
def intoFolders(folders) {
    def lines = [
        'shopt -s dotglob',
        'index=0',
        "for folder in ${folders.join(' ')}; do",
        '    mkdir -p $folder && mv staged/$((index += 1))/* $folder/',
        'done',
    ]
    return lines.join('\n    ')
}
