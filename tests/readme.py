"""What the README shows: its blocks, by language, and the configuration they make up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    text: str


def blocks(path: Path = ROOT / "README.md", chapter: str = "") -> list[Block]:
    """Those of the document, or of one chapter of it."""
    text = path.read_text(encoding="utf-8")
    if chapter:
        text = text.partition(f"\n## {chapter}\n")[2].partition("\n## ")[0]
        assert text, f"{path} has no chapter '{chapter}'"
    return [Block(language, text) for language, text in _BLOCK.findall(text)]


def commands() -> list[str]:
    """Every line of every shell block."""
    return [line for b in blocks() if b.language == "sh" for line in b.text.splitlines() if line.strip()]


def shown(begin: str) -> str:
    """The block without a language that has a line beginning so."""
    return next(b.text for b in blocks() if not b.language and any(x.startswith(begin) for x in b.text.splitlines()))


def write_configuration(folder: Path) -> Path:
    """The YAML files of the README, where their first lines say."""
    for block in blocks():
        if block.language == "yaml":
            path = folder / block.text.splitlines()[0].removeprefix("# ")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    return folder / "config"


DATASHEET = ROOT / "device_profiles" / "README.md", "From a datasheet to a running station"


def added() -> list[str]:
    """The lines that the station of that chapter adds to files that are there: what stands below `stations:`, `buses:`,
    `sensors:`."""
    texts = [block.text for block in blocks(*DATASHEET) if block.language == "yaml"]
    found: list[str] = []
    for text in texts:
        part = ""
        for line in text.splitlines():
            part = line if not line.startswith(" ") else part
            found += [line] if line.startswith(" ") and part in ("stations:", "buses:", "sensors:") else []
    return found


# Mistakes as people make them: (file, right, wrong).
MISTAKES = (
    ("stations.yaml", "        interval: 60s\n", "        interval: 60\n        unit: metre\n"),
    ("stations.yaml", "          danger: {value: 3.50 m", "          danger: {value: 1.50 m"),
    ("edge.yaml", "profile: acme_us10", "profile: acme_us01"),
    ("device_profiles/acme_us10.yaml", "registers: {2: [10000]}", "registers: {2: [9998]}"),
)


def spoil(config: Path) -> None:
    for name, right, wrong in MISTAKES:
        path = config / name
        text = path.read_text(encoding="utf-8")
        assert right in text, f"{name} no longer has {right!r}"
        path.write_text(text.replace(right, wrong), encoding="utf-8")
