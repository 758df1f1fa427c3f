"""The short text of an SMS, and the text that is read aloud. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PART, PARTS = 67, 3  # characters of one part of a concatenated message in UCS-2 (3GPP TS 23.040), and how many at most
LINES = 3  # of the text, in which everything stands that one must know

_DRILL = "【訓練】"
_DATE = re.compile(r"(\d{1,2})月(\d{1,2})日\(([日月火水木金土])\) (\d{2}):(\d{2})")
_RATE = re.compile(r" ?[↑↓→] ?([+-])(\d+\.\d+) m/h")
_ARROW = re.compile(r"[↑↓→]")
_UNITS = (
    (re.compile(r"(?<=\d) ?m/h\b"), "メートル毎時"),
    (re.compile(r"(?<=\d) ?mm\b"), "ミリ"),
    (re.compile(r"(?<=\d) ?cm\b"), "センチ"),
    (re.compile(r"(?<=\d) ?m\b"), "メートル"),
)
_MINUS = re.compile(r"(?<![\d.])[-−](?=\d)")


def short(about: Mapping[str, Any]) -> str:
    """Place, what, value and time, within three parts of a message; a drill is marked at both ends."""
    subject, lines = about["subject"]["ja"], about["text"]["ja"].split("\n")
    drill = bool(about.get("drill")) or subject.startswith(_DRILL)
    first = lines[0].strip().removeprefix(_DRILL).removesuffix(_DRILL)
    said = "\n".join([first, *(line.strip() for line in lines[1:LINES])])
    room = PART * PARTS - (2 * len(_DRILL) if drill else 0)
    if len(said) > room:
        said = said[: room - 1] + "…"
    return f"{_DRILL}{said}{_DRILL}" if drill else said


def spoken(about: Mapping[str, Any]) -> str:
    """The subject and the first lines as one says them; the ending says what it is not. Twice, because who is woken
    misses the beginning."""
    subject, lines = about["subject"]["ja"], about["text"]["ja"].split("\n")
    drill = bool(about.get("drill")) or subject.startswith(_DRILL)
    said = "。".join(_aloud(line) for line in lines[:LINES] if line.strip())
    text = f"水位情報です。{said}。繰り返します。{said}。"
    return f"これは訓練です。{text}これは訓練です。" if drill else text


def _aloud(line: str) -> str:
    line = line.replace(_DRILL, "")
    line = _DATE.sub(lambda m: f"{int(m[1])}月{int(m[2])}日{m[3]}曜日、{int(m[4])}時{int(m[5])}分", line)
    line = _RATE.sub(lambda m: f"、1時間に{m[2]}メートル{'上昇' if m[1] == '+' else '低下'}", line)
    line = _ARROW.sub("", line)
    line = _MINUS.sub("マイナス", line)
    for pattern, word in _UNITS:
        line = pattern.sub(word, line)
    line = re.sub(r"【([^】]*)】", r"\1。", line)
    line = line.replace("：", "、").replace("（", "、").replace("）", "、")
    line = re.sub(r"[、。]*。[、。]*", "。", line)
    return re.sub(r"、+", "、", line).strip(" 、。")
