"""Notices: staff are told once when a condition of the house begins, and once when it is over."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import settings, storefile, wire
from gateway.bridge import noticewords
from gateway.bridge.notices import FROM_DEVICES, TELLING
from gateway.bridge.store import Store
from gateway.bridge.work import Memory, Work
from gateway.errors import NoticeCode
from tests import world
from tests.world import DEVICE, LOG, STATION, T0, TENANT

DESK = settings.Recipient("desk", "console")
SLOW = NoticeCode.INFLUX_WAITS
CONDITION = (SLOW, "", "")


def work(memory: Memory, at_s: float, **changes: object) -> Work:
    """Both clocks run alike, unless `now_ms` says otherwise."""
    given = world.bridge(Path("unused"), recipients=(DESK,))
    found = world.work(memory, given, T0 + round(at_s * 1000), steady_s=at_s)
    found.rules = replace(found.rules, **changes)  # type: ignore[arg-type]
    return found


def told(memory: Memory, *story: tuple[float, bool]) -> list[tuple[float, str]]:
    """Say at each time whether the condition lasts, let time pass, and return what was owed when."""
    out = []
    for at_s, on in story:
        batch = work(memory, at_s)
        batch.notice(SLOW, on)
        batch.tick()
        out += [(at_s, json.loads(x.body)["state"]) for x in batch.owed]
        batch.swap_in()
    return out


@pytest.mark.parametrize(
    ("what", "story", "expected"),
    [
        ("that never was is never told", [(0, False), (700, False)], []),
        ("that is short is not told", [(0, True), (599, True), (599.5, False), (1300, False)], []),
        ("that comes back is a new one", [(0, True), (300, False), (400, True), (999, True)], []),
        ("that lasts is told once", [(0, True), (600, True), (601, True), (5000, True)], [(600, "begins")]),
        ("that stays away is told over", [(0, True), (600, True), (700, False), (760, False), (900, False)],
         [(600, "begins"), (760, "ends")]),
        ("that flaps rings once", [(0, True), (600, True), (700, False), (730, True), (735, False), (790, True)],
         [(600, "begins")]),
        ("that comes again is told", [(0, True), (600, True), (700, False), (760, False), (800, True), (1400, True)],
         [(600, "begins"), (760, "ends"), (1400, "begins")]),
    ],
)  # fmt: skip
def test_hold_down(what: str, story: list[tuple[float, bool]], expected: list[tuple[float, str]]) -> None:
    """A condition is told only when it has lasted, and its end only when it has stayed away."""
    assert told(Memory("s"), *story) == expected, what


def test_time_alone_tells_what_lasts() -> None:
    """Whoever said that it began need not say it again: the next look at the time does."""
    memory = Memory("s")
    first = work(memory, 0)
    first.notice(SLOW, True)
    assert first.empty()
    later = work(memory, 601)
    later.tick()
    assert [x.code for x in later.notices.values()] == [SLOW]
    assert next(iter(later.notices.values())).since_ms == T0


def test_a_clock_that_is_set_neither_tells_nor_hides() -> None:
    """How long a condition lasts is judged by a clock that nobody sets."""
    memory = Memory("s")
    work(memory, 0).notice(SLOW, True)
    jumped = work(memory, 10, now_ms=T0 + 86_400_000)
    jumped.tick()
    assert jumped.owed == []
    back = work(memory, 600, now_ms=T0 - 86_400_000)
    back.tick()
    assert len(back.owed) == 1


def test_what_was_not_committed_is_told_again() -> None:
    """A batch that the disk refused leaves nothing in memory: the next one owes the same."""
    memory = Memory("s")
    keys = []
    for at_s in (0, 1):
        batch = work(memory, at_s)
        batch.notice(NoticeCode.DISK_FULL, True)
        keys.append([x.key for x in batch.owed])
        assert memory.notices == {}
    assert keys == [[f"notice/disk_full///{T0}/begins/desk"]] * 2


def test_who_is_told() -> None:
    """Every recipient who did not refuse notices; never the alert topic, which is the world's."""
    batch = work(Memory("s"), 0)
    recipients = (DESK, settings.Recipient("mayor", "webhook", notices=False))
    batch.rules = replace(batch.rules, bridge=replace(batch.rules.bridge, recipients=recipients, alert_topic=True))
    batch.notice(NoticeCode.DISK_FULL, True)
    assert [x.recipient for x in batch.owed] == ["desk"]


