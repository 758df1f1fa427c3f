"""The journal on paper and in a spreadsheet: an A4 page of HTML that needs nothing beside it, and CSV for Excel. Both
are written row by row, in Japanese and Japanese time, in the order in which things happened."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from html import escape

from gateway import journalwords
from gateway.journal import Kind, Row
from gateway.stations import LevelTable

JST = timezone(timedelta(hours=9))
LATE_MS = 60_000  # recorded so long after it happened, both times are shown
BOM = "\ufeff"  # by which Excel knows UTF-8
_WEEKDAYS = "月火水木金土日"

_STYLE = """
@page { size: A4 portrait; margin: 16mm 13mm 18mm;
  @bottom-center { content: counter(page) " / " counter(pages); font-size: 8.5pt; }
  @bottom-right { content: "__FOOT__"; font-size: 7pt; } }
* { box-sizing: border-box; }
html { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
body { margin: 0 auto; max-width: 184mm; color: #000; background: #fff; font-size: 9.5pt; line-height: 1.5;
  font-family: "Noto Sans CJK JP", "Noto Sans JP", "Hiragino Kaku Gothic ProN", "BIZ UDPGothic", "Yu Gothic", Meiryo,
  sans-serif; line-break: strict; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
h1 { font-size: 15pt; margin: 0 0 2mm; letter-spacing: .08em; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 4mm; margin: 0 0 4mm; padding: 2mm 0;
  border-top: 1.2pt solid #000; border-bottom: .6pt solid #000; }
dt { font-weight: 700; } dd { margin: 0; }
table { width: 100%; border-collapse: collapse; table-layout: fixed; }
thead { display: table-header-group; } tr { break-inside: avoid; }
th { text-align: left; font-weight: 700; border-bottom: 1pt solid #000; padding: 1mm 1.2mm; }
td { vertical-align: top; border-bottom: .4pt solid #888; padding: .9mm 1.2mm; }
td:last-child { text-wrap: pretty; }
.n { width: 11mm; text-align: right; } .t { width: 22mm; } .p { width: 28mm; } .k { width: 22mm; }
.late { display: block; font-size: 7.5pt; white-space: nowrap; }
.hand td { background: #f2f2f2; } .drill td { border-left: 0; border-bottom-style: dashed; }
.drill td:first-child { border-left: 2.5pt dashed #000; } .grave td { font-weight: 700; }
.grave td:first-child { border-left: 2.5pt solid #000; }
.gone { text-decoration: line-through; } .day { break-after: avoid; }
.day td { font-weight: 700; border-bottom: 1pt solid #000; padding-top: 3mm; }
footer { margin-top: 4mm; font-size: 8pt; }
code { font-family: "Noto Sans Mono", "DejaVu Sans Mono", monospace; font-size: 7.5pt; }
@media screen { body { padding: 8mm; } }
"""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What stands above the rows. `names` are the stations' by (tenant, station); `corrected` as in
    `journalfile.corrections`; `chain` says whether the chain held."""

    sender: str
    place: str
    period: str
    made: str
    store: str
    last: tuple[int, str]
    chain: str
    names: Mapping[tuple[str, str], str]
    levels: LevelTable
    corrected: Mapping[int, int]


def at(ms: int, day: bool = False) -> str:
    """03:12:05, with `day` 2026年11月22日(日) before it"""
    t = datetime.fromtimestamp(ms / 1000, JST)
    date = f"{t.year}年{t.month}月{t.day}日({_WEEKDAYS[t.weekday()]})"
    return f"{date} {t:%H:%M:%S}" if day else f"{t:%H:%M:%S}"


def name_of(sheet: Sheet, row: Row) -> str:
    return sheet.names.get((row.tenant, row.station), row.station)


# --- paper -------------------------------------------------------------------------------------------------------


def html(sheet: Sheet, rows: Iterable[Row]) -> Iterator[str]:
    """The page, in parts."""
    number, digest = sheet.last
    head = [
        ("対象", sheet.place),
        ("期間", sheet.period),
        ("作成", f"{sheet.made}（時刻はすべて日本標準時）"),
        ("記録", f"データベース {sheet.store}、作成時の最終行は記録番号 {number}"),
    ]
    title = f"{sheet.sender} 時系列記録"
    foot = f"{sheet.place} {number} {digest[:16]}".replace("\\", "").replace('"', "")
    style = _STYLE.replace("__FOOT__", escape(foot, quote=False))
    listed = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in head)
    yield (
        f'<!doctype html>\n<html lang="ja">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n<dl>{listed}"
        f"<dt>ハッシュ値</dt><dd><code>{digest}</code><br>{escape(sheet.chain)}</dd></dl>\n<table>\n<thead><tr>"
        '<th class="n">番号</th><th class="t">時刻</th><th class="p">観測所</th><th class="k">種別</th><th>内容</th>'
        "</tr></thead>\n<tbody>\n"
    )
    day, count = "", 0
    for row in rows:
        today = at(row.at_ms, day=True).partition(" ")[0]
        if today != day:
            day = today
            yield f'<tr class="day"><td colspan="5">{escape(day)}</td></tr>\n'
        count += 1
        yield _row(sheet, row)
    none = '<tr><td colspan="5">この期間の記録はありません。</td></tr>\n' if not count else ""
    yield (
        f"{none}</tbody>\n</table>\n<footer>{count}件。灰色の行は職員による入力、太字の行は避難判断水位以上、"
        "破線の行は訓練です。水位は観測値（速報値）です。記録は追記のみで、訂正は元の行を残して別の行に記します。"
        "</footer>\n</body>\n</html>\n"
    )


def _recorded(row: Row) -> str:
    """記録 06:00:12, of another day 記録 9月16日 06:00:12 in two lines, as the column is narrow; with another year's
    number."""
    t, happened = (datetime.fromtimestamp(ms / 1000, JST) for ms in (row.recorded_ms, row.at_ms))
    year = f"{t.year}年" if t.year != happened.year else ""
    day = f"{year}{t.month}月{t.day}日<br>" if t.date() != happened.date() else ""
    return f"記録 {day}{t:%H:%M:%S}"


def _row(sheet: Sheet, row: Row) -> str:
    facts = row.facts
    drill = facts.get("drill") is True or row.kind == Kind.DRILL
    grave = row.kind == Kind.TRANSITION and max(int(facts.get("to_rank") or 0), int(facts.get("from_rank") or 0)) >= 3
    kinds = {"drill": drill, "grave": grave and not drill, "hand": row.kind in (Kind.MANUAL, Kind.BULLETIN)}
    marks = " ".join(name for name, on in kinds.items() if on)
    late = abs(row.recorded_ms - row.at_ms) > LATE_MS
    noted = f'<span class="late">{_recorded(row)}</span>' if late else ""
    text = escape(journalwords.sentence(row, sheet.levels)).replace("\n", "<br>")
    if row.number in sheet.corrected:
        text = f'<span class="gone">{text}</span>（記録{sheet.corrected[row.number]}で訂正）'
    cells = (
        f'<td class="n">{row.number}</td><td class="t">{at(row.at_ms)}{noted}</td>'
        f'<td class="p">{escape(name_of(sheet, row))}</td><td class="k">{escape(journalwords.kind(row))}</td>'
        f"<td>{text}</td>"
    )
    return f'<tr class="{marks}">{cells}</tr>\n' if marks else f"<tr>{cells}</tr>\n"


# --- spreadsheet -------------------------------------------------------------------------------------------------

COLUMNS = (
    *("番号", "発生日時", "記録日時", "種別", "観測所", "観測所ID", "内容", "記録者", "値", "単位"),
    *("ランク前", "ランク後", "訓練", "訂正先", "エピソード", "kind", "body", "hash"),
)


def table(sheet: Sheet, rows: Iterable[Row]) -> Iterator[str]:
    """CSV with a byte order mark, lines ended by CRLF (RFC 4180), in parts."""
    yield BOM + _line(COLUMNS)
    for row in rows:
        yield _line(_cells(sheet, row))


def _cells(sheet: Sheet, row: Row) -> list[object]:
    facts = row.facts
    drill = facts.get("drill") is True or row.kind == Kind.DRILL
    return [
        row.number, _iso(row.at_ms), _iso(row.recorded_ms), journalwords.kind(row), name_of(sheet, row), row.station,
        journalwords.sentence(row, sheet.levels), row.by, facts.get("value"), facts.get("unit"),
        facts.get("from_rank"), facts.get("to_rank"), "訓練" if drill else "", facts.get("corrects"), row.episode,
        row.kind, row.body, row.hash,
    ]  # fmt: skip


def _iso(ms: int) -> str:
    """What a spreadsheet takes for a time."""
    return f"{datetime.fromtimestamp(ms / 1000, JST):%Y-%m-%d %H:%M:%S}"


def _line(cells: Iterable[object]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([_harmless(x) for x in cells])
    return out.getvalue()


def _harmless(cell: object) -> object:
    """Text that a spreadsheet would take for a formula is made text."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
