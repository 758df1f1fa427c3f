"""Bulletins of the Meteorological Agency as it publishes them: an Atom feed that names documents, and documents in its
own XML (『気象庁防災情報XMLフォーマット』, namespaces http://xml.kishou.go.jp/jmaxml1/…). Pure.

What is said is passed on in the agency's words: nothing is judged, and no name of a bulletin is made up here.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway import instants

MAX_FEED, MAX_DOCUMENT = 32_000_000, 4_000_000  # bytes; days of typhoons over the country stay far below
MOST = 50_000  # entries of a feed
LONGEST = 400  # characters of a text that is passed on
ENDED = "解除"
NOTHING = "なし"  # 『発表警報・注意報はなし』
Status = Literal["real", "drill", "test"]
STATUSES: dict[str, Status] = {"通常": "real", "訓練": "drill", "試験": "test"}
CORRECTED, WITHDRAWN = "訂正", "取消"
# What these say holds until the same office says it anew, for all its areas at once; other bulletins are told apart by
# their event, and one without tells of a moment. Names of 2026-05: https://xml.kishou.go.jp/tec_material.html
STATES = ("気象警報・注意報", "気象特別警報・警報・注意報", "土砂災害警戒情報")


class BadBulletin(ValueError):
    """It is not what it should be; the text says what, without anything of it."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a feed says of a document: its address, the kind of bulletin, by which office, when."""

    url: str
    title: str
    office: str
    updated_ms: int


@dataclass(frozen=True, slots=True)
class Feed:
    updated_ms: int
    entries: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """What holds for which areas: `kinds` as they are named, with 『（解除）』 where that is its state; `areas` by name
    and code."""

    kinds: tuple[str, ...]
    areas: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Bulletin:
    """One document. `title` is the kind of bulletin, `head` its own heading, `event` what it is a further issue of
    (a river of a flood forecast; empty of most others), `info` 発表, 訂正, 取消 or what it says there. `body`: what a
    warning says of each area; `summary`: of the headline, where something holds."""

    title: str
    head: str
    office: str
    status: Status
    info: str
    reported_ms: int
    event: str
    serial: str
    headline: str
    body: tuple[Item, ...]
    summary: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What a bulletin says of the areas that were asked for: their names, and what holds there, each once."""

    areas: tuple[str, ...]
    kinds: tuple[str, ...]


def feed(data: bytes) -> Feed:
    """Raises BadBulletin."""
    target = _Atom()
    _parsed(data, MAX_FEED, target)
    return Feed(_time(target.updated), tuple(target.entries))


def document(data: bytes) -> Bulletin:
    """Raises BadBulletin."""
    root = _tree(data, MAX_DOCUMENT)
    control, head = _child(root, "Control"), _child(root, "Head")
    if _local(root) != "Report" or control is None or head is None:
        raise BadBulletin("it is not a document of the Meteorological Agency")
    status = STATUSES.get(_text(control, "Status"))
    if status is None:
        raise BadBulletin("it does not say whether it is real, a drill or a test")
    headline = _child(head, "Headline")
    return Bulletin(
        title=_text(control, "Title"),
        head=_text(head, "Title") or _text(control, "Title"),
        office=_text(control, "PublishingOffice") or _text(control, "EditorialOffice"),
        status=status,
        info=_text(head, "InfoType"),
        reported_ms=_time(_text(head, "ReportDateTime")),
        event=_text(head, "EventID"),
        serial=_text(head, "Serial"),
        headline=_text(headline, "Text") if headline is not None else "",
        body=tuple(_body(root)),
        summary=tuple(_headline(headline)) if headline is not None else (),
    )


def said(bulletin: Bulletin, asked: Collection[str]) -> Said | None:
    """Of areas that are asked for by name or code; None where it speaks of none of them. The body of a warning says
    what holds for each area, also that nothing does: where it names one of them, the headline is not asked."""
    return _said(bulletin.body, asked) or _said(bulletin.summary, asked)


def _said(items: Iterable[Item], asked: Collection[str]) -> Said | None:
    areas: dict[str, None] = {}
    kinds: dict[str, None] = {}
    for item in items:
        mine = [name for name, code in item.areas if name in asked or code in asked]
        areas |= dict.fromkeys(mine)
        kinds |= dict.fromkeys(item.kinds if mine else ())
    return Said(tuple(areas), tuple(kinds)) if areas else None


def sentence(bulletin: Bulletin, said: Said | None) -> str:
    """One line for people, in the agency's words: what holds, where, and what became of it. `said` None: a further
    issue no longer names the place."""
    if said is None:
        return f"{bulletin.head}　対象の市町村・河川の記載なし（続報）"[:LONGEST]
    what = "・".join(said.kinds)
    if not what or said.kinds == (ENDED,) or nothing(said):  # which it is stands in the heading alone
        what = f"{bulletin.head}　{what}".strip()
    state = f"（{bulletin.info}）" if bulletin.info in (CORRECTED, WITHDRAWN) else ""
    return f"{what}{state}　{'・'.join(said.areas)}"[:LONGEST]


def nothing(said: Said | None) -> bool:
    """Nothing is said of the place, or that nothing is in force there: no news where nothing was."""
    return said is None or (bool(said.kinds) and all(kind.endswith(NOTHING) for kind in said.kinds))


def over(bulletin: Bulletin, said: Said | None) -> bool:
    """Nothing of it holds any more, by its own words: withdrawn, ended, nothing in force, or no longer named."""
    if said is None or bulletin.info == WITHDRAWN:
        return True
    return bool(said.kinds) and all(ENDED in kind or kind.endswith(NOTHING) for kind in said.kinds)


def states(bulletin: Bulletin) -> bool:
    """It says what holds, everywhere at once: a place that the next one does not name has nothing."""
    return bulletin.title.startswith(STATES)


def line(bulletin: Bulletin, url: str) -> str:
    """What a bulletin is the newest issue of: the same is said anew by the next one."""
    own = bulletin.office if states(bulletin) else bulletin.event or url
    return " / ".join((bulletin.title, own, bulletin.status))


# --- documents -----------------------------------------------------------------------------------------------------


def _body(root: ET.Element) -> list[Item]:
    """What a warning's body says of each area, with its state; other bulletins have none."""
    body = _child(root, "Body")
    if body is None:
        return []
    found = []
    for warning in (x for x in body if _local(x) == "Warning"):
        for item in (x for x in warning if _local(x) == "Item"):
            areas = tuple(_area(x) for x in item if _local(x) == "Area")
            kinds = tuple(_state(x) for x in item if _local(x) == "Kind")
            found.append(Item(tuple(k for k in kinds if k), areas))
    return found