def test_the_store_keeps_what_lasts(tmp_path: Path) -> None:
    """One row each, its end written to it; a restart neither tells it again nor forgets to tell its end."""
    path = tmp_path / "store.db"
    for at_s, on in ((0, True), (10, True), (20, False), (90, False), (200, True)):
        store = Store(path)
        memory = store.load()
        for later_s in (0, 70):
            batch = work(memory, at_s + later_s / 100)
            batch.rules = replace(batch.rules, steady_ms=round((at_s + later_s) * 1000))
            batch.notice(NoticeCode.DISK_FULL, on, detail="1 MB")
            if not batch.empty():
                store.commit(batch)
                batch.swap_in()
        store.close()
    rows = storefile.rows(path, "SELECT key, code, detail, since_ms, ended_ms FROM notices ORDER BY id")
    first, second = f"notice/disk_full///{T0}", f"notice/disk_full///{T0 + 200_000}"
    assert rows == [
        (first, "disk_full", "1 MB", T0, T0 + 20_000),
        (second, "disk_full", "1 MB", T0 + 200_000, None),
    ]
    keys = [key for (key,) in storefile.rows(path, "SELECT key FROM outbox ORDER BY id")]
    assert keys == [f"{first}/begins/desk", f"{first}/ends/desk", f"{second}/begins/desk"]


# --- what devices say ------------------------------------------------------------------------------------------------


def say(memory: Memory, at_s: float, *codes: str, used: float | None = None, hours: float | None = None) -> Work:
    statement = wire.Statement(LOG, [wire.StatementLog(LOG, 1, 1)], list(codes), used, hours)
    batch = work(memory, at_s)
    batch.take(world.message(wire.encode(statement), "spool"))
    batch.tick()
    batch.swap_in()
    return batch


def test_a_device_tells_of_itself() -> None:
    """What its statement names begins, with its figures; what a later one no longer names is over when it stays so."""
    memory = Memory("s")
    (owed,) = say(memory, 0, "spool_nearly_full", used=0.823, hours=12.4).owed
    assert owed.key == f"notice/spool_nearly_full/{TENANT}/{DEVICE}/{T0}/begins/desk"
    body = json.loads(owed.body)
    assert (body["rings"], body["detail"]) == (True, "82 %, 12 h")
    assert "春日橋（kasuga-01）" in body["subject"]["ja"]
    assert say(memory, 60, "spool_nearly_full").owed == []
    assert say(memory, 120).owed == []
    (over,) = say(memory, 720).owed
    assert (json.loads(over.body)["state"], json.loads(over.body)["rings"]) == ("ends", False)


def test_a_device_cannot_speak_for_the_bridge() -> None:
    """Codes that are none, or not a device's, begin nothing and are counted."""
    batch = say(Memory("s"), 0, "disk_full", "made_up", "spool_half")
    assert [x.code for x in batch.notices.values()] == [NoticeCode.SPOOL_HALF]
    assert batch.counts["unknown_notices"] == 2


def test_a_device_that_was_taken_away_ends_its_notices() -> None:
    """Nobody could ever say that they are over."""
    memory = Memory("s")
    say(memory, 0, "spool_damaged")
    other = world.registry(world.station(STATION, "another-device"))
    for at_s in (10, 80):
        batch = work(memory, at_s, registry=other)
        batch.tick()
        batch.swap_in()
    assert memory.notices == {}


def test_the_store_keeps_what_the_device_said(tmp_path: Path) -> None:
    """The newest statement's share and hours stand with the device."""
    store = Store(tmp_path / "store.db")
    memory = store.load()
    for used, hours in ((0.2, 300.0), (0.25, 280.5)):
        store.commit(say(memory, 0, used=used, hours=hours))
    store.close()
    assert storefile.rows(tmp_path / "store.db", "SELECT used, hours FROM devices") == [(0.25, 280.5)]


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", NoticeCode)
def test_every_condition_has_words(code: NoticeCode) -> None:
    """In both languages: where, what, its value, since when, and what to do; its end says that it is over. No code is
    shown to people."""
    stations = [world.station()] if code in FROM_DEVICES else []
    given = noticewords.Said(code, DEVICE if stations else "", stations, "82 %", T0, None)
    for told_, place, since in (
        (noticewords.japanese(given), "春日橋（kasuga-01）" if stations else "監視サーバー", "11月25日(火) 01:00"),
        (noticewords.english(given), "Kasuga Bridge (kasuga-01)" if stations else "Bridge", "25 Nov 01:00 JST"),
    ):
        subject, text = told_
        assert place in subject
        assert "82 %" in subject
        what, when, remedy = text.split("\n")
        assert what.startswith(place)
        assert since in when
        assert remedy.endswith(("。", "."))
        assert code.value not in subject + text
    for language in (noticewords.japanese, noticewords.english):
        subject, text = language(replace(given, ended_ms=T0 + 60_000))
        assert "01:01" in text
        assert subject != language(given)[0]


def test_the_document_says_how_long() -> None:
    """The table of notices in the document has the hold-down of the code."""
    text = (Path(__file__).parent.parent / "gateway" / "README.md").read_text(encoding="utf-8")
    for code, telling in TELLING.items():
        (line,) = [x for x in text.splitlines() if x.startswith(f"| `{code.value}` |")]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[2:] == [f"{telling.begin_s:g} s", f"{telling.end_s:g} s", "yes" if telling.rings else "no"]
    assert set(TELLING) == set(NoticeCode)
