#!/usr/bin/env python3
"""Write containers/conda/<group>.yml, one Conda environment for each image, from the one lock.

Conda gives Python 3.11 and, where a library has no wheel, a compiler; pip gives the libraries as locked.
Run again whenever uv.lock changes. Needs the uv that `make setup` installs, or one on PATH.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib

import build

ROOT = build.ROOT
FOLDER = ROOT / "containers" / "conda"


def uv() -> str:
    """The uv of `make setup`, or the one on PATH. Raises BuildError where there is none."""
    own = ROOT / ".engine" / "bootstrap" / "bin" / "uv"
    found = str(own) if own.exists() else shutil.which("uv")
    if not found:
        raise build.BuildError("no uv; run `make setup` first")
    return found


def locked(group: str) -> list[str]:
    """The requirements of a group at the lock's versions, one `name==version ; marker` each."""
    options = ("--frozen", "--only-group", group, "--no-hashes", "--no-header", "--no-annotate")
    text = build.called(uv(), "export", "--quiet", *options)
    return [line for line in text.splitlines() if line.strip()]


def without_wheel() -> set[str]:
    """Names of the locked packages that are built from source."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return {package["name"] for package in packages if "sdist" in package and not package.get("wheels")}


def environment(group: str) -> str:
    """The text of a group's environment file."""
    wanted = locked(group)
    lines = [
        "# Written by containers/conda.py from uv.lock: do not edit. Not verified.",
        f"name: cartox-{group}",
        "channels: [conda-forge, nodefaults]",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
    ]
    if sources := sorted(without_wheel() & {line.split("==")[0] for line in wanted}):
        lines.append(f"  - cxx-compiler  # built from source: {', '.join(sources)}")
    lines += ["  - pip:", *(f'      - "{line}"' for line in wanted)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write all files, and remove those of groups that are no more."""
    FOLDER.mkdir(exist_ok=True)
    groups = {build.group(image) for image in build.scripts_by_image()}
    for old in set(FOLDER.glob("*.yml")) - {FOLDER / f"{group}.yml" for group in groups}:
        old.unlink()
    for group in sorted(groups):
        (FOLDER / f"{group}.yml").write_text(environment(group))


if __name__ == "__main__":
    try:
        main()
    except (build.BuildError, subprocess.SubprocessError) as error:
        sys.exit(f"conda: {error}")
