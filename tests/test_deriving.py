"""Rain, tides and contacts through the bridge's batch: what is stored, what is told, what survives a restart."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import stationfile, wire, yamlfile
from gateway.bridge import notices
from gateway.bridge.alerts import MAINTENANCE
from gateway.bridge.store import Store
from gateway.bridge.work import Memory, Rules, Work
from gateway.channelstate import ChannelState
from gateway.contacts import waits
from gateway.episodes import Suspension
from gateway.errors import FaultCode, NoticeCode, RejectCode
from gateway.model import Change, ClockState, Flag, Message, Observation, Reading, Sample, Transition
from gateway.settings import Recipient
from gateway.stations import Channel, Registry, Station
from tests import world
from tests.places import LEVELS

T0 = 1_790_000_400_000  # 2026-09-21 23:20 in Japan
MIN = 60_000
STATIONS = """
version: 1
tenant: takamatsu
stations:
  mure:
    name: {ja: 牟礼, en: Mure}
    position: {latitude: 34.3, longitude: 134.1}
    device: mure-gw
    hazard: rain
    verified_until: 2027-03-31
    steps:
      first: {name: {ja: 第1配備, en: first}, channel: rain_continuous, value: 80 mm, authority: 市独自, source: 基準}
      heavy: {name: 大雨体制, channel: rain_1h, value: 30 mm, authority: 市独自, source: 配備基準, rings: true}
    channels:
      rain: {interval: 10min, rain: counter}
  harbour:
    name: {ja: 高松港, en: Harbour}
    position: {latitude: 34.35, longitude: 134.05}
    datum: T.P.
    gauge_zero: 0.00 m
    device: harbour-gw
    hazard: tide
    channels:
      tide:
        quantity: water_level
        interval: 10min
        reference: elevation
        tide:
          table: tide.csv
          margin: 0.20 m
          thresholds:
            surge_caution: {value: 0.50 m, authority: 市独自, basis: 市の目安, source: 高潮対策要領}
            surge_warning: {value: 0.80 m, authority: 市独自, basis: 市の目安, source: 高潮対策要領}
        thresholds:
          caution: {value: 1.00 m, authority: 市独自, basis: 市の目安, source: 高潮対策要領}
          evacuation: {value: 1.50 m, authority: 市独自, basis: 市の目安, source: 高潮対策要領}
  underpass:
    name: {ja: 中央アンダーパス, en: Central underpass}
    position: {latitude: 34.34, longitude: 134.04}
    device: underpass-gw
    hazard: underpass
    channels:
      caution: {quantity: contact, interval: 1min, contact: {level: notice, wet: 1}}
      closing: {quantity: contact, interval: 1min, contact: {level: closure, wet: 0}}
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    rows = "".join(f"2026-09-{21 + i // 24:02d} {i % 24:02d}:00,{0.9 if i == 22 else 0.85}\n" for i in range(96))
    (tmp_path / "tide.csv").write_text(rows, encoding="utf-8")
    document = yamlfile.parse(STATIONS.encode(), "stations.yaml")
    stations = stationfile.stations(document, LEVELS, folder=tmp_path)
    assert [str(p) for p in document.problems] == []
    made = House(tmp_path, Registry(stations, LEVELS))
    yield made
    made.store.close()


