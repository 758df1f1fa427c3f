"""The short text of an SMS, and the text that is read aloud. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.bridge import wording

ALONE, PART, PARTS = (
    70,
    67,
    3,
)  # characters of a message of one part, of one of several (UCS-2, 3GPP TS 23.040), at most
LINES = 3  # of the text, in which everything stands that one must know
CLOSING = "速報値・参考情報。避難情報の発令ではありません。"

_DRILL = wording.DRILL_JA
_DATE = re.compile(r"(\d{1,2})月(\d{1,2})日\(([日月火水木金土])\) (\d{2}):(\d{2})")
_CLOCK = re.compile(r"(?<![\d:])(\d{2}):(\d{2})(?![\d:])")
_ARROW = re.compile(r"[↑↓→] ?")
_UNITS = (
    (re.compile(r"(?<=\d) ?mm(?![A-Za-z/])"), "ミリ"),
    (re.compile(r"(?<=\d) ?cm(?![A-Za-z/])"), "センチ"),
    (re.compile(r"(?<=\d) ?m(?![A-Za-z/])"), "メートル"),
)
_SIGN = re.compile(r"(?<![A-Za-z0-9.])([-−+])(?=\d)")  # not the hyphen of a name
_LABEL = re.compile(
    r"^(水位|潮位|潮位偏差|\S*雨量|\S*観測値|\S*時刻|浸水センサ|最終受信|宛先|送信|\S*値|現在|取り消す通報) (?=\S)"
)
_SPOKEN = {"【未確認】": "未確認の情報です。", "【訂正】": "訂正です。", "【未応答】": "呼び出しに応答がありません。"}


def short(about: Mapping[str, Any]) -> str:
    """The subject, in which place, what, rank, value and time stand, and what it is not; one part of a message where it
    fits, three at most. A drill is marked at both ends, whatever had to be cut."""
    subject = about["subject"]["ja"]
    drill = bool(about.get("drill")) or subject.startswith(_DRILL)
    said = subject.removeprefix(_DRILL).removesuffix(_DRILL).removeprefix(f"【{wording.SENDER_JA}】")
    said = said.replace("／", " ") + (f"（ほか{about['more']}件）" if about.get("more") else "")
    closing = f"／{CLOSING}" if wording.DISCLAIMER_JA in about["text"]["ja"] else ""
    room = PART * PARTS - (2 * len(_DRILL) if drill else 0) - len(closing)
    said = (said if len(said) <= room else said[: room - 1] + "…") + closing
    return f"{_DRILL}{said}{_DRILL}" if drill else said


def spoken(about: Mapping[str, Any]) -> str:
    """The first lines as one says them, twice, because who is woken misses the beginning; then what it is not."""
    subject, text = about["subject"]["ja"], about["text"]["ja"]
    drill = bool(about.get("drill")) or subject.startswith(_DRILL)
    lines = [line for line in text.split("\n") if line.strip() and line != wording.DISCLAIMER_JA]
    said = "。".join(_aloud(line) for line in lines[:LINES])
    closing = wording.DISCLAIMER_JA.replace("（速報値）", "、速報値、") if wording.DISCLAIMER_JA in text else ""
    whole = f"{wording.SENDER_JA}です。{said}。繰り返します。{said}。{closing}"
    return f"これは訓練です。{whole}これは訓練です。" if drill else whole


def _time(hour: str, minute: str) -> str:
    half, on = ("午前", int(hour)) if int(hour) < 12 else ("午後", int(hour) - 12)
    return f"{half}{on}時{f'{int(minute)}分' if int(minute) else 'ちょうど'}"


def _aloud(line: str) -> str:
    line = line.replace(_DRILL, "")
    for mark, words in _SPOKEN.items():
        line = line.replace(mark, words)
    line = _DATE.sub(lambda m: f"{int(m[1])}月{int(m[2])}日{m[3]}曜日、{_time(m[4], m[5])}", line)
    line = _CLOCK.sub(lambda m: _time(m[1], m[2]), line)
    line = _LABEL.sub(r"\1は", _ARROW.sub("", line))
    line = _SIGN.sub(lambda m: "プラス" if m[1] == "+" else "マイナス", line)
    for pattern, word in _UNITS:
        line = pattern.sub(word, line)
    line = re.sub(r"【([^】]*)】", r"\1です。", line)
    line = re.sub(r"（([^（）]*)）に", r"の\1に", line)
    line = re.sub(r"[：（）［］／]", "、", line)
    line = re.sub(r"[、。]*。[、。]*", "。", line)
    return re.sub(r"、+", "、", line).strip(" 、。")
