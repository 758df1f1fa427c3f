"""YAML with line and column. The C parser composes the nodes, the values are built here, because PyYAML's own
builder accepts duplicate keys and reads 12:30 as 750, 012 as 10 and `on` as true.

What is read is the core of YAML 1.2: true, false, null, decimal and 0x integers, decimal fractions; everything else
is text. None of our files gives a meaning to null, so it is told as a missing value. Nothing here raises for what
stands in a file: every mistake becomes a Problem of the document.
"""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path as FilePath
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.errors import Problem

Key = str | int
Path = tuple[Key, ...]
Place = tuple[int, int]  # line, column; both from 1

MAX_BYTES = 8_000_000
MAX_DEPTH = 50
MAX_VALUES = 1_000_000  # aliases counted as often as they are used

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,19})")
_DIGITS = re.compile(r"[-+]?[0-9]+")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}")
_FRACTION = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAGS = {
    ScalarNode: "tag:yaml.org,2002:str",
    SequenceNode: "tag:yaml.org,2002:seq",
    MappingNode: "tag:yaml.org,2002:map",
}

_REMEDY_COLON = "Put text that holds ': ' in quotes, write a space after each key's ':', check the indentation"
_REMEDY_INDENT = "Check the indentation and the quotes"

# What the parser says -> what people read. The second item: the place is where the thing began, not where it broke.
_SYNTAX: tuple[tuple[str, bool, str], ...] = (
    ("tab character", False, "a tab cannot indent. Use spaces"),
    ("cannot start any token", False, "{char} cannot begin a value. Put the text in quotes"),
    ("mapping values are not allowed", False, "no key ends at this ':'. " + _REMEDY_COLON),
    ("sequence entries are not allowed", False, "a list cannot begin here. Put '- ' on a line of its own"),
    ("',' or ']'", True, "this '[' is not closed by ']' before line {line}"),
    ("',' or '}'", True, "this '{{' is not closed by '}}' before line {line}"),
    ("end of stream", True, "this quote is never closed"),
    ("expected ':'", True, "this key has no ':'"),
    ("expected key", False, "the mapping that begins in line {start} does not go on like this. " + _REMEDY_INDENT),
    ("expected '-'", False, "the list that begins in line {start} does not go on like this. " + _REMEDY_INDENT),
    ("<document start>", False, "this line does not fit the indentation of those above"),
    ("undefined alias", False, "no anchor '&…' of this name stands above"),
    ("second occurrence", False, "this anchor's name was already used in line {start}"),
    ("another document", False, "a second document begins here. Keep one in a file"),
    ("Unicode character escape", False, "this escape is no character"),
    ("escape character", False, "an unknown escape in double quotes. Use single quotes for text with backslashes"),
    ("expected node content", False, "a value is expected before {char}"),
    ("too deep", False, f"more than {MAX_DEPTH} levels inside each other"),
)


