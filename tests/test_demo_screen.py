"""The demo's list of what people were told: a line of each that says what happened, in both languages."""

from __future__ import annotations

import pytest

from gateway.demo.plan import Plan
from gateway.demo.screen import Event, line

PLAN = Plan("", (), 0, 60.0, None, (), "")


@pytest.mark.parametrize(
    ("ja", "en", "expected"),
    [
        (
            "【水位情報】春日橋 氾濫危険水位を超過［警戒レベル4相当］／3.06 m ↑ 01:00観測",
            "[Water level] Kasuga Bridge: flood danger level exceeded (equivalent to alert level 4); 3.06 m ↑ at 01:00",
            "春日橋 氾濫危険水位を超過   Kasuga Bridge: flood danger level exceeded",
        ),
        (
            "【水位情報】新川橋 市の目安（氾濫危険水位）に到達［5段階の4］／1.83 m ↑ 01:00観測",
            "[Water level] Shinkawa Bridge: the city's mark (flood danger level) is reached (4 of 5); 1.83 m",
            "新川橋 市の目安（氾濫危険水位）に到達   Shinkawa Bridge: the city's mark (flood danger level) is reached",
        ),
        (
            "【水位情報】春日橋 氾濫危険水位を下回りました（監視継続）。氾濫注意水位は超過中／2.30 m ↓ 01:00観測",
            "[Water level] Kasuga Bridge: below flood danger level, still watched; now above caution level; 2.30 m",
            "春日橋 氾濫危険水位を下回りました（監視継続）   Kasuga Bridge: below flood danger level, still watched",
        ),
    ],
)
def test_a_line_says_place_and_what_happened(ja: str, en: str, expected: str) -> None:
    """Which level is said in both languages, also of a mark of the city's own."""
    assert line(Event(1, 0, ja, en), PLAN).split("  ", 1)[1].strip() == expected
