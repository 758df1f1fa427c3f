"""The query language of NGSI-LD (ETSI GS CIM 009, clause 4.9), and the patterns in it. Pure.

Every query ends soon: its terms, its brackets and its patterns are bounded, and a pattern never goes back.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway import instants

MAX_TERMS = 50
MAX_DEPTH = 10
MAX_TEXT = 2000  # of a value that a pattern is looked for in

Entity = dict[str, Any]
Test = Callable[[Entity], bool]

_NAME = r"[A-Za-z_@][A-Za-z0-9_:@-]{0,127}"
_PATH = re.compile(rf"({_NAME}(?:\.{_NAME}){{0,5}})((?:\[{_NAME}(?:\.{_NAME}){{0,5}}\]){{0,3}})")
_OPERATOR = re.compile(r"==|!=|>=|<=|!~=|~=|>|<")
_QUOTED = re.compile(r'"[^"]*"')
_BARE = re.compile(r"[^;|()\",]+?(?=\.\.|[;|(),]|$)", re.DOTALL)
_SPACE = re.compile(r"\s*")


class BadQuery(ValueError):
    """It is not understood, or not done here. A sentence for whoever asks."""


def query(text: str) -> Test:
    """Raises BadQuery."""
    return _Parser(text).whole()


@dataclass(frozen=True, slots=True)
class _Range:
    least: Any
    most: Any


class _Parser:
    """By recursive descent; `;` binds closer than `|`."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._terms = text, 0, 0

    def whole(self) -> Test:
        found = self._any(0)
        if self._at < len(self._text):
            raise self._lost("; or |")
        return found

    def _any(self, depth: int) -> Test:
        if depth > MAX_DEPTH:
            raise BadQuery(f"q holds more than {MAX_DEPTH} brackets in one another")
        groups = [self._all(depth)]
        while self._takes("|"):
            groups.append(self._all(depth))
        return groups[0] if len(groups) == 1 else lambda x: any(test(x) for test in groups)

    def _all(self, depth: int) -> Test:
        terms = [self._one(depth)]
        while self._takes(";"):
            terms.append(self._one(depth))
        return terms[0] if len(terms) == 1 else lambda x: all(test(x) for test in terms)

    def _one(self, depth: int) -> Test:
        if self._takes("("):
            found = self._any(depth + 1)
            if not self._takes(")"):
                raise self._lost(")")
            return found
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise BadQuery(f"q holds more than {MAX_TERMS} terms")
        return self._term()

    def _term(self) -> Test:
        path = self._match(_PATH)
        if path is None:
            raise self._lost("the name of an attribute, like currentLevel or currentLevel.flag")
        names, inner = (
            path[1].split("."),
            [key for part in re.findall(r"\[(.*?)\]", path[2]) for key in part.split(".")],
        )
        operator = self._match(_OPERATOR)
        if operator is None:
            return lambda x: _at(x, names, inner) is not None
        if operator[0] in ("~=", "!~="):
            wanted = self._pattern()
            return lambda x: _matches(_at(x, names, inner), operator[0] == "~=", wanted)
        values = self._values(operator[0])
        return lambda x: _holds(_at(x, names, inner), operator[0], values)

    def _pattern(self) -> Pattern:
        quoted = self._match(_QUOTED)
        found = quoted[0][1:-1] if quoted else None
        if found is None and (bare := self._match(re.compile(r"[^;|()]+"))) is not None:
            found = bare[0].strip()
        if found is None:
            raise self._lost("a pattern")
        return Pattern(found)

    def _values(self, operator: str) -> list[Any]:
        """One value, a list a,b or a range a..b; the last two for == and != alone."""
        found: list[Any] = [self._value()]
        if self._takes(".."):
            found = [_Range(found[0], self._value())]
            if type(found[0].least) is not type(found[0].most) or isinstance(found[0].least, bool):
                raise BadQuery("a range is of two numbers, two texts or two times")
        while self._takes(","):
            found.append(self._value())
            if len(found) > MAX_TERMS:
                raise BadQuery(f"a list of q holds more than {MAX_TERMS} values")
        if operator not in ("==", "!=") and (len(found) > 1 or isinstance(found[0], _Range | bool)):
            raise BadQuery(
                f"{operator} is for one number, text or time; lists, ranges, true and false go with == and !="
            )
        return found

    def _value(self) -> Any:
        if quoted := self._match(_QUOTED):
            return _timed(quoted[0][1:-1])
        bare = self._match(_BARE)
        if bare is None or not bare[0].strip():
            raise self._lost("a value")
        return _literal(bare[0].strip())

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
        found = pattern.match(self._text, self._at)
        if found:
            self._at = _SPACE.match(self._text, found.end()).end()  # type: ignore[union-attr]
        return found

    def _takes(self, sign: str) -> bool:
        return self._match(re.compile(re.escape(sign))) is not None

    def _lost(self, wanted: str) -> BadQuery:
        return BadQuery(f"q at character {self._at + 1}, '{self._text[self._at : self._at + 40]}': {wanted} is missing")


