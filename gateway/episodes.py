"""Episodes: one alert at one station from first rise or silence to its end, the unit of notifying and acknowledging.
Silences with a common cause are one episode with a list of stations. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from gateway.model import Transition

CLOSES_ALONE = 2  # the highest rank whose episode ends without a person


@dataclass(frozen=True, slots=True)
class Course:
    """What people have done about an episode. JSON in the store, so fields need defaults."""

    acknowledged_ms: int | None = None
    acknowledged_by: str = ""
    judgement: Literal["", "confirmed", "rejected"] = ""
    drill: bool = False


@dataclass(frozen=True, slots=True)
class Episode:
    """`kind` cause: a common cause of silence, whose `station` is empty."""

    tenant: str
    station: str
    id: str
    opened_ms: int
    max_rank: int
    closed_ms: int | None = None
    kind: Literal["station", "cause"] = "station"
    course: Course = Course()

    def reached(self, t: Transition) -> Episode:
        """With the highest rank that it has come to; an unconfirmed one does not count."""
        return replace(self, max_rank=max(self.max_rank, t.to_rank if t.confirmed else 0))


def opened_by(t: Transition) -> Episode:
    """The episode that a transition begins."""
    return Episode(t.tenant, t.station, t.episode, t.at_ms, 0)