class House:
    """A bridge's batches on a real store, one observation each, as the time goes."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        desk = Recipient("desk", "webhook", "http://127.0.0.1:1/")
        self.bridge, self.registry = world.bridge(folder / "store.db", recipients=(desk,)), registry
        self.store = Store(self.bridge.store)
        self.memory: Memory = self.store.load()
        self.seq = 0
        self.listening_ms: int | None = None  # while it does not listen, nothing is silent

    def restart(self) -> None:
        self.store.close()
        self.store = Store(self.bridge.store)
        self.memory = self.store.load()

    def batch(self, *observations: Observation, now_ms: int) -> Work:
        work = Work(self.memory, Rules(self.registry, self.bridge, now_ms, now_ms + 5 * MIN, self.listening_ms))
        work.observe(list(observations))
        work.tick()
        self.store.commit(work)
        work.swap_in()
        return work

    def say(self, where: str, minutes: float, value: float | None, late_min: float = 0, **more: Any) -> Work:
        """`where` is station/channel; the reading was made `minutes` after T0 and arrives `late_min` later."""
        station, _, channel = where.partition("/")
        device = self.registry.stations["takamatsu", station].device
        at_ms = T0 + round(minutes * MIN)
        now = at_ms + round(late_min * MIN) + 1000
        self.seq += 1
        flag = Flag.MISSING if value is None else Flag.GOOD
        o = Observation("takamatsu", device, station, channel, "log1", self.seq, 0, at_ms, now, value, value, flag)
        return self.batch(replace(o, **more), now_ms=now)

    def rows(self, station: str, channel: str) -> list[tuple[int, float, int, str | None]]:
        """(minutes after T0, value, flag, tests)"""
        sql = """SELECT observed_ms, value, flag, tests FROM observations JOIN channels c ON c.id = channel_id
                 WHERE station = ? AND channel = ? ORDER BY observed_ms"""
        with sqlite3.connect(self.bridge.store) as db:
            return [((at - T0) // MIN, v, f, t) for at, v, f, t in db.execute(sql, (station, channel))]

    def state(self, where: str) -> ChannelState:
        station, _, channel = where.partition("/")
        return self.memory.states["takamatsu", station, channel]


def said(work: Work) -> list[tuple[Change, str, bool]]:
    return [(t.change, t.level or t.channel, t.rings) for t in work.transitions]


# --- rain ----------------------------------------------------------------------------------------------------------


def test_sums_are_stored_as_observations(house: House) -> None:
    """Each ten minutes bring the sums; what is not known of the past makes them suspect."""
    for i in range(8):
        house.say("mure/rain", 10 * i, 100.0 + i)
    assert house.rows("mure", "rain_1h")[-1] == (70, 6.0, 1, None)
    assert house.rows("mure", "rain_1h")[2] == (20, 2.0, 3, "incomplete")
    assert house.rows("mure", "rain_24h")[-1] == (70, 7.0, 3, "incomplete")
    assert [r[1] for r in house.rows("mure", "rain_10min")][1:] == [1.0] * 7


def test_a_count_that_begins_again_makes_sums_incomplete(house: House) -> None:
    """The reading that says so stands for a counter at zero: what it counts from there on fell, also where it soon
    stands higher than before; what fell in between is not known, and the sums say that."""
    for i in range(8):
        house.say("mure/rain", 10 * i, 0.5 * i)
    assert house.rows("mure", "rain_1h")[-1] == (70, 3.0, 1, None)
    house.say("mure/rain", 80, None, fault=FaultCode.COUNT_LOST)
    house.say("mure/rain", 90, 9.0)
    assert house.rows("mure", "rain_1h")[-1] == (90, 11.0, 3, "incomplete")
    house.restart()
    for i in range(10, 17):
        house.say("mure/rain", 10 * i, 9.0)
    assert house.rows("mure", "rain_1h")[-1] == (160, 0.0, 1, None)


def test_a_restart_in_a_dry_week_is_no_dry_week(house: House) -> None:
    """A counter that stood at zero and stands at zero again, and was not there for three hours."""
    for i in range(4):
        house.say("mure/rain", 10 * i, 0.0)
    house.say("mure/rain", 210, None, fault=FaultCode.COUNT_LOST)
    house.say("mure/rain", 220, 0.0)
    assert house.rows("mure", "rain_3h")[-1] == (220, 0.0, 3, "incomplete")


def test_backlog_may_say_that_a_count_began_again(house: House) -> None:
    """It arrives after the readings that followed it: their sums are a lower bound, and incomplete."""
    for i in range(8):
        house.say("mure/rain", 10 * i, 0.5 * i)
    house.say("mure/rain", 90, 9.0)
    house.say("mure/rain", 80, None, late_min=30, fault=FaultCode.COUNT_LOST)
    house.say("mure/rain", 100, 9.0)
    assert house.rows("mure", "rain_1h")[-1] == (100, 7.0, 3, "incomplete")


def test_a_repeat_writes_nothing_twice(house: House) -> None:
    """Late data and a restart neither double sums nor rows."""
    for i in (0, 1, 2, 5):
        house.say("mure/rain", 10 * i, 100.0 + i)
    house.restart()
    for i in (3, 4):
        house.say("mure/rain", 10 * i, 100.0 + i, late_min=30)
    before = house.rows("mure", "rain_1h")
    house.say("mure/rain", 60, 106.0)
    assert [r[0] for r in before] == [0, 10, 20, 50]
    assert house.rows("mure", "rain_1h")[-1] == (60, 6.0, 1, None)


def test_a_step_is_told_once_in_a_rain_and_survives_a_restart(house: House) -> None:
    """第1配備 is no rank: it opens an episode, which ends by itself when the rain is over."""
    house.say("mure/rain", 0, 0.0)
    first = house.say("mure/rain", 10, 85.0)
    assert said(first) == [(Change.STEP, "first", False), (Change.STEP, "heavy", True)]
    assert len({t.key for t in first.transitions}) == 2
    assert [t.value for t in first.transitions] == [85.0, 85.0]
    assert {t.episode for t in first.transitions} == {house.memory.episodes["takamatsu", "mure"].id}
    house.restart()
    assert said(house.say("mure/rain", 20, 95.0)) == []
    for i in range(3, 38):
        house.say("mure/rain", 10 * i, 95.0)
        assert ("takamatsu", "mure") in house.memory.episodes
    house.say("mure/rain", 10 * 38, 95.0)
    assert ("takamatsu", "mure") not in house.memory.episodes
    assert [x[1] for x in said(house.say("mure/rain", 390, 130.0))] == ["heavy"]


def test_a_step_that_does_not_wake_is_told_without_a_ring(house: House) -> None:
    """As configured: `rings: true` rings the desk, the default does not."""
    house.say("mure/rain", 0, 0.0)
    assert [x.rings for x in house.say("mure/rain", 10, 31.0).owed if x.recipient == "desk"] == [True]
    assert [x.rings for x in house.say("mure/rain", 60, 85.0).owed if x.recipient == "desk"] == [False]


def test_old_rain_tells_no_step(house: House) -> None:
    """Backlog of an hour ago enters the record; what was reached then alone is told as past, the rest as now."""
    house.say("mure/rain", 0, 0.0)
    assert said(house.say("mure/rain", 10, 85.0, late_min=60)) == []
    assert said(house.say("mure/rain", 90, 85.0)) == [(Change.STEP, "first", False), (Change.PAST, "heavy", True)]


def night(house: House, restart: bool = False) -> list[tuple[float, Change, str, bool, tuple[str, ...]]]:
    """The rain gauge was cut off from 20 to 200 min, in which 45 mm fell within 40 min; its backlog comes at 231 min,
    the rest later, and then all of it again. What was told: when it was, ..."""
    house.say("mure/rain", 0, 0.0)
    house.say("mure/rain", 10, 0.0)
    told: list[Transition] = []
    for minutes in range(210, 231, 10):
        told += house.say("mure/rain", minutes, 45.0).transitions
    fell, level = {60: 10.0, 70: 25.0, 80: 38.0, 90: 45.0}, 0.0
    backlog = [(minutes, level := fell.get(minutes, level)) for minutes in range(20, 210, 10)]
    for come, piece in ((231, backlog[:12]), (260, backlog[12:]), (280, backlog)):
        for minutes, mm in piece:
            told += house.say("mure/rain", minutes, mm, late_min=come - minutes).transitions
        if restart:
            house.restart()
        for minutes in range(come + 1, come + 19):
            told += house.batch(now_ms=T0 + minutes * MIN).transitions
    return [((t.at_ms - T0) / MIN, t.change, t.level, t.rings, t.marks) for t in told if t.station == "mure"]


@pytest.mark.parametrize("restart", [False, True])
def test_a_step_that_only_backlog_shows_is_told_once_with_its_time(house: House, restart: bool) -> None:
    """『欠測中に…到達していました』: 30 mm in an hour had fallen at 80 min; told when all has come, once."""
    assert night(house, restart) == [(80, Change.PAST, "heavy", True, ())]
    assert ("takamatsu", "mure") not in house.memory.episodes


def owed_text(house: House, like: str) -> dict[str, str]:
    """What the desk was told under a key like this, once."""
    sql = "SELECT body FROM outbox WHERE key LIKE ? AND recipient = 'desk'"
    with sqlite3.connect(house.bridge.store) as db:
        ((body,),) = db.execute(sql, (like,)).fetchall()
    found: dict[str, str] = json.loads(body)["text"]
    return found


def test_the_words_of_a_step_of_the_past(house: House) -> None:
    """Which step, how much, when: and that it is not now."""
    night(house)
    text = owed_text(house, "%/past-%")["ja"].splitlines()
    assert text[0] == "牟礼：欠測中に雨量の基準「大雨体制」に到達していました"
    assert text[1:3] == ["1時間雨量 38 mm", "観測時刻 9月22日(火) 00:40"]
    assert any("現在の雨量ではありません。" in line for line in text)


def test_what_was_told_live_is_not_told_again_by_backlog(house: House) -> None:
    """The step rang at 60 min; backlog of the hour before shows that it was reached earlier: nobody is told."""
    house.say("mure/rain", 0, 0.0)
    assert [x[1] for x in said(house.say("mure/rain", 60, 50.0))] == ["heavy"]
    for minutes in (10, 20, 30, 40, 50):
        house.say("mure/rain", minutes, min(50.0, 2.0 * minutes), late_min=110 - minutes)
    for minutes in range(111, 130):
        assert said(house.batch(now_ms=T0 + minutes * MIN)) == []


def test_a_sum_says_what_is_missing_from_it(house: House) -> None:
    """A lower bound, and a gauge whose verification has ended: by the flag of the sum, its marks, and in the text."""
    end = (1_806_418_800_000 - T0) / MIN
    house.say("mure/rain", end, 0.0)
    house.say("mure/rain", end + 10, 31.0)  # nobody knows what fell in the fifty minutes before
    assert house.rows("mure", "rain_1h")[-1][2:] == (3, "incomplete unverified")
    text = owed_text(house, "%heavy%")
    assert "1時間雨量 31 mm以上（欠測あり）（検定期限切れの雨量計）" in text["ja"]
    assert "at least 31 mm (data are missing) (gauge out of verification)" in text["en"]


def test_a_sum_of_a_gauge_that_is_not_verified_is_not_evaluated(house: House) -> None:
    """Nobody vouches for it: flag 2, which still reaches a step."""
    end = (1_806_418_800_000 - T0) / MIN
    for i in range(4):
        house.say("mure/rain", end + 10 * i, float(i))
    assert house.rows("mure", "rain_10min")[-1][1:] == (1.0, 2, "unverified")


def test_missing_data_do_not_keep_a_step_back(house: House) -> None:
    """A sum over a gap is a lower bound that may still alarm."""
    house.say("mure/rain", 0, 0.0)
    assert "first" in {x[1] for x in said(house.say("mure/rain", 300, 90.0))}


def test_an_unverified_gauge_is_marked(house: House) -> None:
    """Sums after the end of the verification carry the mark; the step is told all the same."""
    end = (1_806_418_800_000 - T0) / MIN  # 2027-03-31 00:00 in Japan
    house.say("mure/rain", end - 10, 0.0)
    house.say("mure/rain", end, 1.0)
    assert [t for *_, t in house.rows("mure", "rain_10min")] == ["incomplete", "unverified"]


def test_water_poured_in_under_maintenance_tells_nothing(house: House) -> None:
    """A check with water is no rain, and what it makes is marked."""
    house.say("mure/rain", 0, 0.0)
    until = T0 + 60 * MIN
    house.memory.suspensions["maintenance", "takamatsu", "mure"] = Suspension(
        "maintenance", "takamatsu", "mure", T0, until, "somebody"
    )
    assert said(house.say("mure/rain", 10, 200.0)) == []
    assert house.rows("mure", "rain_1h")[-1][3] == f"incomplete {MAINTENANCE}"
    assert Change.STEP not in {x[0] for x in said(house.say("mure/rain", 70, 201.0))}


def test_a_dead_rain_gauge_is_told(house: House) -> None:
    """A gauge by which steps are told is watched like any other."""
    house.listening_ms = T0 - 60 * MIN
    house.say("mure/rain", 0, 0.0)
    told: list[Transition] = []
    for minutes in range(10, 90, 2):
        told += house.batch(now_ms=T0 + minutes * MIN).transitions
    assert (Change.SILENT, "rain") in [(t.change, t.channel) for t in told]


def test_a_verification_that_ends_is_a_notice(house: House) -> None:
    """Sixty days before, once; and its end when the date was moved."""
    begin = 1_806_418_800_000 - 60 * 86_400_000
    house.batch(now_ms=begin - MIN)
    codes = {c for c, *_ in house.memory.notices}
    assert NoticeCode.RAIN_UNVERIFIED not in codes
    house.batch(now_ms=begin + MIN)
    found = [n for n in house.memory.notices.values() if n.code is NoticeCode.RAIN_UNVERIFIED]
    assert [(n.device, n.detail) for n in found] == [("mure-gw", "mure 2027-03-31")]
    beside = [replace(s, device="mure-gw") for s in house.registry.stations.values()]
    said = notices.said(found[0], Registry(beside, LEVELS))
    assert ([s.id for s in said.stations], said.detail) == (["mure"], "2027-03-31")  # not all that the device carries
    later = [
        replace(s, verified_until_ms=2_000_000_000_000 if s.steps else None) for s in house.registry.stations.values()
    ]
    house.registry = Registry(later, LEVELS)
    house.batch(now_ms=begin + 2 * MIN)
    assert NoticeCode.RAIN_UNVERIFIED not in {c for c, *_ in house.memory.notices}


# --- tide ----------------------------------------------------------------------------------------------------------


def test_the_deviation_is_stored(house: House) -> None:
    """Observed less astronomical, for late readings too; none where the table says nothing."""
    house.say("harbour/tide", 0, 1.05)
    house.say("harbour/tide", 20, 1.25)
    house.say("harbour/tide", 10, 1.15, late_min=20)
    house.say("harbour/tide", 30, None, fault=FaultCode.NO_ECHO)
    house.say("harbour/tide", 5000, 1.0)
    assert [(m, round(v, 2)) for m, v, *_ in house.rows("harbour", "tide_deviation")] == [
        (0, 0.2),
        (10, 0.3),
        (20, 0.4),
    ]


def test_a_crossing_by_the_tide_alone_is_shown_and_does_not_ring(house: House) -> None:
    """Rank 2 by a surge rings, by the tide it does not."""
    quiet = [x for i in range(3) for x in said(house.say("harbour/tide", 60 + 10 * i, 1.01))]
    assert quiet == [(Change.RISE, "caution", False)]
    assert house.state("harbour/tide").rank == 2


def test_a_surge_rings(house: House) -> None:
    """The same level with the table at its ordinary height."""
    loud = [x for i in range(3) for x in said(house.say("harbour/tide", 180 + 10 * i, 1.10))]
    assert loud == [(Change.RISE, "caution", True)]


def sea(house: House, *levels: float, start: float = 60) -> list[tuple[float, Change, str, bool]]:
    """Levels of the harbour every ten minutes, and what was said: minutes after T0, change, level, whether it rings."""
    out = []
    for i, level in enumerate(levels):
        at = start + 10 * i
        out += [(at, t.change, t.level, t.rings) for t in house.say("harbour/tide", at, level).transitions]
    return out


# The tide stands at 0.85 m. (what the sea does, what is said)
SURGES: list[tuple[str, tuple[float, ...], list[tuple[float, Change, str, bool]]]] = [
    (
        "the sea rises above what the tide explains: it rings at its second sample, without a higher level",
        (1.01, 1.02, 1.05, 1.15, 1.20),
        [(70, Change.RISE, "caution", False), (100, Change.RISE, "caution", True)],
    ),
    (
        "once, while the rank lasts",
        (1.01, 1.02, 1.20, 1.20, 1.05, 1.20, 1.20),
        [(70, Change.RISE, "caution", False), (90, Change.RISE, "caution", True)],
    ),
    ("a single wave rings nobody", (1.01, 1.02, 1.30, 1.02, 1.30, 1.02), [(70, Change.RISE, "caution", False)]),
    (
        "a deviation below the level is no news, though the rank still stands by its hysteresis",
        (1.01, 1.02, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99),
        [(70, Change.RISE, "caution", False)],
    ),
    (
        "rank 3 is told as rank 3, and no second time as a surge",
        (1.01, 1.02, 1.30, 1.55, 1.56),
        [(70, Change.RISE, "caution", False), (90, Change.RISE, "evacuation", True)],
    ),
]


@pytest.mark.parametrize(("levels", "wanted"), [x[1:] for x in SURGES], ids=[x[0] for x in SURGES])
def test_a_surge_at_a_level_that_the_tide_had_reached(
    house: House, levels: tuple[float, ...], wanted: list[tuple[float, Change, str, bool]]
) -> None:
    """What the tide alone explains rings nobody; what it no longer explains rings, at the same level."""
    told = [x for x in sea(house, *levels) if not x[2].startswith("surge")]
    assert [x for x in told if x[1] is Change.RISE] == wanted


def test_a_surge_survives_a_restart_and_says_what_it_is(house: House) -> None:
    """Of its two samples one came before the bridge was killed; the desk reads of the deviation, not of a new level."""
    sea(house, 1.01, 1.02, 1.15)
    house.restart()
    work = house.say("harbour/tide", 90, 1.20)
    assert said(work) == [(Change.RISE, "caution", True)]
    (body,) = [x.body for x in work.owed if x.recipient == "desk"]
    text = json.loads(body)["text"]["ja"]
    assert "市の目安（氾濫注意水位）を超過中、潮位偏差が拡大" in text
    assert "潮位偏差 +0.35 m" in text


def test_a_deviation_has_levels_of_its_own(house: House) -> None:
    """At low water a surge of half a metre reaches no level of the water, and rings all the same; it falls as a level
    does."""
    told = sea(house, 0.60, 0.60, start=0)
    assert told == []
    rows = [1.36, 1.37, 1.40]  # 0.51 m and more above 0.85 m
    house.registry = Registry(
        [replace(s, channels=_higher(s)) if s.id == "harbour" else s for s in house.registry.stations.values()], LEVELS
    )
    told = sea(house, *rows, start=180)
    assert told == [(190, Change.RISE, "surge_caution", True)]
    work = house.say("harbour/tide", 210, 1.66)
    assert said(work) == [(Change.RISE, "surge_warning", True)]
    (body,) = [x.body for x in work.owed if x.recipient == "desk"]
    text = json.loads(body)["text"]["ja"]
    assert text.splitlines()[0].startswith("高松港：市の目安（潮位偏差警戒値）に到達")
    assert "潮位偏差 0.81 m" in text
    assert "潮位偏差注意値" not in text
    assert house.state("harbour/tide_deviation").rank == 3
    falls = [x for x in sea(house, *[0.90] * 5, start=220) if x[1] is Change.FALL]
    assert falls == [(250, Change.FALL, "surge_warning", True)]


def _higher(station: Station) -> dict[str, Channel]:
    """A quay that lies high: no level of the water is reached."""
    tide = station.channels["tide"]
    marks = tuple(replace(t, value=t.value + 2.0) for t in tide.thresholds)
    return {**station.channels, "tide": replace(tide, thresholds=marks)}


def test_a_lost_tide_gauge_rings_once_for_its_deviation_too(house: House) -> None:
    """The deviation is held with the level it is made of: both are told, one rings."""
    house.listening_ms = T0 - 60 * MIN
    sea(house, 1.60, 1.60, 1.60, 1.60, 1.60)
    assert [house.state(f"harbour/{c}").rank for c in ("tide", "tide_deviation")] == [3, 2]
    told: list[Transition] = []
    for minutes in range(110, 200, 2):
        told += house.batch(now_ms=T0 + minutes * MIN).transitions
    assert [(t.channel, t.change, t.rings) for t in told if t.station == "harbour"] == [
        ("tide", Change.HELD, True),
        ("tide_deviation", Change.HELD, False),
    ]


def test_a_table_that_ends_is_a_notice(house: House) -> None:
    """A table of three days is always near its end."""
    house.batch(now_ms=T0)
    assert (NoticeCode.TIDE_TABLE_ENDS, "takamatsu", "harbour-gw") in house.memory.notices


# --- contacts ------------------------------------------------------------------------------------------------------


def test_the_closing_contact_alarms_alone_and_at_once(house: House) -> None:
    """Whatever the caution contact says; this one is wired so that 0 is wet, which the channel has turned."""
    house.say("underpass/caution", 0, 0.0)
    house.say("underpass/closing", 0, 0.0)
    assert said(house.say("underpass/closing", 1, 1.0)) == [(Change.RISE, "closure", True)]
    closing = house.registry.stations["takamatsu", "underpass"].channels["closing"]
    assert (closing.factor, closing.offset) == (-1.0, 1.0)


def test_the_caution_contact_needs_two_samples(house: House) -> None:
    """A splash rings nobody."""
    assert said(house.say("underpass/caution", 0, 1.0)) == []
    assert said(house.say("underpass/caution", 1, 0.0)) == []
    assert said(house.say("underpass/caution", 2, 1.0)) == []
    assert said(house.say("underpass/caution", 3, 1.0)) == [(Change.RISE, "notice", True)]


def test_a_wet_contact_never_clears_by_itself(house: House) -> None:
    """Hours of dry readings end nothing: it waits for somebody on the spot."""
    house.say("underpass/closing", 0, 1.0)
    for minutes in range(1, 400, 5):
        assert said(house.say("underpass/closing", minutes, 0.0)) == []
    state = house.state("underpass/closing")
    assert state.rank == 4
    assert waits(state, house.registry.stations["takamatsu", "underpass"].channels["closing"])


def test_an_open_circuit_is_not_dry(house: House) -> None:
    """A fault after wet holds it; a fault after dry is a loss, never normal."""
    house.say("underpass/closing", 0, 1.0)
    work = [house.say("underpass/closing", m, None, fault=FaultCode.SENSOR_ERROR) for m in range(1, 8)]
    assert Change.HELD in {t.change for w in work for t in w.transitions}
    assert house.state("underpass/closing").rank == 4


def wet_while_away(house: House, contact: str, *wet: int) -> list[tuple[float, Change, str, bool]]:
    """The contact is dry at 0 and from 60 min on; its backlog comes at 100 min and is wet at these minutes."""
    house.say(f"underpass/{contact}", 0, 0.0)
    house.say(f"underpass/{contact}", 60, 0.0)
    told: list[Transition] = []
    for minutes in range(1, 60):
        value = 1.0 if minutes in wet else 0.0
        told += house.say(f"underpass/{contact}", minutes, value, late_min=100 - minutes).transitions
    for minutes in range(101, 130):
        told += house.batch(now_ms=T0 + minutes * MIN).transitions
    return [((t.at_ms - T0) / MIN, t.change, t.level, t.rings) for t in told]


@pytest.mark.parametrize(
    ("contact", "wet", "wanted"),
    [
        ("closing", (20,), [(20, Change.PAST, "closure", True)]),
        ("closing", (20, 21, 40), [(20, Change.PAST, "closure", True)]),
        ("caution", (20, 21), [(20, Change.PAST, "notice", False)]),
        ("caution", (20,), []),
        ("closing", (), []),
    ],
)
def test_a_contact_that_was_wet_while_its_data_were_missing(
    house: House, contact: str, wet: tuple[int, ...], wanted: list[tuple[float, Change, str, bool]]
) -> None:
    """Backlog older than half an hour: told once, with the time when it was wet first; one sample of the closing
    contact is enough."""
    assert wet_while_away(house, contact, *wet) == wanted


def test_water_of_an_hour_ago_waits_for_somebody_on_the_spot(house: House) -> None:
    """The contact reads dry; the episode stays until a person closes it, and the text sends one there."""
    wet_while_away(house, "closing", 20)
    assert house.memory.episodes["takamatsu", "underpass"].highest == 4
    text = owed_text(house, "%/past-%")["ja"]
    assert text.startswith("中央アンダーパス：欠測中に浸水を検知していました（通行止め基準到達）")
    assert "現地を確認してください。" in text
    house.say("underpass/closing", 130, 0.0)
    assert house.memory.episodes["takamatsu", "underpass"].closed_ms is None


def test_a_doubtful_wet_contact_claims_and_stays(house: House) -> None:
    """Suspect or undated, it rings unconfirmed, and dry readings take nothing back."""
    work = house.say("underpass/closing", 0, 1.0, clk=ClockState.UNSYNCED)
    assert [(t.to_rank, t.confirmed, t.rings) for t in work.transitions] == [(4, False, True)]
    house.say("underpass/closing", 1, 0.0)
    assert house.state("underpass/closing").unconfirmed == 4
    assert [(t.to_rank, t.confirmed) for t in house.say("underpass/closing", 2, 1.0).transitions] == [(4, True)]


# --- what a device may send ------------------------------------------------------------------------------------------


def taken(house: House, device: str, station: str, channel: str, unit: str, value: float) -> Work:
    """One sample of a device through the whole batch."""
    sample = Sample("log2", 1, T0, ClockState.SYNCED, (Reading(station, channel, unit, value),))
    work = Work(house.memory, Rules(house.registry, house.bridge, T0, T0 + 5 * MIN, None))
    work.take(Message(wire.topic("takamatsu", device, "data"), wire.encode_pack([sample]), T0))
    return work


def test_what_is_derived_is_not_sent(house: House) -> None:
    """A sum that a device sends is a dead letter: there is one source of it."""
    work = taken(house, "mure-gw", "mure", "rain_1h", "mm", 5.0)
    assert [(x.code, x.detail) for x in work.letters] == [
        (RejectCode.UNKNOWN_CHANNEL, "mure/rain_1h is derived by the bridge")
    ]


@pytest.mark.parametrize(("value", "flag"), [(0.0, Flag.GOOD), (1.0, Flag.GOOD), (0.5, Flag.FAIL), (2.0, Flag.FAIL)])
def test_a_contact_is_wet_or_dry(house: House, value: float, flag: Flag) -> None:
    """Anything else is no reading of a contact, and never dry."""
    (o,) = taken(house, "underpass-gw", "underpass", "closing", "/", value).observations
    assert o.flag is flag
    assert o.value == 1.0 - value


def test_a_step_that_was_told_is_rain_for_its_station(house: House) -> None:
    """Rain supports a rise and shortens silence while its step stands and the gauge is fresh."""
    house.say("mure/rain", 0, 0.0)
    work = house.say("mure/rain", 10, 0.5)
    mure = house.registry.stations["takamatsu", "mure"]
    assert not work.alerts.context(mure, mure.channels["rain"]).near.raised
    work = house.say("mure/rain", 20, 40.0)
    assert work.alerts.context(mure, mure.channels["rain"]).near.raised
