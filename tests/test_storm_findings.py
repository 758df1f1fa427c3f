"""What years of storms found in the alarm, as the smallest stories that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from gateway import qualitylimits, sluggish
from gateway.model import Condition
from gateway.qualitylimits import Attenuated, QualityTests
from gateway.scoring.playing import Player, Read
from gateway.stations import Channel, Contract, Limits, Registry, Station
from tests.places import ALL_FIVE, LEVELS, MINUTE, T0
from tests.places import station as place

TESTS = replace(qualitylimits.defaults("water_level"), dry=0.5)
CHANNEL = Channel(
    "water_level",
    "water_level",
    Contract(600.0, 300.0),
    limits=Limits((-1.0, 12.0), rise_per_h=1.5, fall_per_h=1.5),
    thresholds=ALL_FIVE,
    tests=TESTS,
)
Pairs = tuple[tuple[float, float], ...]
Levels = Sequence[float | None]  # every ten minutes; None: nothing comes


def told(
    series: Mapping[str, Levels], channel: Channel = CHANNEL, related: Mapping[str, Pairs] | None = None
) -> tuple[list[str], list[Condition]]:
    """What was said of the first gauge, and its condition after each step, where all of them are heard together."""
    of, *others = series
    stations: dict[str, Station] = {name: place(name, name, channel) for name in series}
    stations[of] = replace(stations[of], neighbours=() if related else tuple(others), related=related or {})
    for name in related or ():
        stations[name] = replace(stations[name], neighbours=tuple(x for x in others if x != name))
    player = Player(Registry(stations.values(), LEVELS), T0 - 24 * 60 * MINUTE)
    said, conditions = [], []
    for i in range(len(series[of])):
        now = T0 + i * 10 * MINUTE
        reads = [
            Read(stations[name], CHANNEL, i + 1, now, value)
            for name in series
            if (value := series[name][i]) is not None
        ]
        for t in player.step(now, reads):
            if t.station == of:
                said.append(f"{t.change} {t.from_rank}->{t.to_rank}{'' if t.confirmed else ' unconfirmed'}")
        state = player.memory.states.get((stations[of].tenant, of, "water_level"))
        conditions.append(state.condition if state else Condition.UNKNOWN)
    return said, conditions


def calm(steps: int, level: float = 0.8) -> list[float]:
    """Water that moves by a centimetre."""
    return [level + 0.01 * (i % 2) for i in range(steps)]


SILENT: list[float | None] = [None] * 54  # nine hours
WRONG_ZERO: list[float | None] = [*calm(6), *SILENT, *calm(12, 7.0)]


@pytest.mark.parametrize(
    ("what", "around", "confirmed"),
    [
        ("the neighbour is calm", calm(72), False),
        ("the neighbour is high, too", [*calm(54), *(0.8 + 0.2 * i for i in range(18))], False),
        ("the neighbour rises in low water", [*calm(60), *(0.8 + 0.01 * i for i in range(12))], False),
        ("the neighbour is calm, and then gone", [*calm(54), *SILENT[:18]], False),
        ("nobody is there who could know", None, True),
    ],
)
def test_a_level_after_a_gap_of_hours_needs_support(what: str, around: Levels | None, confirmed: bool) -> None:
    """A gauge that comes back with a wrong zero claims its level, and its own next samples make it no truer where
    neighbours are there that could know: that those are high, too, does not say how high the water is here."""
    said, _ = told({"here": WRONG_ZERO} | ({"there": around} if around else {}))
    risen = [x for x in said if x.startswith("rise")]
    assert risen[0] == "rise 0->5 unconfirmed", what
    assert ("rise 0->5" in risen) is confirmed, what


@pytest.mark.parametrize(
    ("what", "hours", "confirmed"),
    [("the day after", 24, False), ("a level that stood for three days is the level", 80, True)],
)
def test_a_wrong_zero_that_comes_back_in_low_water_is_in_doubt(what: str, hours: int, confirmed: bool) -> None:
    """A gauge that comes back with a wrong zero below all thresholds is believed for nothing high that rises from it
    while the neighbours are calm: at the sea the next tide would carry it over rank 4."""
    back = calm(hours * 6, 0.95)
    tide = [0.95 + 0.15 * i for i in range(24)]
    here = [*calm(6, 0.2), *SILENT, *back, *tide]
    said, _ = told({"here": here, "there": calm(len(here), 0.5)})
    risen = [x for x in said if x.startswith("rise") and "unconfirmed" not in x]
    assert ("rise 3->4" in risen) is confirmed, what
    assert "rise 0->2" in risen or "rise 1->2" in risen
    assert confirmed or "rise 2->4 unconfirmed" in said or "rise 2->3 unconfirmed" in said


def test_a_wrong_zero_that_comes_back_in_a_flood_stays_in_doubt() -> None:
    """It goes up and down with the water of that flood: below rank 3 for a while it is no truer than before."""
    here = [
        *calm(6, 0.2),
        *SILENT,
        *calm(30, 3.5),
        *[3.4 - 0.1 * i for i in range(6)],
        *calm(6, 2.9),
        3.05,
        *calm(6, 3.1),
    ]
    flood = [*calm(6, 0.5), *calm(len(here) - 6, 2.5)]
    said, _ = told({"here": here, "there": flood})
    assert "rise 0->3 unconfirmed" in said
    assert not [x for x in said if x.endswith("->3")]


@pytest.mark.parametrize("around", [0.5, 2.5], ids=["the neighbours are low", "the neighbours are in flood"])
@pytest.mark.parametrize("before", [0.2, 3.5], ids=["it was low before", "it was high before"])
def test_a_wrong_zero_that_comes_back_below_rank_3_is_no_ground_to_rise_from(before: float, around: float) -> None:
    """A zero that is wrong by two metres comes back above a threshold, perhaps lower than the flood in which the gauge
    was lost; the next flood carries it over rank 3 within the rate, and nothing of that is confirmed."""
    rising = [2.2 + 0.1 * i for i in range(12)]
    here = [*calm(6, 0.2), *(0.2 + 0.2 * i for i in range(17)), *calm(6, 3.5)] if before > 1 else calm(29, 0.2)
    lost = len(here)
    here = [*here, *SILENT, *calm(12, 2.1), *rising]
    there = [*here[: lost - 6], *[2.6] * 6, *calm(len(here) - lost, around)]
    said, _ = told({"here": here, "there": there if before > 1 else calm(len(here), around)})
    later = said[said.index("restored 3->3") :] if before > 1 else said
    assert [x for x in later if x.endswith("->3 unconfirmed")], said
    assert not [x for x in later if x.startswith("rise") and x.endswith(("->3", "->4"))]


def test_a_jump_is_not_laundered_through_a_lower_rank() -> None:
    """Something in the beam at the height of a threshold is read above and below it; hours later the lower reading is a
    plausible rise, and yet part of the jump."""
    beam = [3.01] * 18 + [2.99, 3.01, 3.01, 2.99, 2.99, 3.02]
    said, _ = told({"here": [*calm(12), *beam]})
    assert "rise 0->3 unconfirmed" in said
    assert not [x for x in said if x.endswith("->3")]


def test_a_jump_is_not_made_true_by_staying() -> None:
    """Where a site may rise by nine metres an hour, any level is plausible half an hour later; but what stays where
    it jumped to is no spike that came back."""
    steep = replace(CHANNEL, limits=replace(CHANNEL.limits, rise_per_h=9.0))
    said, _ = told({"here": [*calm(12, 1.2), 5.7, 5.7, 5.7, 5.7, 5.69, 5.7]}, channel=steep)
    assert "rise 1->5 unconfirmed" in said
    assert not [x for x in said if x.endswith("->5")]
    said, _ = told({"here": [*calm(12, 1.2), 8.0, 4.1, 4.2]}, channel=steep)
    assert said[-1] == "rise 1->4"  # what came back from a spike is believed, where the site can rise so


def test_a_true_flood_too_fast_for_its_limits_ends_in_good_order() -> None:
    """What was held for a jump and falls below all thresholds is known again: the next flood is believed at once."""
    first = [*(4.5 - 0.1 * i for i in range(37)), *calm(18)]
    second = [0.8 + 0.2 * i for i in range(18)]
    said, _ = told({"here": [*calm(6), *first, *second]})
    assert said[0] == "rise 0->4 unconfirmed"
    assert [x for x in said if x.startswith("rise")][-2:] == ["rise 2->3", "rise 3->4"]


def test_a_gauge_that_stands_still_in_a_flood_is_faulty() -> None:
    """A stuck value is nothing in the calm; while a neighbour stands above its first threshold it is no normal state,
    and it ends as soon as the value moves as water in a flood does."""
    rising = [*calm(36), *(0.8 + 0.1 * i for i in range(24))]
    _, conditions = told({"here": [0.82] * 55 + [0.9, 1.0, 1.1, 1.2, 1.3], "there": rising})
    assert set(conditions[:36]) == {Condition.FRESH}
    assert conditions[50] is Condition.FAULTY
    slowly = [*calm(36), *(0.8 + 0.025 * i for i in range(24))]
    _, early = told({"here": [0.82] * 60, "there": slowly})  # the neighbour is nowhere near its thresholds
    assert (early[36], early[-1]) == (Condition.FRESH, Condition.FAULTY)
    assert conditions[-1] is Condition.FRESH
    _, alone = told({"here": [0.82] * 60, "there": calm(60)})
    assert set(alone) == {Condition.FRESH}


SLUGGISH = [0.82 + 0.001 * i for i in range(60)]  # a silted intake follows by a centimetre in two hours
MUST_MOVE = replace(TESTS, attenuated=Attenuated("range", 6 * 3600.0, 0.05))


@pytest.mark.parametrize(
    ("what", "tests", "there", "expected"),
    [
        ("that moves less than it must, in a flood", MUST_MOVE, [*calm(36), *(0.8 + 0.1 * i for i in range(24))], True),
        ("the same in the calm", MUST_MOVE, calm(60), False),
        ("that its neighbours leave behind", TESTS, [*calm(36), *(0.8 + 0.1 * i for i in range(24))], True),
        ("the same while they hardly rise", TESTS, [*calm(36), *(0.8 + 0.03 * i for i in range(24))], False),
    ],
)
def test_a_gauge_that_feels_no_flood_is_faulty(what: str, tests: QualityTests, there: Levels, expected: bool) -> None:
    """While a neighbour rises, a gauge that moves less than its water must is no normal one, though it moves."""
    values = [round(v, 2) for v in SLUGGISH]
    _, conditions = told({"here": values, "there": there}, replace(CHANNEL, tests=tests))
    assert (Condition.FAULTY in conditions[45:]) is expected, what


def test_a_silted_intake_stays_faulty_through_the_crest() -> None:
    """It creeps after a flood that its neighbour sees: from the neighbour's rise on it is no normal gauge, also while
    the crest stands and the water falls, until nothing around is high any more."""
    flood = [*calm(12), *(0.8 + 0.08 * i for i in range(24)), *[2.72] * 30, *(2.72 - 0.05 * i for i in range(40))]
    there = [round(x, 2) for x in [*flood, *calm(12)]]
    inside, here = 0.8, []
    for level in there:
        inside += (level - inside) / 120
        here.append(round(inside, 2))
    _, conditions = told({"here": here, "there": there})
    assert set(conditions[:12]) == {Condition.FRESH}
    assert set(conditions[24:90]) == {Condition.FAULTY}
    assert conditions[-1] is Condition.FRESH


RELATED: dict[str, Pairs] = {"there": ((0.5, 0.3), (1.0, 0.7), (2.0, 1.6), (3.0, 2.4))}


@pytest.mark.parametrize(
    ("what", "here", "expected"),
    [
        ("a silted intake that creeps after a slow flood", [0.5 + 0.01 * i for i in range(60)], True),
        ("one that follows as the floods on record did", [0.5 + 0.025 * i for i in range(60)], False),
        ("one that is silent says nothing wrong", [*calm(6, 0.5), *[None] * 54], False),
    ],
)
def test_a_gauge_below_what_its_related_stations_say_is_faulty(what: str, here: Levels, expected: bool) -> None:
    """In a flood that rises by 15 cm an hour no rate tells a silted intake; that it stands lower than it ever stood
    beside such a level of another station does. In low water nothing is said."""
    there = [round(0.6 + 0.025 * i, 2) for i in range(60)]
    values = [x if x is None else round(x, 2) for x in here]
    _, conditions = told({"here": values, "there": there}, related=RELATED)
    assert Condition.FAULTY not in conditions[:12], what
    assert (Condition.FAULTY in conditions[12:]) is expected, what
    assert (conditions[-1] is Condition.FAULTY) is expected, what


def test_a_related_station_tells_by_its_last_hour() -> None:
    """A crest that has just come to the other station is still on its way; a zero in doubt there tells nothing."""
    wave = [*calm(12, 0.6), *[2.5] * 3]
    _, conditions = told({"here": calm(15, 0.8), "there": wave}, related=RELATED)
    assert Condition.FAULTY not in conditions
    jumped = [*calm(12, 0.6), *SILENT, *calm(24, 2.5)]
    series = {"here": calm(len(jumped), 0.8), "there": jumped, "third": calm(len(jumped), 0.5)}
    _, conditions = told(series, related=RELATED)
    assert Condition.FAULTY not in conditions


@pytest.mark.parametrize(
    ("stood", "least"),
    [(0.2, None), (0.8, None), (1.0, 0.7), (1.5, 1.15), (3.0, 2.4), (9.0, 2.4)],
)
def test_the_least_level_by_a_related_station(stood: float, least: float | None) -> None:
    """Between two pairs in proportion; nothing in low water; above the highest flood on record what that one had."""
    hour = tuple((i * 10 * MINUTE, stood + 0.1 * (i % 2)) for i in range(8))
    assert sluggish.least_by(RELATED["there"], hour) == (None if least is None else pytest.approx(least))
    assert sluggish.least_by(RELATED["there"], hour[-3:]) is None  # not an hour
    assert sluggish.least_by((), hour) is None


def test_a_gauge_that_follows_later_is_not_faulty_for_long() -> None:
    """Downstream of its only neighbour a flood comes hours later; when it comes, the gauge is a normal one."""
    wave = [0.8 + 0.1 * i for i in range(20)]
    there = [*calm(12), *wave, *[2.8] * 40]
    here = [*calm(26), *wave, *[2.8] * 26]
    said, conditions = told({"here": here, "there": there})
    assert conditions[32:] == [Condition.FRESH] * 40
    assert "rise 1->2" in said or "rise 0->2" in said
