"""From the pulses of a line to the rain at the bridge: whatever is read, lost or restarted in between, no tip is on the
curve twice, and none is missing without its being told."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edge.gpiolines import Edge
from gateway.edge.tips import Tips
from gateway.rain import Curve, Reading, State
from gateway.raingauge import Gauge

T0, EVERY_S, TIP = 1_790_000_400, 60, 500  # thousandths of a millimetre
STEPS = st.lists(
    st.one_of(
        st.just(("tip", 1)),
        st.tuples(st.just("lost"), st.integers(1, 20)),  # edges that the kernel threw away
        st.just(("read", 0)),
        st.tuples(st.just("restart"), st.integers(0, 20)),  # and the tips that nobody was there to see
    ),
    max_size=80,
)


@dataclass
class Town:
    """A bucket, the device's counter, and the curve at the bridge."""

    curve: Curve = field(default_factory=lambda: Curve(State(), Gauge("counter"), EVERY_S, 90.0))
    tips: Tips = field(default_factory=lambda: Tips(0.0))
    number: int = 1  # of the next edge
    fell: int = 0  # tips, whether anybody saw them or not
    readings: int = 0

    def tip(self, count: int, seen: bool) -> None:
        self.fell += count
        for _ in range(count):
            if seen:
                self.tips.take(Edge("count", True, self.number, self.number))
            self.number += 1

    def restart(self, meanwhile: int) -> None:
        self.tips, self.number = Tips(0.0), 1
        self.fell += meanwhile

    def read(self) -> bool:
        """As the bridge takes it; whether it was told that tips may be missing."""
        said = self.tips.read()
        began = bool(said["began"])
        self.readings += 1
        at_s, value = T0 + EVERY_S * self.readings, 0 if began else round(said["count"]) * TIP
        self.curve.take(Reading(at_s, value, log="a", seq=self.readings, renewed=began))
        return began

    @property
    def top(self) -> int:
        return self.curve.points[-1][1]


@settings(max_examples=300)
@given(STEPS)
def test_what_fell_is_on_the_curve_or_told(steps: list[tuple[str, int]]) -> None:
    """Between two readings that tell nothing the curve rises by every tip that fell; over one that tells it rises by no
    more than fell, and the curve is in doubt up to there."""
    town = Town()
    assert town.read()
    plain, known = False, (town.fell, town.top)  # what fell and what stood on the curve at the newest plain reading
    for what, count in [*steps, ("lost", 1), ("tip", 1), ("read", 0), ("read", 0)]:
        if what == "tip":
            town.tip(1, seen=True)
        elif what == "lost":  # the next edge shows it
            town.tip(count, seen=False)
            town.tip(1, seen=True)
        elif what == "restart":
            town.restart(count)
        else:
            began = town.read()
            fell, rose = town.fell - known[0], town.top - known[1]
            assert 0 <= rose <= fell * TIP
            if began:
                assert town.curve.doubt_s == T0 + EVERY_S * town.readings
                plain = False
                continue
            if plain:
                assert rose == fell * TIP
            plain, known = True, (town.fell, town.top)
    assert town.curve.doubt_s > T0
