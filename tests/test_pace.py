"""How much backlog is under way at once: windows, sizes of packs, rates. In virtual time, over computed links."""

from __future__ import annotations

from collections import deque

import pytest

from gateway.edge.pace import (
    AGAIN_S,
    BASE_S,
    FIRST_BYTES,
    LEAST_BYTES,
    PACK_BYTES,
    PACK_S,
    STRIKES,
    PackSize,
    Rate,
    Window,
)


class Link:
    """Carries bytes one after another at a rate, and acknowledges each message half a round trip later."""

    def __init__(self, window: Window, rate: float, round_trip_s: float) -> None:
        self.window, self.rate, self.round_trip_s = window, rate, round_trip_s
        self.now = self.free_at = 0.0
        self.under_way: deque[tuple[float, float, int]] = deque()  # acknowledged at, sent at, size
        self.carried = 0
        self.longest_pack_s = self.longest_queue_s = 0.0

    def send(self) -> None:
        size = self.window.pack_bytes
        self.free_at = max(self.free_at, self.now) + size / self.rate
        self.under_way.append((self.free_at + self.round_trip_s, self.now, size))
        self.longest_pack_s = max(self.longest_pack_s, size / self.rate)
        self.longest_queue_s = max(self.longest_queue_s, self.free_at - self.now)

    def run(self, seconds: float) -> None:
        """Always as much as the window lets go."""
        end = self.now + seconds
        while self.now < end:
            total = sum(size for *_, size in self.under_way)
            while not total or total + self.window.pack_bytes <= self.window.bytes:
                self.send()
                total = sum(size for *_, size in self.under_way)
            self.now, sent, size = self.under_way.popleft()
            self.carried += size
            self.window.taken(size, self.now - sent, total, self.now)

    def measure(self, seconds: float) -> float:
        """The share of the link that was used; queue and packs are measured anew."""
        self.carried, self.longest_pack_s, self.longest_queue_s = 0, 0.0, 0.0
        began = self.now
        self.run(seconds)
        return self.carried / (self.now - began) / self.rate


@pytest.mark.parametrize("round_trip_s", [0.02, 0.1, 0.6, 2.0])
@pytest.mark.parametrize("rate", [5_000, 50_000, 400_000])
def test_the_window_becomes_what_the_link_holds(rate: int, round_trip_s: float) -> None:
    """From a village's modem to a good line, near or over a satellite: nine tenths of the link are used, and a live
    sample finds about a quarter of a second of packs before it, more only where the round trip itself is longer."""
    link = Link(Window(), rate, round_trip_s)
    link.run(20 + 40 * round_trip_s)
    assert link.measure(60) > 0.9
    assert link.longest_pack_s <= PACK_S * 1.5
    assert link.longest_queue_s <= 0.6 + round_trip_s / 2


def test_the_first_packs_are_small() -> None:
    """Nothing is known of the link yet: on the slowest a live sample must not wait for long."""
    link = Link(Window(), 2_000, 0.5)
    link.run(5)
    assert link.longest_pack_s <= PACK_S * 1.1
    assert link.longest_queue_s <= 1.5


def test_now_and_then_a_small_pack_goes_alone() -> None:
    """Else packs that queue behind one another would be taken for the bare link, and the queue grow without end."""
    link = Link(Window(), 20_000, 0.1)
    link.run(4 * BASE_S)
    assert link.measure(BASE_S) > 0.9
    assert link.longest_queue_s <= 0.7
    assert min(link.window._bases) < 0.2


def test_a_link_that_becomes_slow_is_not_flooded() -> None:
    """The window follows within some round trips."""
    link = Link(Window(), 400_000, 0.1)
    link.run(20)
    link.rate = 8_000
    link.run(60)
    link.measure(60)
    assert link.longest_queue_s <= 0.6
    assert link.window.bytes >= LEAST_BYTES


def test_a_window_that_was_not_full_does_not_grow() -> None:
    """A trickle says nothing about how much the link holds."""
    window = Window()
    for n in range(100):
        window.taken(100, 0.1, 100, n)
    assert window.bytes == FIRST_BYTES
    for n in range(100):
        window.taken(1000, 0.1, window.bytes, n)
    assert window.bytes > 20 * FIRST_BYTES


# --- the size of a pack ----------------------------------------------------------------------------------------------


def send(size: PackSize, largest: int, now: float) -> None:
    """One pack as large as may be, over a broker that lets nothing larger through."""
    if size.limit > largest:
        size.strike(size.limit, now)
    else:
        size.arrived(size.limit, now)


@pytest.mark.parametrize("largest", [1, 300, 5_000, 20_000, 60_000])
def test_it_finds_what_a_broker_takes(largest: int) -> None:
    """Halved at every third sign, it comes below; it does not try the refused size again and again."""
    size, now = PackSize(), 0.0
    for _ in range(200):
        now += 1.0
        send(size, largest, now)
    assert largest / 4 <= size.limit <= largest
    before = size.limit
    for _ in range(200):
        now += 1.0
        send(size, largest, now)
    assert size.limit == before


def test_it_recovers() -> None:
    """When the broker takes all again: after ten minutes it is tried, and all is as before."""
    size = PackSize()
    for n in range(STRIKES * 4):
        size.strike(PACK_BYTES, n)
    size.arrived(size.limit, AGAIN_S * 20)
    for n in range(20):
        size.arrived(size.limit, AGAIN_S * 20 + n)
    assert size.limit == PACK_BYTES


def test_refused_again_it_waits_longer() -> None:
    """A broker that never takes more costs a few connections a day, not a few an hour."""
    size, now, tries = PackSize(), 0.0, 0
    while now < 7 * 86_400:
        now += 60.0
        tries += size.limit > 10_000
        send(size, 10_000, now)
    assert tries <= STRIKES * 20


def test_one_sign_is_none() -> None:
    """A pack as large that arrives between takes the suspicion away; a smaller one does not."""
    size = PackSize()
    for n in range(20):
        size.strike(30_000, n)
        size.strike(30_000, n)
        size.arrived(30_000, n)
    assert size.limit == PACK_BYTES
    size.strike(30_000, 99)
    size.strike(30_000, 99)
    size.arrived(900, 99)
    assert size.strike(30_000, 99)
    assert size.limit == 15_000


# --- rate ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_s", [0.5, 3, 40, 1000])
def test_a_rate_is_kept(per_s: float) -> None:
    """Over a while as many samples go as it says, never more than a second's worth at once."""
    rate, total = Rate(per_s), 0
    for tick in range(2000):
        n = rate.room(100, tick / 10)
        assert n <= max(1, per_s)
        if n:
            rate.sent(n, tick / 10)
        total += n
    assert total == pytest.approx(200 * per_s, rel=0.05, abs=max(1, per_s))


def test_without_a_rate_all_may_go() -> None:
    """The window alone bounds it then."""
    rate = Rate(None)
    rate.sent(1000, 0.0)
    assert rate.room(100, 0.0) == 100
