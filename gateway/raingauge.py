"""What a station says of its rain gauges: how each reports, which sums are made of it, and the named steps of a city's
rules (配備基準) that go by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CONTINUOUS = "continuous"
WINDOWS: dict[str, int] = {"10min": 600, "1h": 3600, "3h": 3 * 3600, "24h": 24 * 3600}  # seconds
SUMS = (*WINDOWS, CONTINUOUS)
ENDS_AFTER_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Gauge:
    """How a rain channel reports. `wraps_at` (mm): where its counter begins again at zero; None: it only resets."""

    kind: Literal["counter", "amount"]
    wraps_at: float | None = None
    ends_after_s: float = ENDS_AFTER_S


@dataclass(frozen=True, slots=True)
class RainStep:
    """A named step of rain, apart from the ranks: at `value` mm of the sum `of` (a name in SUMS) of a rain channel.
    Valid from `valid_from_ms` (included) to `valid_to_ms` (excluded)."""

    key: str
    name_ja: str
    name_en: str
    channel: str
    of: str
    value: float
    authority: str
    source: str
    rings: bool = False
    valid_from_ms: int | None = None
    valid_to_ms: int | None = None

    @property
    def derived(self) -> str:
        return derived_name(self.channel, self.of)

    def in_force(self, at_ms: int) -> bool:
        begun = self.valid_from_ms is None or self.valid_from_ms <= at_ms
        return begun and (self.valid_to_ms is None or at_ms < self.valid_to_ms)


def derived_name(channel: str, of: str) -> str:
    return f"{channel}_{of}"
