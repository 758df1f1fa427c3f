"""What a person sees of the demonstration: a table that follows the bridge's store, and the closing account."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway import storefile, units
from gateway.bridge.wording import arrow
from gateway.channelstate import ChannelState
from gateway.demo.account import Account
from gateway.demo.plan import Place, Plan
from gateway.errors import Unavailable
from gateway.model import Condition, Flag
from gateway.stations import LevelTable
from gateway.trend import trend_per_hour

STYLES = {0: "", 1: "bold", 2: "black on #F2E700", 3: "black on #FF2800", 4: "white on #AA00AA", 5: "white on #0C000C"}
FLAGS = {
    Flag.GOOD: "good",
    Flag.NOT_EVALUATED: "–",
    Flag.SUSPECT: "suspect",
    Flag.FAIL: "fail",
    Flag.MISSING: "missing",
}
CONDITIONS = {
    Condition.UNKNOWN: "不明 unknown",
    Condition.LATE: "遅延 late",
    Condition.SILENT: "未着 silent",
    Condition.FAULTY: "故障 faulty",
    Condition.MAINTENANCE: "点検中 maintenance",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the chronology: what the bridge told people."""

    id: int
    at_ms: int
    subject_ja: str
    subject_en: str


def states(store: Path) -> dict[str, ChannelState]:
    """The water level's state of each station."""
    db = storefile.connect(store)
    try:
        rows = db.execute(storefile.LATEST).fetchall()
    finally:
        db.close()
    return {
        station: msgspec.json.decode(text, type=ChannelState)
        for _, station, channel, _, text in rows
        if channel == "water_level"
    }


def events(store: Path, after: int) -> list[Event]:
    """What was owed to the screen beyond an outbox row, in order."""
    db = storefile.connect(store)
    try:
        sql = "SELECT id, body FROM outbox WHERE recipient = 'screen' AND id > ? ORDER BY id"
        rows = db.execute(sql, (after,)).fetchall()
    finally:
        db.close()
    out = []
    for row_id, body in rows:
        about = msgspec.json.decode(body)
        out.append(
            Event(
                row_id, about.get("observed_ms", about.get("since_ms")), about["subject"]["ja"], about["subject"]["en"]
            )
        )
    return out


def stored_samples(store: Path) -> int:
    """Samples in the ledger; 0 while there is no store."""
    try:
        db = storefile.connect(store)
        try:
            row = db.execute("SELECT sum(b - a + 1) FROM ranges WHERE kind = 'stored'").fetchone()
        finally:
            db.close()
    except (sqlite3.Error, Unavailable):
        return 0
    return int(row[0] or 0)


def clock_text(at_ms: int, plan: Plan) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, timezone(timedelta(hours=plan.utc_hours))):%d %b %H:%M}"


_IN_RANKS = re.compile(r" \((?:\d of 5|equivalent to alert level \d)\)")


def line(event: Event, plan: Plan) -> str:
    """One event as people read it in a list: the mark of the sender is not repeated in each line."""
    # Place and what happened; value, rank and what is left of it stand in the table.
    ja = event.subject_ja.partition("】")[2].partition("［")[0].partition("／")[0].partition("。")[0].strip()
    en = _IN_RANKS.sub("", event.subject_en.partition("]")[2].partition(";")[0]).strip()
    return f"{clock_text(event.at_ms, plan)}  {ja}   {en}"


# (title, width, right-aligned); 0: what is left of the terminal, because names may give way and figures may not.
_COLUMNS = (
    ("station", 0, False),
    ("level", 7, True),
    ("flag", 7, False),
    ("trend", 11, True),
    ("rank", 0, False),
    ("age", 6, True),
)
_FIXED = sum(width for _, width, _ in _COLUMNS) + 3 * len(_COLUMNS)


