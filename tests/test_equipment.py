"""What was done to sensors: calibrations by the time of the sample, replacements that part a series and are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from gateway import config, pipeline, stationfile, yamlfile
from gateway.equipment import Calibration, Equipment, Replacement
from gateway.fields import at_words
from gateway.journal import Kind
from gateway.journalwords import sentence
from gateway.model import Flag
from gateway.qualitylimits import Spike
from gateway.rain import MM, Curve, Reading, State
from gateway.raingauge import Gauge as RainGauge
from gateway.stations import Channel, normalise
from tests import world
from tests.gauges import Gauge
from tests.places import ALL_FIVE, MINUTE, T0
from tests.test_journal import Desk
from tests.test_plausible import CALM, RATE
from tests.test_quality import level, play

TEXT = """\
version: 1
tenant: t
stations:
  s:
    name: s
    position: {latitude: 0, longitude: 0}
    datum: T.P.
    gauge_zero: 1.00 m
    device: d
    channels:
      water_level:
        interval: 60s
        readings: distance
        sensor_height: 5 m
        calibrations:
          - {at: 2026-04-01, offset: 3 cm, by: 山田, basis: 水準測量}
          - {at: 2026-05-01 09:00, points: [[1.00 m, 1.00 m], [3.00 m, 3.04 m]], by: 山田, basis: 検定証 12}
        replaced:
          - {at: "2026-04-20T00:00:00Z", old: SN 1, new: SN 2, why: 落雷, zero: checked}
