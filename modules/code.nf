// The code that a tool can run, as a digest. Each process has its own in ext.code and names that in a comment of its script,
// so that it is part of the hash of the tasks: a resumed run repeats those whose code has changed, and no other.

// sha256 over the files that a tool can run or read, e.g. of embed_kmers; those of all tools are computed once in a run.
def codeOf(tool) {
    if (!System.getProperty("intronaut.code.${tool}")) {
        def bin = projectDir.resolve('bin')
        codeFiles(bin).each { script, paths -> System.setProperty("intronaut.code.${script}", digestOf(bin, paths)) }
    }
    return System.getProperty("intronaut.code.${tool}")
}

def digestOf(bin, paths) {
    def sha256 = java.security.MessageDigest.getInstance('SHA-256')
    paths.each { path ->
        sha256.update("${path}\n".getBytes('UTF-8'))
        sha256.update(java.nio.file.Files.readAllBytes(bin.resolve(path)))
    }
    return sha256.digest().encodeHex().toString()
}

// For each tool, its script, the modules that it imports, directly or through others, and the data that lie beside those.
def codeFiles(bin) {
    def listed = java.nio.file.Files.walk(bin).filter { path -> java.nio.file.Files.isRegularFile(path) }.toList()
    def paths = listed.collect { path -> bin.relativize(path).toString() }.findAll { path -> !(path ==~ /.*\.pyc|(.*\/)?\..*/) }
    def data = paths.findAll { path -> !path.endsWith('.py') }.groupBy { path -> roomOf(path) }
    def modules = paths.findAll { path -> path.endsWith('.py') }.toSet()
    def imports = modules.collectEntries { path ->
        def imported = importedBy(bin.resolve(path).getText('UTF-8')).collectMany { name -> pathsOf(name) }
            .findAll { file -> file in modules }
        [path, (imported + imported.collectMany { file -> data[roomOf(file)] ?: [] }).toSet()]
    }
    def scripts = modules.findAll { path -> !path.contains('/') }
    return scripts.collectEntries { script -> [script - '.py', reached([script].toSet(), imports).toSorted()] }
}

def roomOf(path) {
    return path.contains('/') ? path.substring(0, path.lastIndexOf('/')) : ''
}

// What is imported at any depth of functions: "from intronaut.a import b", "from intronaut.a import (...)", "import intronaut.a".
def importedBy(text) {
    def statements = text =~ /(?m)^[ \t]*(?:from[ \t]+(intronaut[\w.]*)[ \t]+import[ \t]*(\([^)]*\)|.*)|import[ \t]+(intronaut.*))/
    return statements.collect { _line, room, names, modules ->
        room ? names.tokenize('(), \t\r\n').collect { name -> "${room}.${name}".toString() } : modules.tokenize(', \t\r')
    }.flatten()
}

// The files that a name such as intronaut.io.text may run: a module, or a name in one, and the packages around it.
def pathsOf(name) {
    def parts = name.tokenize('.')
    return parts.indices.collectMany { last ->
        def path = parts[0..last].join('/')
        [path + '.py', path + '/__init__.py']
    }
}

def reached(paths, imports) {
    def further = paths.collectMany { path -> imports[path] ?: [] }.toSet() - paths
    return further ? reached(paths + further, imports) : paths
}