class Document:
    """One YAML file: its value, the place of everything in it, and the problems found so far.

    `readable` is false where the text could not be read as YAML at all. Places are looked up by walking the nodes,
    so that a file without mistakes pays nothing for them.
    """

    def __init__(self, file: str, digest: str = "") -> None:
        self.file = file
        self.digest = digest
        self.value: Any = None
        self.readable = False
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self._refused: set[Place] = set()

    def at(self, path: Path) -> Any:
        """The value at the path. The path exists."""
        value = self.value
        for step in path:
            value = value[step]
        return value

    def mapping(self, path: Path) -> dict[Key, Any]:
        """The mapping at the path; empty where something else stands there or nothing."""
        try:
            value = self.at(path)
        except (KeyError, IndexError, TypeError):
            return {}
        return value if isinstance(value, dict) else {}

    def place(self, path: Path) -> Place:
        """Where the value stands, or the nearest thing around it that exists."""
        return self._find(path)[1]

    def key_place(self, path: Path) -> Place:
        """Where the key stands; for an item of a list, the item."""
        return self._find(path)[0]

    def add(self, path: Path, message: str, *, at_key: bool = False) -> None:
        """Notes a problem with the value at the path, or with its key; not where the value itself was refused."""
        key, value, text = self._find(path)
        if value in self._refused:
            return
        self.problems.append(Problem(self.file, *(key if at_key else value), text, message))

    def refuse(self, node: Node, path: Path, message: str, *, is_key: bool = False) -> None:
        """Notes that the node cannot be built. Of a refused value nothing more is said."""
        if not is_key:
            self._refused.add(_place(node))
        self.problems.append(Problem(self.file, *_place(node), self._find(path)[2], message))

    def _find(self, path: Path) -> tuple[Place, Place, str]:
        """Place of the key, place of the value, the path in words."""
        node = self.root
        key = value = (1, 1) if node is None else _place(node)
        text = ""
        for step in path:
            listed = isinstance(node, SequenceNode)
            text += f"[{step}]" if listed else f".{step}" if text else str(step)
            found = _child(node, step)
            if found is None:
                node = None
                continue
            key, value, node = _place(found[0]), _place(found[1]), found[1]
        return key, value, text


def read(file: FilePath, name: str) -> Document:
    """The file as a document that calls itself `name` in problems. A file that cannot be read is a problem."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return _unreadable(Document(name), "no such file")
    except OSError as e:
        return _unreadable(Document(name), f"cannot be read ({(e.strerror or str(e)).lower()})")
    return parse(data, name)


def parse(data: bytes, name: str) -> Document:
    """The bytes of a YAML file as a document."""
    document = Document(name, hashlib.sha256(data).hexdigest()[:12])
    if len(data) > MAX_BYTES:
        return _unreadable(document, f"{len(data)} bytes are more than the {MAX_BYTES} that are read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        before = data[: e.start].decode("utf-8-sig")
        return _unreadable(document, f"not UTF-8 (byte 0x{data[e.start]:02X}). Save the file as UTF-8", _end(before))
    control = _CONTROL.search(text)
    if control:
        message = f"a control character (U+{ord(control[0]):04X}) stands here. Remove it"
        return _unreadable(document, message, _end(text[: control.start()]))
    try:
        document.root = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as e:
        return _unreadable(document, *_syntax(e, text))
    except yaml.YAMLError as e:
        return _unreadable(document, f"not YAML: {e}")
    document.readable = True
    if document.root is not None:
        document.value = _Builder(document).build(document.root)
    return document


def _unreadable(document: Document, message: str, place: Place = (1, 1)) -> Document:
    document.problems.append(Problem(document.file, *place, "", message))
    return document


def _end(text: str) -> Place:
    """The place of the character that would follow the text."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _place(node: Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _child(node: Node | None, step: Key) -> tuple[Node, Node] | None:
    """(key, value) at a step of a path; an item of a list is its own key."""
    if isinstance(node, SequenceNode) and isinstance(step, int) and 0 <= step < len(node.value):
        return node.value[step], node.value[step]
    if isinstance(node, MappingNode):
        return next(((k, v) for k, v in node.value if isinstance(k, ScalarNode) and _key(k) == step), None)
    return None


def _key(node: ScalarNode) -> Key:
    """Keys are whole numbers or text as written: `on`, `true` and `1.0` are text here."""
    text: str = node.value
    if node.style:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    return int(text, 16) if _HEX.fullmatch(text) else text


def _syntax(e: yaml.MarkedYAMLError, text: str) -> tuple[str, Place]:
    end, start = e.problem_mark, e.context_mark or e.problem_mark
    said = e.problem or "not YAML"
    line, col = (end.line, end.column) if end else (0, 0)
    rest = text.splitlines()[line : line + 1]
    char = f"'{rest[0][col]}'" if rest and col < len(rest[0]) else "the end of the line"
    said = "tab character" if char == "'\t'" else said
    for needle, at_start, message in _SYNTAX:
        if needle in said:
            place = (start.line + 1, start.column + 1) if at_start and start else (line + 1, col + 1)
            begun = start.line + 1 if start else 1
            return message.format(line=line + 1, start=begun, char=char), place
    return f"not YAML: {said}", (line + 1, col + 1)


