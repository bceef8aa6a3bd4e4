#!/usr/bin/env python3
"""Build the images that the modules name, try each, and write its list of contents beside this script.

Which images there are is read from modules/*/main.nf, nowhere else: `container 'cartox/<group>:<version>'`,
where <group> is a dependency group of pyproject.toml. Needs Python 3.11 and Docker with BuildKit, no more.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SBOM = ROOT / "containers" / "sbom"
SBOM_IN_IMAGE = "/opt/cartox/share/sbom.cdx.json"
# what a run of the pipeline may rely on, made as strict as Apptainer: another's user id, nothing to write to
STRICT = ("--rm", "--read-only", "--user", "12345:12345", "--network", "none", "--cap-drop", "ALL")


class BuildError(RuntimeError):
    """An image that cannot be built or does not work, said for people."""


def scripts_by_image() -> dict[str, list[str]]:
    """Image as the modules name it (`cartox/stats:0.1.0`) → the steps whose scripts run in it, sorted."""
    images: dict[str, list[str]] = {}
    for module in sorted((ROOT / "modules").glob("*/main.nf")):
        for image in re.findall(r"^ *container '([^']+)'", module.read_text(), re.MULTILINE):
            images.setdefault(image, []).append(module.parent.name)
    return dict(sorted(images.items()))


def group(image: str) -> str:
    """The dependency group of an image's name: `stats` of `cartox/stats:0.1.0`."""
    return image.removeprefix("cartox/").split(":")[0]


def version() -> str:
    """The pipeline's version, of nextflow.config's manifest. Raises BuildError where there is none."""
    found = re.search(r"^ *version *= *'([^']+)'", (ROOT / "nextflow.config").read_text(), re.MULTILINE)
    if not found:
        raise BuildError("nextflow.config: the manifest has no version")
    return found.group(1)


def docker() -> str:
    """A docker client that knows BuildKit: Debian's own before another on PATH, which may not."""
    for client in ("/usr/bin/docker", shutil.which("docker")):
        if client and Path(client).exists():
            return client
    raise BuildError("no docker on PATH; install Docker, or on Debian run scripts/start_docker.sh as root")


def called(*command: str, stdin: str | None = None) -> str:
    """The standard output of a command. Raises BuildError with the end of what it said where it fails."""
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
    )
    if done.returncode:
        said = "\n".join((done.stderr + done.stdout).strip().splitlines()[-25:])
        raise BuildError(f"{' '.join(command[:3])} … ended with {done.returncode}:\n{said}")
    return done.stdout


def tagged(image: str, tag: str, registry: str) -> str:
    """The full name under which an image is built: registry, group and tag."""
    return f"{registry.rstrip('/')}/" * bool(registry) + f"cartox/{group(image)}:{tag}"


def licences(sbom: dict) -> str:
    """One SPDX expression of our licence and those of all components; what has no SPDX id is a LicenseRef."""
    found = set()
    for component in sbom.get("components", []):
        for entry in component.get("licenses", []):
            said = entry.get("license", {})
            name = said.get("id") or entry.get("expression")
            if not name:
                reference = re.sub(r"[^A-Za-z0-9.-]+", "-", said.get("name", "unknown").split("::")[-1])
                name = f"LicenseRef-{reference.strip('-')[:40]}"
            found |= {f"({name})"} if " OR " in name else set(name.split(" AND "))
    return " AND ".join(["MIT", *sorted(found - {"MIT"})])


def git(*args: str) -> str:
    """What git says, or nothing: a copy without .git builds too."""
    done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def source() -> str:
    """Where the code is from: the clone's own origin if it is a web address, without any credentials."""
    found = re.fullmatch(r"(https://)(?:[^/@]*@)?([^\s?#]+)", git("config", "--get", "remote.origin.url"))
    return "".join(found.groups()) if found else ""


