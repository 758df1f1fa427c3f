"""What people read: place, value, unit, time, trend and meaning, in Japanese and English."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest

from gateway import config
from gateway.bridge import wording, wording_ja
from gateway.bridge.media.spoken import PART, short
from gateway.channelstate import ChannelState
from gateway.model import Change, Transition
from gateway.stations import Station
from tests.places import ALL_FIVE, LEVELS, MINUTE, T0, graded
from tests.wording.situations import FILES, FOLDER, STATIONS, Situation

STATION = graded(*ALL_FIVE)
RISING = ChannelState(recent=tuple((T0 - (2 - i) * 10 * MINUTE, 3.9 + i / 10) for i in range(3)))
DIED = ChannelState(usable_ms=T0 - 20 * MINUTE, value=4.2, held=True, lost=True)
CITY = graded(*(replace(x, basis="市の目安", authority="市独自") for x in ALL_FIVE))


def transition(
    change: Change, from_rank: int, to_rank: int, value: float | None = 4.1, confirmed: bool = True, at_ms: int = T0
) -> Transition:
    return Transition(
        "kagawa", "kamogawa", "water_level", "kamogawa.e", change, from_rank, to_rank, at_ms, value, confirmed
    )


def japanese(t: Transition, state: ChannelState = RISING, station: Station = STATION) -> str:
    return "\n".join(wording.japanese(t, station, state, LEVELS))


def english(t: Transition, state: ChannelState = RISING, station: Station = STATION) -> str:
    return "\n".join(wording.english(t, station, state, LEVELS))


@pytest.mark.parametrize("name", list(FILES))
def test_every_text_is_the_one_that_was_read(name: str) -> None:
    """What is said in each situation stands in a file that a person has read: `python -m tests.wording` writes it."""
    assert (FOLDER / name).read_text(encoding="utf-8") == FILES[name]()


@pytest.mark.parametrize("x", STATIONS, ids=[x.what for x in STATIONS])
def test_what_one_must_know_stands_first(x: Situation) -> None:
    """Subject and first three lines name place, rank or level, value and time, and what is in doubt or a drill."""
    subject, text = wording.said(x.facts, "ja")
    first = "\n".join(text.split("\n")[:3])
    assert x.station.name_ja in subject
    assert x.station.name_ja in first
    level = x.t.change in (Change.RISE, Change.FALL, Change.PAST) and x.t.level != "closure" and not x.t.of_step
    if x.t.value is not None and level:
        assert f"{x.t.value:.2f} m" in subject
        assert f"{x.t.value:.2f} m" in first
    if x.t.of_step:
        assert "32 mm" in subject
        assert "32 mm" in first
    elif x.t.change in (Change.RISE, Change.HELD, Change.PAST):
        rank = "待機" if x.t.to_rank == 1 else str(x.t.to_rank)
        assert re.search(rf"［(5段階の|警戒レベル)?{rank}(相当)?］", subject)
        assert "11月25日" in first
    assert text.startswith("【訓練】" if x.t.drill else "" if x.t.confirmed else "【未確認】")
    assert len(short({"subject": {"ja": subject}, "text": {"ja": text}})) <= 3 * PART


@pytest.mark.parametrize("x", STATIONS, ids=[x.what for x in STATIONS])
def test_an_alert_level_is_an_official_river_gauges_alone(x: Situation) -> None:
    """『警戒レベルN相当』 stands only where the basis is 基準水位観測所 and nothing is in doubt."""
    subject, text = wording.said(x.facts, "ja")
    if "相当］" in subject + text:
        assert x.station.hazard == "river"
        assert x.facts.threshold is not None
        assert x.facts.threshold.basis == "基準水位観測所"
        assert x.t.confirmed
        assert not x.t.drill


def test_a_citys_own_mark_is_called_so() -> None:
    """Neither an exceeded official level nor an alert level."""
    said = japanese(transition(Change.RISE, 2, 4), station=CITY)
    assert "市の目安（氾濫危険水位）に到達" in said
    assert "警戒レベル" not in said
    assert "超過" not in said


def test_what_comes_next_is_for_staff_alone() -> None:
    """A time to the next level, marked as an aid, is in no text that is published."""
    (x,) = (x for x in STATIONS if x.what == "danger, rising")
    assert "まで約1時間15分（目安・庁内限り）" in wording.said(x.facts, "ja")[1]
    assert "目安・庁内限り" not in wording.said(replace(x.facts, now_ms=None), "ja")[1]
    assert "庁内" not in japanese(x.t, x.state, x.station)


EVERY = [
    transition(change, from_rank, to_rank, value, confirmed)
    for change, from_rank, to_rank, value, confirmed in product(
        Change, range(6), range(6), (None, -0.004, 12.345), (True, False)
    )
]


@pytest.mark.parametrize("table", ["jp-2026", "generic"])
def test_what_holds_for_every_text(table: str) -> None:
    """Whatever happened: the disclaimer stands last, doubt stands first, no all-clear is given, no code or null is
    shown, and the station is named in subject and text."""
    levels = config.load_levels(table)
    for t in EVERY:
        for state in (ChannelState(), RISING, DIED):
            subject, text = wording.japanese(t, STATION, state, levels)
            assert text.endswith(wording.DISCLAIMER_JA)
            assert text.startswith("【未確認】") is (not t.confirmed and t.change is not Change.REJECTED)
            assert ("未確認" in subject) is (not t.confirmed and t.change is not Change.REJECTED)
            assert not re.search("安全|解除|None|null|nan", subject + text)
            assert "鴨川新橋" in subject
            assert "鴨川新橋" in text.splitlines()[0]
            subject, text = wording.english(t, STATION, state, levels)
            assert text.endswith(wording.DISCLAIMER_EN)
            assert text.startswith("UNCONFIRMED") is (not t.confirmed and t.change is not Change.REJECTED)
            assert ("UNCONFIRMED" in subject) is (not t.confirmed and t.change is not Change.REJECTED)
            assert not re.search(r"safe|all.clear|None|null|nan\b", subject + text)
            assert "Kamogawa" in subject
            assert "\n" not in subject


def test_no_bulletin_names() -> None:
    """Names of warnings are the Meteorological Agency's: ours is 水位情報, and no text orders anything."""
    for t in EVERY:
        text = japanese(t)
        assert text.startswith("【水位情報】")
        assert not re.search("警報|注意報|氾濫発生|避難してください|避難指示", text)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(1.234, "m", "1.23 m"), (-0.42, "m", "-0.42 m"), (12.0, "m", "12.00 m"), (12.5, "mm", "12.5 mm"), (None, "m", "")],
)
def test_values(value: float | None, unit: str, text: str) -> None:
    """Metres have two decimals for people, other units as many as they need."""
    assert wording_ja.amount(value, unit) == text


