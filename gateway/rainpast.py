"""What backlog shows of rain: a step of the city's rules that was reached while its data were missing. Pure.

Live readings tell a step when its sum reaches it. Backlog older than that is looked through when no more of it seems to
come (`hindsight` does the same for levels): each step that was reached within the day that is kept of a gauge, and of
which nobody knows, is told once with the time when it was reached first. A repeat makes no curve another, and says
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.hindsight import LONGEST_MS, QUIET_MS
from gateway.rain import MM, Curve, Sum
from gateway.raingauge import RainStep

Exceeded = tuple[RainStep, int, Sum]  # the step, seconds since 1970, how much it was


def note(curve: Curve, now_ms: int, old: bool) -> None:
    """Backlog came, which filled the curve or, `old`, goes on from its end with what nobody is told live; it is to be
    looked through when it has ended."""
    if curve.refined or old:
        since = curve.noted_s[0] if curve.noted_s else now_ms // 1000
        curve.noted_s = (since, now_ms // 1000)


def due(noted_s: tuple[int, ...], now_ms: int) -> bool:
    """Whether backlog waits to be looked through, and nothing more of it has come for a while. A clock that was put
    back keeps nothing waiting."""
    if not noted_s:
        return False
    since_ms, last_ms = (1000 * x for x in noted_s)
    return not (0 <= now_ms - last_ms < QUIET_MS and 0 <= now_ms - since_ms < LONGEST_MS)


def exceeded(curve: Curve, steps: Sequence[RainStep], before_ms: int) -> list[Exceeded]:
    """The steps that were reached before that time, and that nobody knows of. Notes them."""
    curve.noted_s = ()
    known, found = {key for key, _ in curve.known}, list[Exceeded]()
    for step in steps:
        if step.key not in known and (first := _first(curve, step)) is not None:
            at_s, amount = first
            if at_s * 1000 < before_ms and step.in_force(at_s * 1000):
                whole = not curve.holes and curve.doubt_s < at_s
                found.append((step, at_s, Sum(round(amount / MM, 3), whole)))
    curve.know([(step.key, at_s) for step, at_s, _ in found])
    return found


def _first(curve: Curve, step: RainStep) -> tuple[int, int] | None:
    """When its sum first reached the step, and how much it was then."""
    return next(((at_s, amount) for at_s, amount in curve.course(step.of) if amount >= step.value * MM), None)