def _state(kind: ET.Element) -> str:
    name, status = _text(kind, "Name"), _text(kind, "Status")
    if ENDED in status and ENDED not in name:
        return f"{name}（{ENDED}）" if name else ENDED
    return name or status


def _headline(headline: ET.Element) -> list[Item]:
    found = []
    for information in (x for x in headline if _local(x) == "Information"):
        for item in (x for x in information if _local(x) == "Item"):
            kinds = tuple(_text(x, "Name") for x in item if _local(x) == "Kind")
            areas = [_area(a) for x in item if _local(x) == "Areas" for a in x if _local(a) == "Area"]
            found.append(Item(tuple(k for k in kinds if k), tuple(areas)))
    return found


def _area(x: ET.Element) -> tuple[str, str]:
    return _text(x, "Name"), _text(x, "Code")


# --- XML -----------------------------------------------------------------------------------------------------------


class _Builder(ET.TreeBuilder):
    """Entities of a document's own making need a DTD, and nobody here sends one."""

    def doctype(self, *_: Any) -> None:
        raise BadBulletin("it has a document type of its own")


class _Atom:
    """Of a feed only what is asked for, without a tree: the long one has many thousands of entries."""

    def __init__(self) -> None:
        self.updated, self.entries = "", list[Named]()
        self._path, self._entry, self._text = list[str](), dict[str, str](), list[str]()

    def doctype(self, *_: Any) -> None:
        raise BadBulletin("it has a document type of its own")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._path.append(tag.rpartition("}")[2])
        self._text = []
        if self._path[0] != "feed":
            raise BadBulletin("it is not an Atom feed")
        if len(self._path) == 2:
            self._entry = {}
        if self._path[1:] == ["entry", "link"]:
            self._entry.setdefault("link", attributes.get("href", ""))

    def data(self, text: str) -> None:
        self._text.append(text)

    def end(self, _tag: str) -> None:
        path, text = self._path[1:4], _shown("".join(self._text))
        if path == ["updated"]:
            self.updated = text
        elif path == ["entry"]:
            self.entries.append(_named(self._entry))
        elif path[:1] == ["entry"] and len(self._path) <= 4:
            self._entry.setdefault(path[-1], text)
        if len(self.entries) > MOST:
            raise BadBulletin(f"it has more than {MOST} entries")
        self._path.pop()
        self._text = []

    def close(self) -> None:
        pass


def _named(entry: Mapping[str, str]) -> Named:
    url = entry.get("link") or entry.get("id") or ""
    if not url or len(url) > LONGEST:
        raise BadBulletin("an entry names no document")
    return Named(url, entry.get("title", ""), entry.get("name", ""), _time(entry.get("updated", "")))


def _tree(data: bytes, most: int) -> ET.Element:
    found: ET.Element = _parsed(data, most, _Builder())
    return found


def _parsed(data: bytes, most: int, target: Any) -> Any:
    if len(data) > most:
        raise BadBulletin(f"it is larger than {most} bytes")
    parser = ET.XMLParser(target=target)  # noqa: S314 - without a DTD there are no entities to expand
    try:
        parser.feed(data)
        return parser.close()
    except BadBulletin:
        raise
    except (ET.ParseError, ValueError, LookupError, RecursionError) as e:
        raise BadBulletin("it is not XML") from e


def _local(x: ET.Element) -> str:
    """The name without its namespace: the agency numbers these anew with its formats."""
    return x.tag.rpartition("}")[2] if isinstance(x.tag, str) else ""


def _child(x: ET.Element, name: str) -> ET.Element | None:
    return next((child for child in x if _local(child) == name), None)


def _text(x: ET.Element, name: str) -> str:
    child = _child(x, name)
    return "" if child is None else _shown(child.text or "")


def _shown(text: str) -> str:
    """In one line, without controls, and not endless."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:LONGEST]


def _time(text: str) -> int:
    try:
        return instants.parse(text)
    except ValueError as e:
        raise BadBulletin("a time of it cannot be read") from e
