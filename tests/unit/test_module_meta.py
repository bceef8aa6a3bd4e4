"""Each module's meta.yml tells of its main.nf what main.nf says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from smoke import Reach

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.parent for path in (ROOT / "modules").glob("*/main.nf"))
MEMBER = re.compile(r"""\b(?:val|path)[ (]\s*("[^"]*"|'[^']*'|\w+)""")
AUTHORS = [author["name"] for author in yaml.safe_load((ROOT / "CITATION.cff").read_text())["authors"]]

every_module = pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)


def described(module: Path) -> dict:
    return yaml.safe_load((module / "meta.yml").read_text())


def declared(module: Path, start: str, end: str) -> list[tuple[list[str], str]]:
    """Each channel between two headings of main.nf: the names in it, and the rest of its line."""
    block = (module / "main.nf").read_text().split(f"    {start}:\n")[1].split(f"    {end}:\n")[0]
    lines = [line for line in block.splitlines() if line.strip() and not line.strip().startswith("//")]
    return [([name.strip("'\"") for name in MEMBER.findall(line)], line) for line in lines]


def names(channel: dict | list[dict]) -> list[str]:
    """What meta.yml calls the members of one channel; a tuple is a list of them."""
    return [next(iter(member)) for member in (channel if isinstance(channel, list) else [channel])]


@every_module
def test_it_names_the_process_and_what_the_process_is_said_to_do(module: Path):
    meta = described(module)
    text = (module / "main.nf").read_text()
    assert meta["name"] == module.name
    comment = re.search(r"((?:^// .*\n)+)process ", text, re.M)
    assert comment
    assert meta["description"] == " ".join(line[3:] for line in comment.group(1).splitlines())
    assert len(set(meta["keywords"])) >= 3
    assert meta["authors"] == meta["maintainers"] == AUTHORS


@every_module
def test_its_inputs_are_those_of_the_process_in_their_order(module: Path):
    assert [names(channel) for channel in described(module)["input"]] == [
        found for found, _ in declared(module, "input", "output")
    ]


@every_module
def test_its_outputs_are_those_that_the_process_emits(module: Path):
    emitted, topics = {}, {}
    for found, line in declared(module, "output", "script"):
        for table, word in ((emitted, "emit"), (topics, "topic")):
            name = re.search(rf"\b{word}: (\w+)", line)
            if name:
                table[name.group(1)] = [found]
    meta = described(module)
    assert {name: [names(c) for c in channels] for name, channels in meta["output"].items()} == emitted
    assert {name: [names(c) for c in channels] for name, channels in meta.get("topics", {}).items()} == topics
    assert emitted


@every_module
def test_every_member_of_a_channel_has_a_type_and_a_sentence(module: Path):
    meta = described(module)
    channels = [
        *meta["input"],
        *(c for kind in ("output", "topics") for o in meta.get(kind, {}).values() for c in o),
    ]
    for channel in channels:
        for member in channel if isinstance(channel, list) else [channel]:
            for name, what in member.items():
                assert what["type"] in ("file", "directory", "string", "map"), name
                assert what["description"][:1].isupper(), name


@every_module
def test_the_tools_it_credits_are_used_by_the_script(module: Path):
    script = ROOT / "bin" / f"{module.name}.py"
    used = {name.split(".")[0] for name in Reach(script.parent, [module.name]).found}
    # found without being imported
    used |= set(re.findall(r'find_spec\("(\w+)"\)', script.read_text()))
    tools = [item for entry in described(module)["tools"] for item in entry.items()]
    assert tools
    for name, tool in tools:
        assert name in used, name
        assert tool["homepage"].startswith("https://"), name
        assert re.fullmatch(r"10\.\d{4,9}/\S+", tool.get("doi", "10.1000/none")), name
        assert tool["licence"], name