@pytest.mark.parametrize(
    ("at_ms", "ja", "en"),
    [
        (T0, "11月25日(火) 01:00", "25 Nov 01:00 JST"),
        (1_767_193_199_999, "12月31日(水) 23:59", "31 Dec 23:59 JST"),
        (1_767_193_200_000, "1月1日(木) 00:00", "01 Jan 00:00 JST"),
    ],
)
def test_times(at_ms: int, ja: str, en: str) -> None:
    """People read Japanese time with its day of the week."""
    assert (wording.time_ja(at_ms), wording.time_en(at_ms)) == (ja, en)


@pytest.mark.parametrize(
    ("per_hour", "sign"),
    [(None, ""), (0.5, "↑"), (0.021, "↑"), (0.02, "→"), (0.0, "→"), (-0.02, "→"), (-0.021, "↓")],
)
def test_arrows(per_hour: float | None, sign: str) -> None:
    """Two centimetres an hour are no trend; an unknown trend has no arrow."""
    assert wording.arrow(per_hour) == sign


def test_a_steady_level_has_no_negative_zero() -> None:
    """A value that rounds to nought is 0.00, without a sign."""
    assert "-0.00" not in english(transition(Change.RISE, 0, 3, -0.004))
    flat = ChannelState(recent=tuple((T0 + i * MINUTE, 1.0 - i / 1e6) for i in range(3)))
    assert "-0.00" not in english(transition(Change.RISE, 0, 3), flat)


def test_an_alarm_by_late_data_says_its_age_first() -> None:
    """Backlog that crosses rank 3 or more within half an hour alarms with its age in the first line."""
    late = transition(Change.RISE, 0, 4)
    _, ja = wording.japanese(late, STATION, RISING, LEVELS, 12 * MINUTE)
    _, en = wording.english(late, STATION, RISING, LEVELS, 12 * MINUTE)
    assert ja.splitlines()[0].startswith("【12分前の観測】")
    assert en.splitlines()[0].startswith("Measured 12 min ago. ")


def test_a_held_rank_whose_last_value_was_below_it_says_so() -> None:
    """A rank falls late by rule; a gauge lost in that time must not be said to have been above the level."""
    lost = transition(Change.HELD, 4, 4, value=0.49)
    assert "監視継続中に観測不能（最終観測値は同水位未満" in japanese(lost, DIED)
    assert "still watched" in english(lost, DIED)
    assert "above" not in english(lost, DIED)


def test_a_gauge_that_is_back_says_which_rank_still_stands() -> None:
    """Data again does not mean that the danger is over."""
    assert "観測を再開しました（氾濫危険水位の監視継続中）" in japanese(transition(Change.RESTORED, 4, 4))
    assert "鴨川新橋：観測を再開しました\n" in japanese(transition(Change.RESTORED, 0, 0))