"""
DAY = 86_400_000
APRIL = 1_774_969_200_000  # 2026-04-01, Japan's midnight
MAY = APRIL + 30 * DAY + 9 * 3_600_000


def read(text: str, now_ms: int | None = None) -> tuple[dict[str, Channel], list[str]]:
    document = yamlfile.parse(text.encode(), "stations.yaml")
    found = stationfile.stations(document, config.load_levels("jp-2026"), now_ms=now_ms)
    told = [f"{p.line}:{p.col} {p.message}" for p in document.problems]
    return dict(found[0].channels) if found else {}, told


def test_a_sample_is_calibrated_by_its_own_time() -> None:
    """Before the first entry the reading stands; from each on its own holds, whenever the sample arrives."""
    channels, told = read(TEXT)
    assert told == []
    channel = channels["water_level"]
    found = [normalise(2.0, channel, at) for at in (APRIL - 1, APRIL, MAY - 1, MAY, MAY + DAY)]
    assert found == [3.0, 2.97, 2.97, 2.98, 2.98]  # five metres less the distance
    assert normalise(2.0, channel) == 2.98
    assert channel.equipment.replaced == (Replacement(APRIL + 19 * DAY + 9 * 3_600_000, "SN 1", "SN 2", "落雷", True),)


def test_the_raw_reading_stays() -> None:
    """What the sensor said is stored beside the observation."""
    calibrated = Equipment((Calibration(0, 1.0, 0.5, "x", "y"),))
    channel = replace(world.channel(), equipment=calibrated)
    judgement = pipeline.Judgement(
        world.registry(world.station(channels=[channel])), None, lambda *_: False, lambda *_: None, 10_000
    )
    message = world.message(world.pack(world.sample(1, 1.25)))
    (o,) = pipeline.process(message, world.TENANT, world.DEVICE, judgement).observations
    assert (o.raw, o.value) == (1.25, 1.75)


MISTAKES = [
    (
        "two ways at once",
        "offset: 3 cm",
        "offset: 3 cm, points: [[0 m, 0 m], [1 m, 1 m]]",
        "16:13 both ways at once: leave points out, or scale and offset. Write 'offset: 3 cm', or "
        "'points: [[0.52 m, 0.50 m], [3.10 m, 3.00 m]]'",
    ),
    (
        "nothing at all",
        "offset: 3 cm, ",
        "",
        "16:13 it says nothing of the reading. Write 'offset: 3 cm', or 'points: [[0.52 m, 0.50 m], [3.10 m, 3.00 m]]'",
    ),
    (
        "the wrong order",
        "2026-05-01 09:00",
        "2026-03-01 09:00",
        "17:18 2026-03-01 09:00 is before the entry above. The oldest stands first, each with a time of its own",
    ),
    (
        "the same time",
        "2026-05-01 09:00",
        "2026-04-01 00:00",
        "17:18 2026-04-01 00:00 is the same time as the entry above. The oldest stands first, each with a time of its "
        "own",
    ),
    (
        "no time",
        "2026-05-01 09:00",
        "May",
        "17:18 'May' is not a time. Write it like 2026-06-01 09:30, in Japan's time",
    ),
    ("no such day", "at: 2026-04-01", "at: 2026-04-31", "16:18 '2026-04-31' is not a time of the calendar"),
    (
        "points of one reading",
        "[3.00 m, 3.04 m]",
        "[1.00 m, 3.04 m]",
        "17:44 no line that rises goes through them. The sensor's reading stands first in each point",
    ),
    (
        "one point",
        ", [3.00 m, 3.04 m]",
        "",
        "17:44 1 points. Write two, of the sensor's reading and the true value each",
    ),
    ("a scale of nothing", "offset: 3 cm", "scale: 0.0", "16:37 0 is not above zero. A sensor that reads right has 1"),
    ("a bare offset", "offset: 3 cm", "offset: 3", "16:38 3 has no unit. Did you mean '3 m'?"),
    (
        "an undated correction beside it",
        "        sensor_height",
        "        correction: 1 cm\n        sensor_height",
        "14:9 calibrations say the same with their dates. Leave correction out; a correction from the beginning is the "
        "first entry, in the sensor's reading",
    ),
    (
        "no list",
        'replaced:\n          - {at: "2026-04-20T00:00:00Z", old: SN 1, new: SN 2, why: 落雷, zero: checked}',
        "replaced: {at: 2026-04-20}",
        "18:19 a list stands here, one entry for each. Begin the line with '- {at: …'",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_mistake(old: str, new: str, expected: str) -> None:
    """Each mistake is told once, at its place, with what would be right."""
    assert TEXT.count(old) == 1
    assert read(TEXT.replace(old, new))[1] == [expected]


def test_what_lies_in_the_future_is_a_mistake_where_it_is_checked() -> None:
    """`suimon check` tells it; a bridge that starts with a clock of the past must alarm all the same."""
    remedy = "lies in the future. Write it down when it has been done"
    assert read(TEXT, now_ms=MAY - 1)[1] == [f"17:18 2026-05-01 09:00 {remedy}"]
    assert read(TEXT, now_ms=MAY)[1] == []
    assert read(TEXT)[1] == []
    assert at_words(MAY) == "2026-05-01 09:00"


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("rain: {interval: 600s, rain: {kind: counter},", "a counter would jump by it"),
        ("contact: {interval: 600s, contact: {level: caution, wet: 1},", "a contact is 0 or 1"),
    ],
)
def test_what_has_no_scale_cannot_be_calibrated(kind: str, why: str) -> None:
    """A counter and a contact are replaced, not calibrated."""
    head = TEXT[: TEXT.index("      water_level:")]
    _, told = read(f"{head}      {kind} calibrations: [{{at: 2026-04-01, scale: 1.1, by: a, basis: b}}]}}\n")
    assert [x.partition(" ")[2] for x in told] == [f"{why}. Leave it out; a new sensor stands under 'replaced'"]


# --- what is not compared across it ----------------------------------------------------------------------------------

CHANGED = T0 + 25 * MINUTE
CHECKED = Equipment(replaced=(Replacement(CHANGED, "a", "b", "old", True),))
UNCHECKED = Equipment(replaced=(Replacement(CHANGED, "a", "b", "old", False),))
CALIBRATED = Equipment((Calibration(CHANGED, 1.0, 0.5, "x", "y"),))


def test_quality_tests_begin_anew() -> None:
    """A value is no spike, and has no rate, against one of another sensor: at once, and as backlog."""
    minute = 60_000
    channel = replace(level(), tests=replace(level().tests, spike=Spike(0.2, 0.5)))
    series = [(0, 1.0), (10 * minute, 1.0), (20 * minute, 1.0), (30 * minute, 5.0), (40 * minute, 5.0)]
    spans = {
        "same": channel,
        "other": replace(channel, equipment=CHECKED),
        "new": replace(channel, equipment=CALIBRATED),
    }
    now = {name: play(series, c).latest() for name, c in spans.items()}
    assert Flag.SUSPECT in now["same"]
    assert Flag.SUSPECT not in now["other"] + now["new"]
    late = {
        name: play(series, c, onto=play([(24 * 60 * minute, 3.0)], c), now_ms=24 * 60 * minute, first_seq=2).latest()
        for name, c in spans.items()
    }
    assert Flag.SUSPECT in late["same"]
    assert Flag.SUSPECT not in late["other"] + late["new"]


def gauge(equipment: Equipment) -> Gauge:
    """One that stood at 2.5 m until minute 20."""
    found = Gauge(*ALL_FIVE, rise=RATE, fall=RATE, rank=2)
    found.channel = replace(found.channel, equipment=equipment)
    found.station = replace(found.station, channels={"water_level": found.channel})
    found.story(2.5, 2.5, 2.5)
    assert found.transitions == []
    return found


@pytest.mark.parametrize(
    ("what", "equipment", "then", "expected"),
    [
        ("the same sensor has jumped", Equipment(), [4.1, 4.2], ["rise 2->4 unconfirmed"]),
        ("a zero that was checked is believed", CHECKED, [4.1, 4.2], ["rise 2->4"]),
        ("another zero is as after a gap of hours", UNCHECKED, [4.1, 4.2], ["rise 2->4 unconfirmed"]),
        ("a new calibration is no jump", CALIBRATED, [3.1, 3.2], ["rise 2->3"]),
        ("it holds once", CHECKED, [2.5, 4.6], ["rise 2->4 unconfirmed"]),
        ("lower is believed of either", UNCHECKED, [2.4, 2.5, 2.6], []),
    ],
)
def test_a_level_after_a_replacement(what: str, equipment: Equipment, then: list[float], expected: list[str]) -> None:
    """What a new sensor says is not judged by what the old one said."""
    assert gauge(equipment).story(*then, start=30, context=CALM) == expected, what


def test_what_a_person_said_of_the_old_sensor() -> None:
    """A false alarm of the old sensor does not keep a new one silent whose zero was checked."""
    for equipment, expected in ((CHECKED, 0), (UNCHECKED, 4)):
        found = gauge(equipment)
        found.state = changed(found.state, rejected=4)
        found.observe(30, 4.3)
        assert found.state.rejected == expected


def test_a_new_counter_is_no_rain() -> None:
    """A counter that stands higher or lower than the old one has measured nothing yet; the time between is in doubt,
    and backlog of the old one still counts."""
    for begins in (0.0, 5.0, 900.0):
        made = Curve(State(), RainGauge("counter"), 600, 900)
        for at_s, mm, renewed in (
            (0, 100.0, False),
            (600, 101.0, False),
            (1800, begins, True),
            (2400, begins + 2, False),
        ):
            made.take(Reading(T0 // 1000 + at_s, round(mm * MM), renewed=renewed, log="a", seq=at_s))
        assert made.points[-1][1] == 3 * MM
        assert made.doubt_s == T0 // 1000 + 1800
        made.take(Reading(T0 // 1000 + 1200, 104 * MM, late=True))
        assert made.points[-1][1] == 6 * MM


# --- what the journal says -------------------------------------------------------------------------------------------


def test_the_journal_tells_it_when_it_comes_into_force(tmp_path: Path) -> None:
    """Once, under its own time, from that time on; a restart says nothing again, another entry is told."""
    both = Equipment(CALIBRATED.calibrations, CHECKED.replaced)
    at = world.T0 + 10 * MINUTE
    dated = Equipment(
        tuple(replace(x, from_ms=at) for x in both.calibrations), tuple(replace(x, at_ms=at + 1) for x in both.replaced)
    )
    desk = Desk(
        tmp_path / "store.db", world.registry(world.station(channels=[replace(world.channel(), equipment=dated)]))
    )
    desk.tick(at - 1)
    assert desk.rows(Kind.EQUIPMENT) == []
    work = desk.work(at + 1)
    work.tick()  # a commit that fails
    assert len(work.entries) == 2
    for later in (1, 500, 60_000):
        desk.tick(at + later)
    desk.again()
    desk.tick(at + 70_000)
    found = desk.rows(Kind.EQUIPMENT)
    assert [x.at_ms for x in found] == [at, at + 1]
    assert [sentence(x, world.LEVELS, ja=False) for x in found] == [
        "water_level: calibrated × 1, +0.5 (y, x)",
        "water_level: sensor a replaced by b (old; zero checked)",
    ]
    assert sentence(found[1], world.LEVELS) == "water_level：計器を交換 a → b（old、零点確認済み）"
    third = replace(dated, replaced=(*dated.replaced, Replacement(at + 2, "b", "c", "again", False)))
    desk.again(world.registry(world.station(channels=[replace(world.channel(), equipment=third)])))
    desk.tick(at + 80_000)
    assert [x.facts["event"] for x in desk.rows(Kind.EQUIPMENT)] == ["calibrated", "replaced", "replaced"]
    desk.store.close()
