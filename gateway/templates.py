"""Templates: how the words of an alert are put together, in a language and for a medium. Pure.

A template is a text. Its first line is the subject; the others are the body. `{place}` stands for a word, `[ … ]` for a
part that is left out where a word in it has nothing to say; a line of which nothing is left is left out. What may not
be lost (the marks of drills and of what is unconfirmed, the closing sentence) is put around it, whatever it says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Language = Literal["ja", "en"]
LANGUAGES: tuple[Language, ...] = ("ja", "en")

# The words that there are, each with what it is.
WORDS: dict[str, str] = {
    "place": "the station",
    "river": "its river, where stations.yaml names one",
    "area": "its area, where stations.yaml names one",
    "what": "what happened, as a sentence",
    "level": "the level concerned",
    "rank": "its rank: alert level (警戒レベル) of official gauges, else its place of five",
    "quantity": "what the value is: 水位, 雨量, 最終観測値",
    "value": "the value with its unit",
    "trend": "where it goes: ↑ 1時間に+0.60 m",
    "measured": "what the time is: 観測時刻, 最終観測時刻",
    "time": "when it was measured",
    "brief": "value and time for a subject: 3.06 m 02:10観測",
    "todo": "what it means for whoever reads it",
    "withdrawn": "of a correction: what is taken back, and when it was sent",
    "now": "what is measured now, where an alert is told later than it came about",
    "by": "who judged, on what, when",
    "threshold": "the level and its value",
    "difference": "how far the value is above it",
    "authority": "who set it",
    "basis": "what kind of gauge it rests on",
    "source": "document and date",
    "next": "the next higher level and the time until it is reached: an aid for staff, left out of everything public",
    "tide": "deviation of the tide, and the next high water",
    "table": "the level table in force",
    "version": "the version of the thresholds",
}

_WORD = re.compile(r"\{([^{}\n]*)\}")
_PART = re.compile(r"\[([^\[\]\n]*)\]")
FIRST_LINES = 3  # below the subject: what a phone shows, and what is spoken
MAX_LINES, MAX_CHARACTERS = 40, 4000


@dataclass(frozen=True, slots=True)
class Template:
    """`subject` is one line, `body` several."""

    subject: str
    body: str

    def filled(self, words: Mapping[str, str]) -> tuple[str, str]:
        """(subject, body). `words` holds every word of WORDS."""
        lines = (_line(line, words) for line in self.body.split("\n"))
        return _line(self.subject, words), "\n".join(line for line in lines if line)


def _line(line: str, words: Mapping[str, str]) -> str:
    def part(found: re.Match[str]) -> str:
        return found[1] if all(words.get(name) for name in _WORD.findall(found[1])) else ""

    kept = _PART.sub(part, line)
    names = _WORD.findall(kept)
    if names and not any(words.get(name) for name in names):
        return ""
    filled = _WORD.sub(lambda found: words.get(found[1], ""), kept)
    return " ".join(filled.split())  # one line, whatever an operator wrote into a name


@dataclass(frozen=True, slots=True)
class Mistake:
    """Where, counted from 1, and what is wrong; `word` is one that there is not."""

    line: int
    column: int
    what: str
    word: str = ""


def mistakes(text: str) -> list[Mistake]:
    """What keeps a text from being a template."""
    found = []
    lines = text.rstrip("\n").split("\n")
    if not lines[0].strip():
        found.append(Mistake(1, 1, "the first line is the subject, and it is empty"))
    if not any(line.strip() for line in lines[1:]):
        found.append(Mistake(len(lines), 1, "below the subject stands nothing"))
    if len(lines) > MAX_LINES or len(text) > MAX_CHARACTERS:
        found.append(Mistake(1, 1, f"longer than {MAX_LINES} lines or {MAX_CHARACTERS} characters"))
    names = {word for line in lines[1:] for word in _WORD.findall(_PART.sub("", line))}
    missing = [word for word in ("place", "what") if word not in names]
    found += [Mistake(2, 1, f"'{{{word}}}' is missing below the subject: what is it about?") for word in missing]
    head = [lines[0], *[line for line in lines[1:] if line.strip()][:FIRST_LINES]]
    said = {word for line in head for word in _WORD.findall(line)}
    found += [
        Mistake(
            2,
            1,
            f"'{{{word}}}' is missing in subject and first {FIRST_LINES} lines: a phone shows no more",
        )
        for word in ("rank", "time")
        if word not in said and not (word == "time" and "brief" in said)
    ]
    for number, line in enumerate(lines, 1):
        found += _in_line(number, line)
    return found


def _in_line(number: int, line: str) -> list[Mistake]:
    found = [
        Mistake(number, m.start() + 1, f"there is no word '{m[1]}'", m[1])
        for m in _WORD.finditer(line)
        if m[1] not in WORDS
    ]
    for opening, closing, left in (("{", "}", _WORD.sub("", line)), ("[", "]", _PART.sub("", line))):
        if opening in left or closing in left:
            at = max(line.rfind(opening), line.rfind(closing)) + 1
            found.append(Mistake(number, at, f"'{opening}' and '{closing}' do not belong together"))
    if control := re.search(r"[\x00-\x08\x0b-\x1f\x7f]", line):
        found.append(Mistake(number, control.start() + 1, "a control character"))
    return found


def parse(text: str) -> Template:
    """A text without mistakes."""
    subject, _, body = text.partition("\n")
    return Template(subject.strip(), body.strip("\n"))


DEFAULTS: dict[Language, Template] = {
    "ja": parse(
        """{place} {what}[［{rank}］][／{brief}]
{place}：{what}[［{rank}］]
[取り消す通報 {withdrawn}]
[判断 {by}]
[{quantity} {value}][（{trend}）]
[{measured} {time}][。現在 {now}]
[{todo}]
[基準値 {threshold}][（差 {difference}）]
[次の水位 {next}（目安・庁内限り）]
[潮位偏差 {tide}]
[設定 {authority}・{basis}][・{source}]
[適用 水位区分 {table}、基準値の版 {version}]"""
    ),
    "en": parse(
        """{place}: {what}[ ({rank})][; {brief}]
{place}: {what}[ ({rank})]
[Withdrawn: the message {withdrawn}]
[Judged by {by}]
[{quantity} {value}][ ({trend})]
[{measured} {time}][. Now {now}]
[{todo}]
[Threshold {threshold}][ (difference {difference})]
[Next: {next} (an aid for staff only)]
[Deviation of the tide {tide}]
[Set by {authority}, {basis}][, {source}]
[Level table {table}, thresholds {version}]"""
    ),
}
