"""Differences of thresholds written into the text of stations.yaml, and nothing else of it touched: comments, order,
quotes and everything beside the values that change stay as they are. The caller reads the result again and compares."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from yaml.nodes import MappingNode, Node, ScalarNode

from gateway.stations import Threshold
from gateway.thresholdcsv import Difference, day_of
from gateway.yamlfile import Document

_PLAIN = re.compile(r"[^\s\[\]{},#&*!|>'\"%@`:?-][^\[\]{},#:'\"]*")


@dataclass(frozen=True, slots=True)
class _Edit:
    """Replace what stands from `start` to `end`, in characters."""

    start: int
    end: int
    text: str


class Unwritable(Exception):
    """This form of YAML is not edited by us; by hand it can be."""


def edited(text: str, document: Document, differences: Iterable[Difference]) -> str:
    """The text with the differences in it. Raises Unwritable."""
    edits: list[_Edit] = []
    of: dict[tuple[str, str], list[Difference]] = {}
    for d in differences:
        if d.kind != "unchanged":
            of.setdefault((d.place[1], d.place[2]), []).append(d)
    for (station, channel), found in of.items():
        node = _node(document.root, ("stations", station, "channels", channel))
        edits += _channel(text, node, found)
    for edit in sorted(edits, key=lambda e: (e.start, e.end), reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _node(root: Node | None, path: tuple[str, ...]) -> MappingNode:
    for step in path:
        root = dict(_pairs(root)).get(step)
    if not isinstance(root, MappingNode):
        raise Unwritable(f"{'.'.join(path)} is not a mapping")
    return root


def _pairs(node: Node | None) -> list[tuple[str, Node]]:
    return [(k.value, v) for k, v in node.value] if isinstance(node, MappingNode) else []


def _channel(text: str, channel: MappingNode, found: list[Difference]) -> list[_Edit]:
    marks = dict(_pairs(channel)).get("thresholds")
    added = [(d.level, _entry(d)) for d in found if d.kind == "added"]
    edits: list[_Edit] = []
    if marks is None or not isinstance(marks, MappingNode) or not marks.value:
        if marks is not None:
            inside = ", ".join(f"{level}: {entry}" for level, entry in added)
            return [_Edit(marks.start_mark.index, _end(marks), "{" + inside + "}")]
        return [_new_section(text, channel, added)] if added else []
    for d in found:
        if d.kind == "changed":
            edits += _changed(text, dict(_pairs(marks))[d.level], d)
    gone = [d.level for d in found if d.kind == "removed"]
    if len(gone) == len(marks.value):
        inside = ", ".join(f"{level}: {entry}" for level, entry in added)
        return [_Edit(marks.start_mark.index, _end(marks), "{" + inside + "}")]
    edits += [_without(text, marks, level) for level in gone]
    return edits + [_with(text, marks, level, entry) for level, entry in added]


def _entry(d: Difference) -> str:
    assert d.new is not None
    return "{" + ", ".join(f"{key}: {value}" for key, value in _wanted(d.new, d.written).items()) + "}"


def _wanted(t: Threshold, written: str) -> dict[str, str]:
    """The keys of a threshold as YAML."""
    found = {"value": written, "authority": t.authority, "basis": t.basis, "source": t.source}
    days = {"valid_from": day_of(t.valid_from_ms), "valid_to": day_of(t.valid_to_ms)}
    return {key: _scalar(value) for key, value in (found | days).items() if value}


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text == text.strip() else "'" + text.replace("'", "''") + "'"


def _changed(text: str, node: Node, d: Difference) -> list[_Edit]:
    assert d.new is not None
    assert d.old is not None
    if not isinstance(node, MappingNode):
        raise Unwritable(f"{d.level} is not a mapping")
    there, edits = dict(_pairs(node)), []
    before, wanted = _wanted(d.old, ""), _wanted(d.new, d.written)
    if d.old.value == d.new.value:
        del wanted["value"]
    for key, value in wanted.items():
        scalar = there.get(key)
        if scalar is None:
            edits.append(_with(text, node, key, value))
        elif before.get(key) != value:
            edits.append(_Edit(scalar.start_mark.index, scalar.end_mark.index, value))
    return edits + [
        _without(text, node, key) for key in ("valid_from", "valid_to") if key in there and key not in wanted
    ]


# --- text around nodes


def _end(node: Node) -> int:
    """Where a node ends in the text; of a block that is the end of its last value."""
    if isinstance(node, ScalarNode) or getattr(node, "flow_style", False):
        return int(node.end_mark.index)
    last = node.value[-1] if node.value else None
    return _end(last[1] if isinstance(last, tuple) else last) if last is not None else int(node.end_mark.index)


def _line_end(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _with(text: str, mapping: MappingNode, key: str, value: str) -> _Edit:
    """One more pair, the last."""
    end = _end(mapping.value[-1][1])
    if mapping.flow_style:
        return _Edit(end, end, f", {key}: {value}")
    column = mapping.value[0][0].start_mark.column
    return _after(text, end, f"{' ' * column}{key}: {value}")


def _after(text: str, index: int, line: str) -> _Edit:
    """A line after the one that holds `index`."""
    end = _line_end(text, index)
    end -= text[end - 1 : end] == "\r"
    return _Edit(end, end, _newline(text) + line)


def _new_section(text: str, channel: MappingNode, added: list[tuple[str, str]]) -> _Edit:
    if channel.flow_style:
        inside = ", ".join(f"{level}: {entry}" for level, entry in added)
        return _with(text, channel, "thresholds", "{" + inside + "}")
    column = " " * channel.value[0][0].start_mark.column
    lines = [f"{column}thresholds:", *(f"{column}  {level}: {entry}" for level, entry in added)]
    return _after(text, _end(channel.value[-1][1]), _newline(text).join(lines))


def _without(text: str, mapping: MappingNode, key: str) -> _Edit:
    """A pair less; of several that go, each takes its own text."""
    i = next(i for i, (k, _) in enumerate(mapping.value) if k.value == key)
    key_node, value = mapping.value[i]
    if mapping.flow_style:
        if i:
            return _Edit(_end(mapping.value[i - 1][1]), _end(value), "")
        return _Edit(key_node.start_mark.index, mapping.value[1][0].start_mark.index, "")
    start = text.rfind("\n", 0, key_node.start_mark.index) + 1
    return _Edit(start, min(_line_end(text, _end(value)) + 1, len(text)), "")
