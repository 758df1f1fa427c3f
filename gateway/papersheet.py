"""The city on one sheet: an A4 page of HTML that needs nothing beside it, legible in black and white. It is what is
left on the table when every screen is dark, so each row says what is known and how old that is. Pure.

Worst first. What is above a level, not seen, doubtful or under work stands in rows of the table; what is calm and fresh
stands below it by name, level and age, as many as the page takes, and the rest is counted: never the other way round.
Name and state of a row are never cut: smaller first, then in two lines, and the calm ones give way.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from html import escape
from typing import Literal

from gateway.board import UNSEEN_EN, UNSEEN_JA, Row
from gateway.model import Condition, Flag

JST = timezone(timedelta(hours=9))
LINES = 50  # rows of the table on the first page, measured in print; a line of calm stations is as high
ACROSS = 3  # calm stations in one line, 2 where names are long
SHORT_NAME = 11.0  # the widest name of which three stand in a line; in ems, as the following
NAME, STATE = 14.3, 11.5  # what a line of a row's name and state takes
SMALLER = 1.13  # so much more at 7.5 pt, of which a line is as high as LINE of a row
LINE = 0.77
DAY_MS = 86_400_000
_WEEKDAYS = "月火水木金土日"
Language = Literal["ja", "en"]

_STYLE = """
@page { size: A4 portrait; margin: 9mm 10mm 10mm;
  @bottom-right { content: counter(page) " / " counter(pages); font-size: 7.5pt; } }