def build(image: str, args: argparse.Namespace) -> str:
    """Build one image and its list of contents; its full name is returned."""
    name = tagged(image, args.tag, args.registry)
    given = {
        "BASE_IMAGE": args.base_image,
        "GROUP": group(image),
        "VERSION": version(),
        "REVISION": git("rev-parse", "HEAD"),
        "SOURCE": source(),
    }
    command = [docker(), "build", "--file", "containers/Dockerfile", "--network", args.network, "--tag", name]
    if args.ca_bundle:
        command += ["--secret", f"id=ca,src={args.ca_bundle}"]

    def with_labels(**more: str) -> None:
        labels = [f"--build-arg={key}={value}" for key, value in {**given, **more}.items()]
        called(*command, *labels, ".")

    with_labels()
    text = called(docker(), "run", *STRICT, name, "cat", SBOM_IN_IMAGE)
    SBOM.mkdir(exist_ok=True)
    (SBOM / f"{group(image)}.cdx.json").write_text(text)
    # the label follows from what was installed; all layers are in the cache by now
    with_labels(LICENCES=licences(json.loads(text)))
    return name


def tried(name: str, scripts: list[str]) -> dict:
    """What containers/smoke.py finds in an image: `faults` (empty: it works), `packages`, `modules`.

    Raises BuildError where the check itself does not run.
    """
    mounts = [f"--volume={ROOT / 'bin'}:/scripts:ro", f"--volume={ROOT / 'containers'}:/containers:ro"]
    # caches in the one place that may be written, as the configuration's env has them in the task's folder
    caches = ["--tmpfs=/tmp", "--env=NUMBA_CACHE_DIR=/tmp/numba", "--env=MPLCONFIGDIR=/tmp/matplotlib"]
    command = [
        docker(),
        "run",
        *STRICT,
        *mounts,
        *caches,
        name,
        "python3",
        "/containers/smoke.py",
        "/scripts",
    ]
    return json.loads(called(*command, *scripts))


def size(name: str) -> int:
    """Size of an image in bytes, with the layers that it shares."""
    return int(called(docker(), "image", "inspect", "--format", "{{.Size}}", name))


def main(argv: list[str] | None = None) -> None:
    """Build, try and measure the images asked for. Raises BuildError where one cannot be built or fails."""
    wanted = scripts_by_image()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "images", nargs="*", metavar="group", help=", ".join(map(group, wanted)) + "; none: all"
    )
    parser.add_argument("--base_image", default="python:3.11-slim-bookworm", help="a Debian with Python 3.11")
    parser.add_argument(
        "--tag", default=version(), help="default: the pipeline's version, which the modules name"
    )
    parser.add_argument(
        "--registry", default="", help="put before the names, as `--registry` of the pipeline"
    )
    parser.add_argument("--push", action="store_true", help="push each image once it is built and tried")
    parser.add_argument("--network", default="host", help="network of the build, for the package registry")
    parser.add_argument(
        "--ca_bundle",
        default=os.environ.get("SSL_CERT_FILE", ""),
        help="certificates of a package registry of one's own; default: $SSL_CERT_FILE",
    )
    args = parser.parse_args(argv)
    unknown = sorted(set(args.images) - set(map(group, wanted)))
    if unknown:
        raise BuildError(f"no module names {', '.join(unknown)}; there are {', '.join(map(group, wanted))}")
    if args.ca_bundle and not Path(args.ca_bundle).is_file():
        raise BuildError(f"--ca_bundle {args.ca_bundle}: no such file")
    broken = []
    for image, scripts in wanted.items():
        if args.images and group(image) not in args.images:
            continue
        start = time.monotonic()
        name = build(image, args)
        built = time.monotonic() - start
        faults = tried(name, scripts)["faults"]
        print(f"{name}: {size(name) / 1e6:.0f} MB, built in {built:.0f} s; {', '.join(scripts)}", flush=True)
        for fault in faults:
            print(f"  {fault}", flush=True)
        broken += [name] * bool(faults)
        if args.push and not faults:
            called(docker(), "push", "--quiet", name)
    if broken:
        raise BuildError(f"built, but not fit to use: {', '.join(broken)}")


if __name__ == "__main__":
    try:
        main()
    except BuildError as error:
        sys.exit(f"images: {error}")