def _literal(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        number = float(text)
        if not math.isfinite(number):
            raise BadQuery(f"'{text[:40]}' is no number that fits")
        return number
    return _timed(text)


@dataclass(frozen=True, slots=True, order=True)
class _Time:
    at_ms: int


def _timed(text: str) -> Any:
    """A text, and a time where it is one with its offset: of times the moment is compared, not how it is written."""
    if not re.match(r"\d{4}-\d\d-\d\dT", text):
        return text
    try:
        return _Time(instants.parse(text))
    except ValueError:
        return text


def _at(x: Entity, names: list[str], inner: list[str]) -> Any:
    """The value under a path: names lead to attributes of attributes, those in brackets into a value. None: there is
    none."""
    node: Any = x
    for name in names:
        node = node.get(name) if isinstance(node, dict) else None
    for key in inner[:1]:
        node = node.get("value", node) if isinstance(node, dict) else None
        node = node.get(key) if isinstance(node, dict) else None
    for key in inner[1:]:
        node = node.get(key) if isinstance(node, dict) else None
    value = node.get("value", node.get("object", node)) if isinstance(node, dict) else node
    return value.get("@value", value) if isinstance(value, dict) else value


def _holds(value: Any, operator: str, wanted: list[Any]) -> bool:
    """What is not there fits nothing, nor does a value of another kind, but for !=."""
    if value is None:
        return False
    values = [_kind(x) for x in value] if isinstance(value, list) else [_kind(value)]
    if operator in ("==", "!="):
        fits = any(_same(x, one) for x in values for one in wanted)
        return fits if operator == "==" else not fits
    (one,) = wanted
    return any(type(x) is type(one) and _ordered(x, operator, one) for x in values)


def _kind(value: Any) -> Any:
    """As literals are: numbers are float, times are times."""
    if isinstance(value, bool):
        return value
    return float(value) if isinstance(value, int | float) else _timed(value) if isinstance(value, str) else value


def _same(x: Any, one: Any) -> bool:
    if isinstance(one, _Range):
        return type(x) is type(one.least) and bool(one.least <= x <= one.most)
    return type(x) is type(one) and bool(x == one)


def _ordered(x: Any, operator: str, one: Any) -> bool:
    match operator:
        case ">":
            return bool(x > one)
        case "<":
            return bool(x < one)
        case ">=":
            return bool(x >= one)
        case _:
            return bool(x <= one)


def _matches(value: Any, wanted: bool, pattern: Pattern) -> bool:
    values = value if isinstance(value, list) else [value]
    texts = [x for x in values if isinstance(x, str)]
    return bool(texts) and any(pattern.found(x) for x in texts) == wanted


# --- patterns ----------------------------------------------------------------------------------------------------

_ATOM = re.compile(
    r"\\(?P<escape>.)|\[(?P<no>\^?)(?P<of>(?:\\.|[^\]\\])+)\]|(?P<any>\.)|(?P<plain>[^\\\[\](){}*+?|^$.])", re.DOTALL
)
_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": " \t\r\n"}


@dataclass(frozen=True, slots=True)
class _Atom:
    """One character that `fits`; `least` 0: it may be missing; `often`: it may come again."""

    fits: Callable[[str], bool]
    least: int
    often: bool


class Pattern:
    """A regular expression without groups and alternatives: characters, `.`, classes, each with *, + or ?, and anchors.
    All ways are followed at once, so that none takes longer than its length times that of the text. Raises BadQuery."""

    def __init__(self, text: str) -> None:
        if len(text) > 200:
            raise BadQuery("a pattern holds at most 200 characters")
        self._begin, self._end = text.startswith("^"), text.endswith("$") and not text.endswith("\\$")
        body = text[self._begin : len(text) - self._end]
        self._atoms: list[_Atom] = []
        at = 0
        while at < len(body):
            found = _ATOM.match(body, at)
            if found is None:
                raise BadQuery(
                    f"'{body[at : at + 20]}' is not done in a pattern: it has characters, . [a-z] * + ? ^ and $"
                )
            at = found.end()
            sign = body[at : at + 1] if body[at : at + 1] in ("*", "+", "?") else ""
            at += len(sign)
            self._atoms.append(_Atom(_fits(found), 0 if sign in ("*", "?") else 1, sign in ("*", "+")))

    def found(self, text: str) -> bool:
        """Anywhere, unless it is anchored."""
        last = len(self._atoms)
        here = self._skip({0})
        for character in text[:MAX_TEXT]:
            if last in here and not self._end:
                return True
            there = {n + 1 for n in here if n < last and self._atoms[n].fits(character)}
            there |= {n for n in here if n > 0 and self._atoms[n - 1].often and self._atoms[n - 1].fits(character)}
            here = self._skip(there if self._begin else there | {0})
        return last in here

    def _skip(self, states: set[int]) -> set[int]:
        """With what may be missing left out. State n: the atoms before n have been found."""
        found = set(states)
        for n, atom in enumerate(self._atoms):
            if n in found and atom.least == 0:
                found.add(n + 1)
        return found


def _fits(atom: re.Match[str]) -> Callable[[str], bool]:
    if atom["any"]:
        return lambda _: True
    if atom["plain"]:
        return lambda c: c == atom["plain"]
    if (escape := atom["escape"]) is not None:
        if escape.lower() in _CLASSES:
            return _within(_CLASSES[escape.lower()], escape.isupper())
        if escape.isalnum():
            raise BadQuery(f"\\{escape} is not done in a pattern: it has \\d, \\w, \\s and signs")
        return lambda c: c == escape
    return _within(atom["of"], bool(atom["no"]))


def _within(text: str, outside: bool) -> Callable[[str], bool]:
    """Of a class like a-z0-9_."""
    text = re.sub(r"\\([dws])", lambda m: _CLASSES[m[1]], text)
    parts = re.findall(r"(\\.|[^\\])(?:-(\\.|[^\\]))?", text, re.DOTALL)
    spans = [(a[-1], (b or a)[-1]) for a, b in parts]
    return lambda c: any(a <= c <= b for a, b in spans) != outside
