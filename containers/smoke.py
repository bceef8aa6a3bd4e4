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


def optional(node: ast.AST) -> bool:
    """Whether what stands inside is not needed: tried and caught, or for type checkers alone."""
    return isinstance(node, ast.Try) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))


def said(nodes: list[ast.stmt], package: str) -> tuple[set[str], set[str]]:
    """Dotted names of the modules that statements import, and all identifiers in them."""
    modules, words, todo = set(), set(), list(nodes)
    while todo:
        node = todo.pop()
        if optional(node):
            # its identifiers count, its imports need not succeed
            words |= {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
            words |= {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}
            continue
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent = ".".join(filter(None, [package if node.level else "", node.module or ""]))
            modules |= {parent} | {
                f"{parent}.{alias.name}" for alias in node.names if parent.startswith("cartox")
            }
        elif isinstance(node, ast.Name):
            words.add(node.id)
        elif isinstance(node, ast.Attribute):
            words.add(node.attr)
        todo += ast.iter_child_nodes(node)
    return modules, words


def reached(folder: Path, scripts: list[str]) -> set[str]:
    """Modules that the scripts need: libraries by their dotted names, and cartox's own, followed.

    An import within a function counts where the function is named by code that is itself reached: a step
    that takes one light function from a module does not need what the others import.
    """
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    trees: dict[Path, list[ast.stmt]] = {}
    found: set[str] = set()
    words: dict[Path, set[str]] = {}
    known: dict[Path, set[Path]] = {}
    done: set[tuple[Path, str]] = set()

    def read(path: Path, nodes: list[ast.stmt]) -> None:
        package = ".".join(path.parent.relative_to(folder).parts)
        modules, names = said(nodes, package)
        words[path] |= names
        for name in modules:
            own = folder.joinpath(*name.split("."))
            files = [file for file in (own.with_suffix(".py"), own / "__init__.py") if file.exists()]
            if files or not name.startswith("cartox"):
                found.add(name)
            for file in files:
                known[path].add(file)
                enter(file)

    def enter(path: Path) -> None:
        if path not in trees:
            trees[path] = ast.parse(path.read_text()).body
            words[path], known[path] = set(), {path}
            read(path, [node for node in trees[path] if not isinstance(node, definitions)])

    for name in scripts:
        script = folder / f"{name}.py"
        enter(script)
        words[script] |= {node.name for node in trees[script] if isinstance(node, definitions)}
    fresh = True
    while fresh:
        fresh = False
        for path in list(trees):
            for other in list(known[path]):
                for node in trees[other]:
                    if (
                        isinstance(node, definitions)
                        and node.name in words[path]
                        and (other, node.name) not in done
                    ):
                        done.add((other, node.name))
                        fresh = True
                        read(other, [node])
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
        re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower(): found.version
        for found in metadata.distributions()
    }
    print(json.dumps({"faults": faults, "packages": packages, "modules": modules}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