class Screen:
    """The live table. Ages are in virtual time, as everything a person sees of the river."""

    def __init__(self, plan: Plan, levels: LevelTable, broker: str, width: int, page: str = "") -> None:
        self._page = page
        self._plan, self._levels, self._broker, self._width = plan, levels, broker, width
        self._events: list[Event] = []

    def render(
        self, now_ms: int, current: dict[str, ChannelState], new: Sequence[Event], stored: int
    ) -> RenderableType:
        self._events = [*self._events, *new][-8:]
        speed = f"{self._plan.factor:g}x" if self._plan.factor else "as fast as it is sampled"
        head = Text.assemble(
            ("水位監視 Suimon  ", "bold"),
            f"{self._plan.title}   {clock_text(now_ms, self._plan)} {self._plan.zone} ({speed})",
            f"   {stored} samples stored   {self._broker}",
            f"   {self._page}" if self._page else "",
        )
        lines = [Text(line(e, self._plan), no_wrap=True, overflow="ellipsis") for e in self._events]
        return Group(head, self._table(now_ms, current), *lines)

    def _table(self, now_ms: int, current: dict[str, ChannelState]) -> Table:
        table = Table(expand=False, pad_edge=False)
        flexible = max(10, (self._width - _FIXED) // 2)
        for title, width, right in _COLUMNS:
            table.add_column(title, justify="right" if right else "left", no_wrap=True, width=width or None)
            table.columns[-1].max_width = width or (
                min(flexible, 30) if title == "station" else 2 * flexible - min(flexible, 30)
            )
        for place in self._plan.places:
            table.add_row(*self._row(place, now_ms, current.get(place.id)))
        return table

    def _row(self, place: Place, now_ms: int, state: ChannelState | None) -> list[RenderableType]:
        name = f"{place.name_ja} {place.name_en}"
        if state is None or state.last_ms is None:
            return [name, "–", "–", "–", Text("不明 unknown"), "–"]
        per_hour = trend_per_hour(state.recent)
        trend = "?" if per_hour is None else f"{arrow(per_hour)} {per_hour:+.2f} m/h"
        level = "–" if state.value is None else f"{state.value:.2f} m"
        age_s = max(0, (now_ms - state.last_ms) // 1000)
        age = units.in_words(age_s if age_s < 60 else age_s // 60 * 60)
        return [name, level, FLAGS[state.flag], trend, self._rank(state), age]

    def _rank(self, state: ChannelState) -> Text:
        """ "Normal" is shown only for fresh data; a held rank says that it is held."""
        level = self._levels.by_rank(state.rank)
        if state.held:
            return Text(f" {state.rank} {level.ja} 観測不能 held ", STYLES[state.rank])
        if state.condition is not Condition.FRESH:
            shown = f"{CONDITIONS[state.condition]}"
            return Text(f"{shown} (last: {level.ja})" if state.rank else shown, "bold")
        digit = {0: " ", 1: "待"}.get(state.rank, str(state.rank))
        return Text(f" {digit} {level.ja} {level.en} ", STYLES[state.rank])


def closing(account: Account, console: Console, folder: Path) -> None:
    """The account, for people."""
    table = Table(title="The account", title_justify="left", show_header=False, pad_edge=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    table.add_column(justify="left")
    rows: list[tuple[str, int | str, str]] = [
        ("served by the sensors", account.sampled, "samples, by their own logs"),
        ("stored by the bridge", account.stored, "samples, by SQL from its store"),
        ("missing", account.missing, ""),
        ("stored twice", account.duplicates, ""),
        ("rejected / gone", f"{account.rejected} / {account.gone}", ""),
        ("values", account.values, "each compared with what was served"),
        ("alerts raised / cleared", f"{account.alerts_raised} / {account.alerts_cleared}", ""),
    ]
    if account.influx_points is not None:
        rows.append(("points in InfluxDB", account.influx_points, "finite values"))
    for name, figure, remark in rows:
        table.add_row(name, str(figure), remark)
    for name, value in account.peak.items():
        if name.endswith("/water_level"):
            table.add_row(f"peak {name.partition('/')[0]}", f"{value:.3f}", "m")
    console.print(table)
    for problem in account.problems:
        console.print(f"[bold red]{problem}[/]")
    verdict = "The account closes." if account.closes else "The account does not close."
    console.print(f"[bold]{verdict}[/]  Everything is in {folder}")
