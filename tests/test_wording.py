"""What people read: place, value, unit, time, trend and meaning, in Japanese and English."""

from __future__ import annotations

import re
from itertools import product

import pytest

from gateway import config
from gateway.bridge import wording
from gateway.channelstate import ChannelState
from gateway.model import Change, Transition
from tests.places import ALL_FIVE, LEVELS, MINUTE, T0, graded

STATION = graded(*ALL_FIVE)
RISING = ChannelState(recent=tuple((T0 - (2 - i) * 10 * MINUTE, 3.9 + i / 10) for i in range(3)))
DIED = ChannelState(usable_ms=T0 - 20 * MINUTE, value=4.2, held=True, lost=True)


def transition(
    change: Change, from_rank: int, to_rank: int, value: float | None = 4.1, confirmed: bool = True, at_ms: int = T0
) -> Transition:
    return Transition(
        "kagawa", "kamogawa", "water_level", "kamogawa.e", change, from_rank, to_rank, at_ms, value, confirmed
    )


def japanese(t: Transition, state: ChannelState = RISING, unit: str = "m") -> str:
    return "\n".join(wording.japanese(t, STATION, state, unit, LEVELS))


def english(t: Transition, state: ChannelState = RISING, unit: str = "m") -> str:
    return "\n".join(wording.english(t, STATION, state, unit, LEVELS))


@pytest.mark.parametrize(
    ("what", "t", "state", "text"),
    [
        (
            "a rise",
            transition(Change.RISE, 2, 4),
            RISING,
            """【水位情報】鴨川新橋 氾濫危険水位を超過
鴨川新橋：氾濫危険水位を超過
水位 4.10 m ↑ +0.60 m/h
観測時刻 11月25日(火) 01:00
観測値（速報値）による参考情報です。避難情報の発令ではありません。""",
        ),
        (
            "an unconfirmed rise says so first, in subject and text",
            transition(Change.RISE, 0, 5, 5.25, confirmed=False),
            ChannelState(),
            """【水位情報】未確認 鴨川新橋 氾濫開始相当水位を超過
【未確認】鴨川新橋：氾濫開始相当水位を超過
水位 5.25 m
観測時刻 11月25日(火) 01:00
観測値（速報値）による参考情報です。避難情報の発令ではありません。""",
        ),
        (
            "a refuted rise",
            transition(Change.FALL, 5, 0, 0.8, confirmed=False),
            ChannelState(),
            """【水位情報】未確認 鴨川新橋 氾濫開始相当水位超過は次の観測値では確認できませんでした（監視継続）
【未確認】鴨川新橋：氾濫開始相当水位超過は次の観測値では確認できませんでした（監視継続）
水位 0.80 m
観測時刻 11月25日(火) 01:00
観測値（速報値）による参考情報です。避難情報の発令ではありません。""",
        ),
        (
            "a fall names what was left and what still stands",
            transition(Change.FALL, 4, 2, 3.0),
            ChannelState(),
            """【水位情報】鴨川新橋 氾濫危険水位を下回りました（監視継続）。氾濫注意水位は超過中
鴨川新橋：氾濫危険水位を下回りました（監視継続）。氾濫注意水位は超過中
水位 3.00 m
観測時刻 11月25日(火) 01:00
観測値（速報値）による参考情報です。避難情報の発令ではありません。""",
        ),
        (
            "held: the last value with its own time, not that of the fault",
            transition(Change.HELD, 4, 4, 4.2),
            DIED,
            """【水位情報】鴨川新橋 氾濫危険水位超過のまま観測不能（11月25日(火) 00:40以後不明）
鴨川新橋：氾濫危険水位超過のまま観測不能（11月25日(火) 00:40以後不明）
最終観測値 4.20 m
観測時刻 11月25日(火) 00:40
観測値（速報値）による参考情報です。避難情報の発令ではありません。""",
        ),
        (
            "silent since ever",
            transition(Change.SILENT, 0, 0, None),
            ChannelState(),
            """【水位情報】鴨川新橋 未着（データが届いていません）
鴨川新橋：未着（データが届いていません）
最終観測値 水位不明
観測時刻 不明
観測値（速報値）による参考情報です。避難情報の発令ではありません。""",
        ),
    ],
)
def test_japanese(what: str, t: Transition, state: ChannelState, text: str) -> None:
    """Place, what happened, value with unit and trend, time in Japan, and what the text is not."""
    assert japanese(t, state) == text, what


