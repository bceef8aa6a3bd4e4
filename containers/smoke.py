"""Run inside an image: does all that its steps need work there? Prints findings as JSON; needs nothing installed.

    python3 smoke.py FOLDER_OF_SCRIPTS STEP…

`faults`: one line for each thing that does not work. `packages`: what is installed, name → version.
`modules`: all that the steps import, directly or through cartox's modules, at their start or later.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

COMPILERS = ("gcc", "g++", "cc", "c++", "clang", "ld")


def imports(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports anywhere, in functions too; guarded ones not (`try`)."""
    tree = ast.parse(path.read_text())
    optional = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.Try) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        for inner in ast.walk(node)
    }
    package = path.parent.name
    names = set()
    for node in ast.walk(tree):
        if node in optional:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent = node.module or ""
            if node.level:
                parent = ".".join(filter(None, [package, parent]))
            names |= {parent} | {f"{parent}.{alias.name}" for alias in node.names if parent.startswith("cartox")}
    return names


def reached(folder: Path, scripts: list[str]) -> set[str]:
    """Modules that the scripts need: libraries by their dotted names, and cartox's own, followed."""
    todo, seen, found = [folder / f"{name}.py" for name in scripts], set(), set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imports(path):
            own = folder.joinpath(*name.split("."))
            files = [file for file in (own.with_suffix(".py"), own / "__init__.py") if file.exists()]
            todo += files
            if files or not name.startswith("cartox"):
                found.add(name)
    return found


def main(folder: Path, scripts: list[str]) -> None:
    """Look at the image from inside, run `--help` of each script, import all that they import."""
    sys.path.insert(0, str(folder))
    faults = []
    if os.getuid() == 0:
        faults.append("runs as root")
    try:
        Path("/opt/cartox/written").write_text("")
        faults.append("the root file system can be written to")
    except OSError:
        pass
    faults += [f"a compiler is inside: {name}" for name in COMPILERS if shutil.which(name)]
    if not shutil.which("ps") or subprocess.run(["ps"], capture_output=True, check=False).returncode:
        faults.append("ps does not work; Nextflow measures tasks with it")
    for name in scripts:
        command = [str(folder / f"{name}.py"), "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or "usage:" not in done.stdout:
            faults.append(f"{name}.py --help: {done.stderr.strip().splitlines()[-1:]}")
    modules = sorted(reached(folder, scripts) - {"__future__"})
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a library throws, it is what the reader wants to know
            faults.append(f"import {name}: {type(error).__name__}: {error}")
    stale = [
        path
        for path in Path("/opt/cartox/lib/python3.11/site-packages").glob("[a-z]*/__init__.py")
        if not list((path.parent / "__pycache__").glob("__init__.*.pyc"))
    ]
    faults += [f"not compiled: {path}" for path in stale]
    packages = {
        re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower(): found.version for found in metadata.distributions()
    }
    print(json.dumps({"faults": faults, "packages": packages, "modules": modules}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
