"""Run inside an image: does all that its steps need work there? Prints what it finds as JSON.

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
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def optional(node: ast.AST) -> bool:
    """Whether what stands inside may fail to import: tried and caught, or for type checkers alone."""
    return isinstance(node, ast.Try) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))


class Reach:
    """Follows what scripts import and call, from file to file; `found` are the modules that they need.

    An import within a function counts where the function is named by code that is itself reached: a step
    that takes one light function from a module does not need what the others import.
    """

    def __init__(self, folder: Path, scripts: list[str]):
        """Follow these steps' scripts in the folder that holds them and the package cartox."""
        self.folder = folder
        self.found: set[str] = set()
        self.bodies: dict[Path, list[ast.stmt]] = {}
        # file → name in it → the file and, of a function or class, its name there
        self.names: dict[Path, dict[str, tuple[Path, str]]] = {}
        self.done: set[tuple[Path, str]] = set()
        for name in scripts:
            self.enter(folder / f"{name}.py")
            self.define(folder / f"{name}.py", "main")

    def enter(self, path: Path) -> None:
        """What a file does when it is imported."""
        if path not in self.bodies:
            self.bodies[path] = ast.parse(path.read_text()).body
            own = {
                node.name: (path, node.name) for node in self.bodies[path] if isinstance(node, DEFINITIONS)
            }
            self.names[path] = own
            self.read(path, [node for node in self.bodies[path] if not isinstance(node, DEFINITIONS)])

    def define(self, path: Path, name: str) -> None:
        """What a function or class of a file does, once; a class with all its methods."""
        if (path, name) not in self.done:
            self.done.add((path, name))
            self.enter(path)
            self.read(path, [n for n in self.bodies[path] if isinstance(n, DEFINITIONS) and n.name == name])

    def read(self, path: Path, nodes: list[ast.stmt]) -> None:
        """Note the imports of statements, then follow the names in them."""
        inner = [node for statement in nodes for node in ast.walk(statement)]
        guarded = {id(deep) for node in inner if optional(node) for deep in ast.walk(node)}
        for node in inner:
            if id(node) not in guarded and isinstance(node, ast.Import):
                for alias in node.names:
                    self.module(path, alias.asname or alias.name, alias.name)
            elif id(node) not in guarded and isinstance(node, ast.ImportFrom):
                parent = ".".join(path.parent.relative_to(self.folder).parts) if node.level else ""
                parent = ".".join(filter(None, [parent, node.module or ""]))
                self.module(path, parent, parent)
                for alias in node.names:
                    if parent.startswith("cartox"):
                        self.module(path, alias.asname or alias.name, f"{parent}.{alias.name}", alias.name)
        for node in inner:
            if isinstance(node, ast.Name) and node.id in self.names[path]:
                self.define(*self.names[path][node.id])
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                self.define(self.names[path].get(node.value.id, (path, ""))[0], node.attr)

    def module(self, path: Path, alias: str, name: str, member: str = "") -> None:
        """A module that a file imports under an alias, or a member of one of cartox's modules."""
        files = self.files(name)
        if files:
            self.found.add(name)
            self.names[path][alias] = (files[0], "")
        elif member and self.files(name.rpartition(".")[0]):
            self.names[path][alias] = (self.files(name.rpartition(".")[0])[0], member)
        elif not name.startswith("cartox"):
            self.found.add(name)
        for file in files:
            self.enter(file)

    def files(self, name: str) -> list[Path]:
        """The file of a module of cartox, by its dotted name; none for a library."""
        own = self.folder.joinpath(*name.split("."))
        return [file for file in (own.with_suffix(".py"), own / "__init__.py") if file.exists()]


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
    modules = sorted(Reach(folder, scripts).found - {"__future__"})
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