@pytest.mark.parametrize(
    ("what", "t", "state", "text"),
    [
        (
            "a rise",
            transition(Change.RISE, 2, 4),
            RISING,
            """[Water level] Kamogawa: flood danger level exceeded
Kamogawa: flood danger level exceeded
Level 4.10 m ↑ +0.60 m/h
Measured 25 Nov 01:00 JST
Provisional observation, for reference. This is not an evacuation order.""",
        ),
        (
            "an unconfirmed rise",
            transition(Change.RISE, 0, 4, confirmed=False),
            ChannelState(),
            """[Water level] UNCONFIRMED Kamogawa: flood danger level exceeded
UNCONFIRMED. Kamogawa: flood danger level exceeded
Level 4.10 m
Measured 25 Nov 01:00 JST
Provisional observation, for reference. This is not an evacuation order.""",
        ),
        (
            "a fall",
            transition(Change.FALL, 2, 0, 1.2),
            ChannelState(),
            """[Water level] Kamogawa: below flood caution level, still watched
Kamogawa: below flood caution level, still watched
Level 1.20 m
Measured 25 Nov 01:00 JST
Provisional observation, for reference. This is not an evacuation order.""",
        ),
        (
            "held",
            transition(Change.HELD, 4, 4, 4.2),
            DIED,
            """[Water level] Kamogawa: lost while above flood danger level; unknown since 25 Nov 00:40 JST
Kamogawa: lost while above flood danger level; unknown since 25 Nov 00:40 JST
Last value 4.20 m
Measured 25 Nov 00:40 JST
Provisional observation, for reference. This is not an evacuation order.""",
        ),
        (
            "a faulty gauge that never worked",
            transition(Change.FAULTY, 0, 0, None),
            ChannelState(usable_ms=T0 - MINUTE),
            """[Water level] Kamogawa: faulty, the gauge gives no value
Kamogawa: faulty, the gauge gives no value
Last value level unknown
Measured at an unknown time
Provisional observation, for reference. This is not an evacuation order.""",
        ),
    ],
)
def test_english(what: str, t: Transition, state: ChannelState, text: str) -> None:
    """The same in English."""
    assert english(t, state) == text, what


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
            subject, text = wording.japanese(t, STATION, state, "m", levels)
            assert text.endswith(wording.DISCLAIMER_JA)
            assert text.startswith("【未確認】") is not t.confirmed
            assert ("未確認" in subject) is not t.confirmed
            assert not re.search("安全|解除|None|null|nan", subject + text)
            assert "鴨川新橋" in subject
            assert "鴨川新橋" in text.splitlines()[0]
            subject, text = wording.english(t, STATION, state, "m", levels)
            assert text.endswith(wording.DISCLAIMER_EN)
            assert text.startswith("UNCONFIRMED") is not t.confirmed
            assert ("UNCONFIRMED" in subject) is not t.confirmed
            assert not re.search(r"safe|all.clear|None|null|nan\b", subject + text)
            assert "Kamogawa" in subject
            assert "\n" not in subject


def test_no_bulletin_names() -> None:
    """Names of warnings are the Meteorological Agency's: ours is 水位情報, and no text orders anything."""
    for t in EVERY:
        text = japanese(t)
        assert text.startswith("【水位情報】")
        assert not re.search("警報|注意報|警戒レベル|氾濫発生|避難してください|避難指示", text)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(1.234, "m", "1.23 m"), (-0.42, "m", "-0.42 m"), (12.0, "m", "12.00 m"), (12.5, "mm", "12.5 mm")],
)
def test_values(value: float, unit: str, text: str) -> None:
    """Metres have two decimals for people, other units as many as they need."""
    assert f"Level {text}" in english(transition(Change.RISE, 0, 3, value), ChannelState(), unit)


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
    _, ja = wording.japanese(late, STATION, RISING, "m", LEVELS, 12 * MINUTE)
    _, en = wording.english(late, STATION, RISING, "m", LEVELS, 12 * MINUTE)
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
    assert "観測を再開しました\n" in japanese(transition(Change.RESTORED, 0, 0))
