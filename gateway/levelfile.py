"""levels.yaml -> level tables: the names, words and colours of the ranks, as data.

A table is used as a whole or not at all: what it lacks would be missing at night. A colour must bear the text that
stands on it and stand out from the ground (WCAG 2.2, relative luminance and contrast ratio).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from gateway import fields as f
from gateway.schema import Row, Version
from gateway.stations import Level, LevelTable
from gateway.validation import validate
from gateway.yamlfile import Document, Path

_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_PROMISES = ("安全", "解除")  # no text of ours says so
TEXT_CONTRAST = 4.5  # WCAG 1.4.3
RING_CONTRAST = 3.0  # WCAG 1.4.11, of graphical objects
GROUNDS = {"light": "#FFFFFF", "dark": "#202020"}
MAX_RANK = 5


def _need(example: str) -> Any:
    return Field(examples=[example])


def _colour(value: Any) -> str:
    word = f.text(value)
    if not _COLOUR.fullmatch(word):
        raise ValueError(f"{f.show(word)} is not a colour. Write it like '#AA00AA'")
    return word.upper()


def _name(value: Any) -> str:
    word = f.text(value)
    for promise in _PROMISES:
        if promise in word:
            raise ValueError(f"{f.show(word)} says 『{promise}』, which no gauge can know. Leave it out")
    return word


Colour = Annotated[str, PlainValidator(_colour)]
LevelName = Annotated[str, PlainValidator(_name)]


class Words(Row):
    ja: LevelName = _need("危険")
    en: LevelName = _need("danger")


class LevelRow(Row):
    rank: Annotated[int, Field(ge=0, le=MAX_RANK)] = _need("4")
    key: f.Name = _need("danger")
    ja: LevelName = _need("氾濫危険水位")
    en: LevelName = _need("flood danger level")
    short: Words = _need("{ja: 危険, en: danger}")
    exceeded: Words | None = None
    colour: Colour = _need("'#AA00AA'")
    text: Colour = _need("'#FFFFFF'")
    shape: Literal["circle", "triangle", "square", "diamond", "octagon"] = "circle"
    size: Annotated[float, Field(ge=1, le=3)] = 1.0
    ring: Literal["light", "dark"] | None = None
    hazard: Literal["river", "tide", "underpass", "inundation", "rain", "tide_deviation"] | None = None
    basis: Literal["基準水位観測所", "危機管理型", "市の目安"] | None = None


class Levels(Row):
    version: Version
    tables: Annotated[dict[f.Text, Any], Field(min_length=1)] = _need("")


def tables(document: Document) -> dict[str, LevelTable]:
    """Every table without a mistake, by name; the mistakes of the others are problems of the document."""
    validate(Levels, document)
    names = document.mapping(("tables",))
    found = {str(name): _table(document, ("tables", name), str(name)) for name in names}
    return {name: table for name, table in found.items() if table}


def _table(document: Document, path: Path, name: str) -> LevelTable | None:
    rows = document.at(path)
    if not isinstance(rows, list):
        document.add(path, f"{f.show(rows)} stands where a list of levels is expected")
        return None
    before = len(document.problems)
    levels = [_level(document, (*path, i)) for i in range(len(rows))]
    good = [level for level in levels if level]
    if len(good) == len(rows):
        _whole(document, path, good)
    return LevelTable(name, tuple(good)) if len(document.problems) == before else None


def _level(document: Document, path: Path) -> Level | None:
    row = validate(LevelRow, document, path)
    if row is None:
        return None
    if row.exceeded is None and row.rank > 0:
        example = f"{{ja: {row.ja}超過, en: {row.en} exceeded}}"
        document.add(path, f"'exceeded' is missing. Add for example 'exceeded: {example}'", at_key=True)
        return None
    contrast = _contrast(row.colour, row.text)
    if contrast < TEXT_CONTRAST:
        better = max("#000000", "#FFFFFF", key=lambda text: _contrast(row.colour, text))
        message = (
            f"{row.text} on {row.colour} has a contrast of {contrast:.1f}, below {TEXT_CONTRAST}. Write '{better}'"
        )
        document.add((*path, "text"), message)
    for ground, colour in GROUNDS.items():
        if _contrast(row.colour, colour) < RING_CONTRAST and row.ring != ground:
            message = f"{row.colour} does not stand out from {ground} grounds. Add 'ring: {ground}'"
            document.add((*path, "ring") if row.ring else (*path, "colour"), message)
    exceeded = row.exceeded or Words(ja=row.ja, en=row.en)
    return Level(
        rank=row.rank,
        key=row.key,
        ja=row.ja,
        en=row.en,
        colour=row.colour,
        text=row.text,
        short_ja=row.short.ja,
        short_en=row.short.en,
        exceeded_ja=exceeded.ja,
        exceeded_en=exceeded.en,
        shape=row.shape,
        size=row.size,
        ring=row.ring or "",
        hazard=row.hazard or "",
        basis=row.basis or "",
    )


def _whole(document: Document, path: Path, levels: list[Level]) -> None:
    """What holds for the rows of a table together."""
    for rank in range(MAX_RANK + 1):
        if not any(x.rank == rank and not x.hazard and not x.basis for x in levels):
            message = f"rank {rank} has no level for every station (one without 'hazard' and 'basis'). Add one"
            document.add(path, message, at_key=True)
    ranks: dict[str, int] = {}
    seen: set[tuple[str, str, str]] = set()
    for i, level in enumerate(levels):
        if ranks.setdefault(level.key, level.rank) != level.rank:
            message = f"'{level.key}' has rank {level.rank} here and rank {ranks[level.key]} above. One key, one rank"
            document.add((*path, i, "rank"), message)
        if (level.key, level.hazard, level.basis) in seen:
            document.add((*path, i, "key"), f"'{level.key}' stands twice. Say by 'hazard' or 'basis' which is for what")
        seen.add((level.key, level.hazard, level.basis))
        if i and level.rank < levels[i - 1].rank:
            message = f"rank {level.rank} stands below rank {levels[i - 1].rank}. Write the lowest rank first"
            document.add((*path, i, "rank"), message)


def _luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour, 0 to 1 (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    lights = sorted((_luminance(one), _luminance(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)
