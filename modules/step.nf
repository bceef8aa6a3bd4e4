// What a task must know beyond its files: the flags of its script, and a digest of the code that it runs.
// The engine hashes neither what a script imports nor, reliably, the script. As an input, the digest makes
// -resume rerun the tasks whose code has changed, and only those.
def step(name, opts, flags) {
    def given = flags.findAll { flag -> opts[flag] != null }
    return [
        // quoted for the shell, whatever a value holds
        args: given.collect { flag -> "--${flag} '${opts[flag].toString().replace("'", "'\\''")}'" }.join(' '),
        code: digest(name),
    ]
}

// Digest of bin/<name>.py and of the shared modules that it imports, directly or through others.
def digest(name) {
    def root = file("${moduleDir}/../bin")
    def script = root.resolve("${name}.py")
    if (!script.exists()) {
        error("no script ${name}.py in ${root}")
    }
    return imported(root, [script], []).sort().collect { path -> path.text }.join('\n').md5()
}

// All files reached from `todo` by `import cartox…` and `from cartox… import …`, wherever in a file they stand.
def imported(root, todo, found) {
    if (todo.isEmpty()) {
        return found
    }
    def fresh = todo.findAll { path -> path.exists() && !found.contains(path) }.unique()
    def names = fresh.collectMany { path ->
        (path.text =~ /(?m)^\s*(?:from\s+(cartox[\w.]*)\s+import\s+(\([^)]*\)|[^\n#]+)|import\s+(cartox[\w.]*))/).collect { match ->
            def parent = match[1] ?: match[3]
            def members = (match[2] ?: '').replaceAll(/[()]/, '').tokenize(',').collect { member -> member.trim().tokenize(' ')[0] }
            [parent] + members.findAll { member -> member }.collect { member -> "${parent}.${member}" }
        }.flatten()
    }
    def next = names.unique().collectMany { name ->
        def path = name.toString().replace('.', '/')
        [root.resolve("${path}.py"), root.resolve("${path}/__init__.py")]
    }
    return imported(root, next, found + fresh)
}
