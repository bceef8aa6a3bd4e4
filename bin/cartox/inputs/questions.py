"""The YAML list of questions that people write, read as plain text with the line of every key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cartox.sheets import Faults, read_text

LARGEST_YAML = 1_000_000  # bytes: a question takes 200, and its reader is slow
MOST_CONTRASTS = 1000
DEEPEST = 20  # levels of YAML: a contrast has five


@dataclass
class Entries:
    """A YAML list of mappings; every scalar is text. lines: place of an entry, or of a key of it."""

    name: str
    items: list[Any]
    lines: dict[tuple[Any, ...], int]

    def line(self, *at: Any) -> int | None:
        """Line of the innermost thing named that has one."""
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at)

    def declares(self, kind: str) -> bool:
        """Whether an entry of some focus is of this kind."""
        focus = [f for i in self.items if isinstance(i, dict) for f in (i.get("focus") or [])]
        return any(isinstance(entry, dict) and entry.get("kind") == kind for entry in focus)

    def asked_for(self) -> set[str]:
        """Every word of formulas and terms, and the columns of strata: the columns among them are used."""
        text, columns = "", set()
        for item in self.items:
            if isinstance(item, dict):
                text += f" {item.get('formula')} {item.get('term')} "
                columns |= set(item["where"]) if isinstance(item.get("where"), dict) else set()
        return columns | set(re.findall(r"[^\W\d]\w*", text))


def read_yaml(path: Path, faults: Faults) -> Entries | None:
    """Read a YAML list. Scalars stay text: `no` is not false and `1e3` is not a number."""
    import yaml

    text = read_text(path, faults, LARGEST_YAML)
    if text is None:
        return None
    lines: dict[tuple[Any, ...], int] = {}

    def plain(node: yaml.Node, at: tuple[Any, ...]) -> Any:
        lines.setdefault(at, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [plain(child, (*at, i)) for i, child in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            # an end of line, as of a block, would pass the patterns and end in a file's name
            return node.value.strip()
        out: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.value.strip() in out:
                faults.add(path.name, "the key is given twice or is no word; keep one", line, str(key.value))
                continue
            lines[(*at, key.value.strip())] = line
            out[key.value.strip()] = plain(value, (*at, key.value.strip()))
        return out

    try:
        depth = 0
        for token in yaml.scan(text, Loader=yaml.BaseLoader):
            row = token.start_mark.line + 1
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                return faults.add(path.name, "it uses YAML anchors (&, *); write the entries out", row)
            if isinstance(token, yaml.TagToken):
                return faults.add(path.name, "it uses a YAML tag (!); leave it out, as all is text", row)
            depth += type(token).__name__.endswith("StartToken") - isinstance(
                token, yaml.BlockEndToken | yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken
            )
            if depth > DEEPEST:
                return faults.add(path.name, "it is nested too deeply; write a plain list of contrasts", row)
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        items = plain(node, ()) if node else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        row = mark.line + 1 if mark else None
        return faults.add(path.name, f"it is not YAML ({said}); check indentation and quotes there", row)
    if isinstance(items, list) and len(items) > MOST_CONTRASTS:
        what = f"it holds {len(items):,} contrasts; give at most {MOST_CONTRASTS:,}, for each is a task"
        return faults.add(path.name, what)
    if not isinstance(items, list) or not items:
        return faults.add(path.name, "it is not a list of contrasts; start each one with '- id: '", 1)
    return Entries(path.name, items, lines)