* { box-sizing: border-box; }
html { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
body { margin: 0 auto; max-width: 190mm; color: #000; background: #fff; font-size: 8.6pt; line-height: 1.2;
  font-family: "Noto Sans CJK JP", "Noto Sans JP", "Hiragino Kaku Gothic ProN", "BIZ UDPGothic", "Yu Gothic", Meiryo,
  sans-serif; font-variant-numeric: tabular-nums; }
header { display: flex; justify-content: space-between; align-items: baseline; border-bottom: 1.2pt solid #000;
  padding-bottom: 1mm; } h1 { font-size: 14pt; margin: 0; letter-spacing: .06em; } time { font-size: 11pt;
  font-weight: 700; }
.sum { margin: 1.2mm 0; } .warn, .drill { border: 1.5pt solid #000; padding: .8mm 2mm; margin: 1.2mm 0;
  font-weight: 700;
  font-size: 10pt; } .drill { border-style: dashed; text-align: center; }
table { width: 100%; border-collapse: collapse; table-layout: fixed; } thead { display: table-header-group; }
tr { height: 4.6mm; break-inside: avoid; } th { text-align: left; font-size: 7.5pt; border-bottom: .8pt solid #000;
  padding: 0 1mm; }
td { border-bottom: .3pt solid #999; padding: 0 1mm; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
td.s, td.w { white-space: normal; overflow-wrap: anywhere; } td.z { font-size: 7.5pt; padding-block: .2mm; }
.n { text-align: right; } .m { width: 11mm; } .s { width: 47mm; } .v { width: 17mm; } .d { width: 28mm; }
  .c { width: 12mm; }
.a { width: 25mm; } .grave td { font-weight: 700; } .old { font-weight: 700; text-decoration: underline; }
b.k { display: inline-block; min-width: 4.2mm; padding: 0 .8mm; text-align: center; border: .8pt solid #000;
  border-radius: 2mm;
  font-weight: 700; line-height: 3.8mm; }
b.r3, b.r4, b.r5 { background: #000; color: #fff; } b.r5 { border-radius: 0; }
b.doubt { border-style: dashed; background: #fff; color: #000; } b.unseen { border-radius: 0; border-width: 1.4pt; }
.calm { margin-top: 1.5mm; } .calm h2 { font-size: 8.6pt; margin: 0; border-bottom: .8pt solid #000; height: 4.6mm; }
.calm ul { display: grid; grid-template-columns: repeat(3, 1fr); margin: 0; padding: 0; list-style: none; }
.calm ul.two { grid-template-columns: repeat(2, 1fr); }
.calm li { height: 4.6mm; display: flex; gap: 1mm; padding: 0 2mm 0 1mm; border-bottom: .3pt solid #999;
  overflow: hidden; }
.calm li span:first-child { flex: 1; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
footer { margin-top: 1.5mm; font-size: 7.2pt; }
@media screen { body { padding: 6mm; } }
"""


@dataclass(frozen=True, slots=True)
class Sheet:
    """`rows` worst first (`board.rows`). `waiting`: alerts that nobody has acknowledged. `stopped_ms`: since when the
    bridge hears nothing; `running` False: no bridge runs, None: nobody can say. `received_ms`: its newest reading."""

    sender: str
    made_ms: int
    rows: Sequence[Row]
    waiting: int = 0
    drill: bool = False
    stopped_ms: int | None = None
    running: bool | None = True
    received_ms: int | None = None


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    heads: tuple[str, ...]
    made: str
    calm: str
    more: str
    calm_then: str
    more_then: str
    drill: str
    stopped: str
    no_bridge: str
    foot: str
    held: str
    unconfirmed: str
    falling: str
    standby: str
    none: str
    waiting: str
    partly: str
    normal: str
    join: str
    doubts: dict[int, str]


_JA = _Words(
    "全観測所一覧",
    ("印", "観測所", "水位", "次の基準まで", "10分", "1時間", "観測（経過）", "状態"),
    "{at} 作成（日本時間）",
    "平常（受信中）",
    "ほか{n}局は平常（受信中）",
    "停止前は平常",
    "ほか{n}局は停止前は平常",
    "【訓練】訓練中の警報があります【訓練】",
    "受信停止：{at}から新しい観測値が届いていません",
    "判定が止まっています（ブリッジ停止中）。警報は出ません",
    "観測値（速報値）による参考情報です。避難情報の発令ではありません。経過は作成時刻まで。"
    "下線は遅れている値、白抜きの数字は避難判断水位以上、破線は未確認・要確認、×はその水位で観測不能、四角は観測できない局、かっこ内は最後の値。",
    "観測不能",
    "未確認",
    "急低下",
    "待",
    "観測所はありません",
    "現地確認待ち",
    "一部未着",
    "平常",
    "・",
    {Flag.SUSPECT: "要確認", Flag.FAIL: "異常値", Flag.MISSING: "欠測"},
)
_EN = _Words(
    "All stations",
    ("mark", "station", "level", "to the next level", "10 min", "1 h", "measured (age)", "state"),
    "made {at}",
    "Normal (data arrive)",
    "{n} more are normal (data arrive)",
    "Normal before it stopped",
    "{n} more were normal before it stopped",
    "[DRILL] an alert of a drill is open [DRILL]",
    "NOTHING ARRIVES: no new reading since {at}",
    "NOTHING IS JUDGED: no bridge runs, and nobody is alerted",
    "Preliminary observations, for reference; no evacuation order. Ages up to the time of making. Underlined: late. "
    "White on black: evacuation-judgement level and above. Dashed: unconfirmed or suspect. ×: lost at that level. "
    "Square: cannot be seen. In brackets: the last value.",
    "lost at this level",
    "unconfirmed",
    "falls fast",
    "S",
    "there are no stations",
    "waits for somebody on the spot",
    "partly silent",
    "normal",
    ", ",
    {Flag.SUSPECT: "suspect", Flag.FAIL: "failed", Flag.MISSING: "missing"},
)


def html(sheet: Sheet, language: Language = "ja") -> str:
    """The page."""
    words, ja = (_JA, True) if language == "ja" else (_EN, False)
    told = [x for x in sheet.rows if not calm(x)]
    rest = [x for x in sheet.rows if calm(x)]
    warned = _warnings(sheet, words, ja)
    lines = int(LINES - 2 * len(warned) - sum(height(x, words, ja) for x in told))
    across = ACROSS if all(width(_name(x, ja)) <= SHORT_NAME for x in rest) else 2
    room = max(0, lines - 2) * across
    shown = rest if len(rest) <= room else rest[: max(0, room - across)]
    title = f"{sheet.sender} {words.title}"
    parts = [
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n',
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<header><h1>{escape(title)}</h1>",
        f"<time>{escape(words.made.format(at=day(sheet.made_ms, ja, year=True)))}</time></header>\n",
        *warned,
        f'<p class="sum">{escape(_summary(sheet, ja))}</p>\n',
        _table(told, sheet.made_ms, words, ja) if told else "",
        _calm(sheet, shown, len(rest) - len(shown), across, words, ja) if rest else "",
        "" if sheet.rows else f"<p>{escape(words.none)}</p>\n",
        f"<footer>{escape(words.foot)}</footer>\n</body>\n</html>\n",
    ]
    return "".join(parts)


def calm(x: Row) -> bool:
    """Fresh, below every level, undoubted, and all of the station is seen: what may be summed up."""
    doubtful = x.held or x.blind or x.waiting or x.falling_fast or x.flag in _JA.doubts
    return x.condition is Condition.FRESH and x.claim == 0 and not doubtful


def width(text: str) -> float:
    """In ems, not too small: a kanji is one, a letter of the Latin alphabet 0.6."""
    return sum(1.0 if unicodedata.east_asian_width(c) in "WFA" else 0.6 for c in text)


def height(x: Row, words: _Words, ja: bool) -> float:
    """How many rows of the page it takes."""
    lines = max(_lines(_name(x, ja), NAME), _lines(state(x, words, ja), STATE))
    return max(1.0, LINE * lines)


def _lines(text: str, line: float) -> int:
    return 1 if width(text) <= line else math.ceil(width(text) / (line * SMALLER))


def _small(text: str, line: float) -> str:
    return " z" if width(text) > line else ""


def _warnings(sheet: Sheet, words: _Words, ja: bool) -> list[str]:
    found = []
    if sheet.drill:
        found.append(f'<p class="drill">{escape(words.drill)}</p>\n')
    if sheet.running is False:
        found.append(f'<p class="warn">{escape(words.no_bridge)}</p>\n')
    if sheet.stopped_ms is not None:
        found.append(f'<p class="warn">{escape(words.stopped.format(at=day(sheet.stopped_ms, ja)))}</p>\n')
    return found


def _summary(sheet: Sheet, ja: bool) -> str:
    rows = sheet.rows
    grave = sum(x.claim >= 3 for x in rows)
    low = sum(x.claim in (1, 2) for x in rows)
    unseen = sum(x.unseen for x in rows)
    work = sum(x.condition is Condition.MAINTENANCE for x in rows)
    last = _moment(sheet.received_ms, sheet.made_ms, ja)
    if ja:
        return (
            f"全{len(rows)}局　避難判断水位以上 {grave}　注意・待機 {low}　観測できない {unseen}　点検中 {work}　"
            f"平常 {sum(map(calm, rows))}　未対応の警報 {sheet.waiting}件　最後の受信 {last}"
        )
    return (
        f"{len(rows)} stations: evacuation-judgement level and above {grave}, caution or standby {low}, "
        f"not seen {unseen}, maintenance {work}, normal {sum(map(calm, rows))}. "
        f"Alerts nobody has seen: {sheet.waiting}. Newest reading: {last}"
    )


def _table(rows: Sequence[Row], now_ms: int, words: _Words, ja: bool) -> str:
    classes = ("m", "s", "v n", "d n", "c n", "c n", "a n", "")
    head = "".join(f'<th class="{c}">{escape(h)}</th>' for c, h in zip(classes, words.heads, strict=True))
    body = "".join(_row(x, now_ms, words, ja) for x in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"


def _row(x: Row, now_ms: int, words: _Words, ja: bool) -> str:
    late = x.condition is not Condition.FRESH
    age = "—"
    if x.observed_ms is not None:
        age = f"{_moment(x.observed_ms, now_ms, ja, short=True)} ({ago(now_ms - x.observed_ms, ja)})"
    known, name, said = level(x, ja), _name(x, ja), state(x, words, ja)
    cells = (
        mark(x, words, ja),
        escape(name),
        escape(f"({known})" if x.unseen and x.value is not None else known),
        "—" if x.unseen else escape(_next(x, ja)),
        _signed(x.change_10min),
        _signed(x.change_1h),
        f'<span class="old">{age}</span>' if late else age,
        escape(said),
    )
    classes = ("m", "s" + _small(name, NAME), "n", "n", "n", "n", "n", "w" + _small(said, STATE))
    grave = ' class="grave"' if x.claim >= 3 or x.unseen else ""
    return (
        f"<tr{grave}>" + "".join(f'<td class="{c}">{v}</td>' for c, v in zip(classes, cells, strict=True)) + "</tr>\n"
    )


def _calm(sheet: Sheet, rows: Sequence[Row], more: int, across: int, words: _Words, ja: bool) -> str:
    """Nothing arrives, or nobody judges: then calm is what was."""
    then = sheet.stopped_ms is not None or sheet.running is False
    items = "".join(
        f"<li><span>{escape(_name(x, ja))}</span><span>{escape(level(x, ja))}</span>"
        f"<span>{ago(sheet.made_ms - (x.observed_ms or sheet.made_ms), ja)}</span></li>"
        for x in rows
    )
    rest = f"<p>{escape((words.more_then if then else words.more).format(n=more))}</p>\n" if more else ""
    head, two = words.calm_then if then else words.calm, ' class="two"' if across == 2 else ""
    listed = f"<h2>{escape(head)}</h2>\n<ul{two}>{items}</ul>\n" if rows else ""
    return f'<section class="calm">{listed}{rest}</section>\n'


def _name(x: Row, ja: bool) -> str:
    return x.station.name_ja if ja else x.station.name_en


def mark(x: Row, words: _Words, ja: bool) -> str:
    """By shape and digit, never by colour: a filled disc from rank 3 on, a square for what is not seen, dashed for what
    is unconfirmed, with a cross what was lost at its rank."""
    if x.condition is Condition.MAINTENANCE:
        return f'<b class="k unseen">{"点検" if ja else "M"}</b>'
    if not x.claim:
        doubt = " doubt" if x.flag in words.doubts else ""
        return '<b class="k unseen">？</b>' if x.unseen else f'<b class="k{doubt}">・</b>'
    digit = (words.standby if x.claim == 1 else str(x.claim)) + "×" * x.held
    kinds = ["k", f"r{x.claim}", *(["doubt"] if x.unconfirmed > x.rank else [])]
    return f'<b class="{" ".join(kinds)}">{digit}</b>'


def state(x: Row, words: _Words, ja: bool) -> str:
    """In words: the level that is reached, and what is wrong with the knowledge of it."""
    unseen = (UNSEEN_JA if ja else UNSEEN_EN).get(x.condition.value, "")
    name = (x.level.ja if ja else x.level.en) if x.level is not None and x.claim else ""
    found = [
        name,
        words.unconfirmed if x.unconfirmed > x.rank else "",
        words.held if x.held else unseen,
        words.falling if x.falling_fast else "",
        words.doubts.get(x.flag, "") if x.flag is not None and not x.unseen else "",
        words.waiting if x.waiting else "",
        words.partly if x.blind else "",
    ]
    return words.join.join(dict.fromkeys(part for part in found if part)) or words.normal


def level(x: Row, ja: bool) -> str:
    if x.value is None or x.channel is None:
        return "—"
    if x.channel.contact:
        return ("浸水" if ja else "wet") if x.value else ("検知なし" if ja else "dry")
    digits = 2 if x.channel.unit == "m" else 1
    return f"{x.value:.{digits}f} {x.channel.unit}"


def _next(x: Row, ja: bool) -> str:
    """How far up to the next level; above the last one, by how much."""
    mark_, over = x.next, x.reached
    if x.channel is not None and x.channel.contact:
        return ""
    if mark_ is not None:
        return f"{mark_.distance:.2f} {mark_.level.short_ja or mark_.level.ja}" if ja else f"{mark_.distance:.2f}"
    return (
        ("" if over is None else f"+{-over.distance:.2f}（越）")
        if ja
        else ("" if over is None else f"+{-over.distance:.2f}")
    )


def _signed(change: float | None) -> str:
    return "—" if change is None else f"{change:+.2f}".replace("-", "−")


def ago(ms: int, ja: bool) -> str:
    minutes = max(0, ms) // 60_000
    if minutes < 1:
        return "1分未満" if ja else "<1 min"
    if minutes < 120:
        return f"{minutes}分" if ja else f"{minutes} min"
    hours = minutes // 60
    if hours < 48:
        return f"{hours}時間" if ja else f"{hours} h"
    return f"{hours // 24}日" if ja else f"{hours // 24} d"


def clock(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, JST):%H:%M}"


def _moment(ms: int | None, now_ms: int, ja: bool, short: bool = False) -> str:
    """03:10, of another day with its date; `short`: by the date alone."""
    if ms is None:
        return "—"
    t, now = (datetime.fromtimestamp(x / 1000, JST) for x in (ms, now_ms))
    if t.date() == now.date() or (short and now_ms - ms < DAY_MS):
        return clock(ms)
    date = f"{t.month}/{t.day}" if ja else f"{t.day} {t:%b}"
    return date if short else day(ms, ja, year=t.year != now.year)


def day(ms: int, ja: bool, year: bool = False) -> str:
    t = datetime.fromtimestamp(ms / 1000, JST)
    if not ja:
        return f"{t:%d %b %Y %H:%M} JST"
    return f"{f'{t.year}年' if year else ''}{t.month}月{t.day}日({_WEEKDAYS[t.weekday()]}) {t:%H:%M}"