class _Composer(CParser):
    """The C composer without any guess at types, and with a bound on depth (its recursion is C's)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def resolve(self, kind: type[Node], value: object, implicit: object) -> str:
        return _TAGS[kind]

    def descend_resolver(self, parent: Node | None, index: object) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="too deep", problem_mark=parent.start_mark if parent else None)

    def ascend_resolver(self) -> None:
        self._depth -= 1


class _TooMuch(Exception):
    """Aliases unfold to more than will be built."""


class _Builder:
    """Builds the value of a document from its nodes. `trail` is the path of the node in work."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._trail: list[Key] = []
        self._count = 0

    def build(self, root: Node) -> Any:
        try:
            return self._node(root)
        except _TooMuch:
            self._document.readable = False
            self._document.problems.append(
                Problem(self._document.file, *_place(root), "", "the aliases unfold to too many values. Write them out")
            )
            return None

    def _node(self, node: Node) -> Any:
        self._count += 1
        # An alias of what contains it would never end; it shows as depth.
        if self._count > MAX_VALUES or len(self._trail) > MAX_DEPTH:
            raise _TooMuch
        if node.tag != _TAGS[type(node)]:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._refuse(node, f"the tag '{tag}' is not read. Leave it out")
        if isinstance(node, ScalarNode):
            return node.value if node.style else self._plain(node, node.value)
        if isinstance(node, SequenceNode):
            return [self._item(i, item) for i, item in enumerate(node.value)]
        return self._mapping(node)

    def _item(self, index: int, node: Node) -> Any:
        self._trail.append(index)
        value = self._node(node)
        self._trail.pop()
        return value

    def _mapping(self, node: Node) -> dict[Key, Any]:
        out: dict[Key, Any] = {}
        lines: dict[Key, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._refuse(key_node, "a key is one word, not a list or mapping", is_key=True)
                continue
            key = _key(key_node)
            self._trail.append(key)
            if key == "<<" and not key_node.style:
                self._refuse(key_node, "merge keys are not read. Write the keys out, or use an alias for a whole value")
            elif key in out:
                self._refuse(
                    key_node, f"the key stands twice, first in line {lines[key]}. Keep one of them", is_key=True
                )
            else:
                lines[key] = key_node.start_mark.line + 1
                out[key] = self._node(value_node)
            self._trail.pop()
        return out

    def _plain(self, node: ScalarNode, text: str) -> Any:
        if text in _WORDS:
            if _WORDS[text] is None and self._trail:
                self._refuse(node, "has no value. Give it one or leave it out")
            return _WORDS[text]
        if text[0] not in "+-.0123456789":
            return text
        if _INTEGER.fullmatch(text):
            return int(text)
        if _HEX.fullmatch(text):
            return int(text, 16)
        if _DIGITS.fullmatch(text):
            return self._odd_integer(node, text)
        if _FRACTION.fullmatch(text):
            number = float(text)
            if math.isfinite(number):
                return number
        elif not _NOT_FINITE.fullmatch(text):
            return text
        self._refuse(node, f"{text} is not a finite number")
        return None

    def _odd_integer(self, node: ScalarNode, text: str) -> str:
        """Written as text so that whoever wanted text has it; the problem stands either way."""
        digits = text.lstrip("+-")
        if digits.startswith("0"):
            plain = digits.lstrip("0") or "0"
            message = f"{text} could be {plain} or an octal number. Write {plain}, or '{text}' in quotes if it is text"
        else:
            message = f"{text[:24]}… has more than 20 digits. Put it in quotes if it is text"
        self._refuse(node, message)
        return text

    def _refuse(self, node: Node, message: str, *, is_key: bool = False) -> None:
        self._document.refuse(node, tuple(self._trail), message, is_key=is_key)
