"""Contacts at the lines of a GPIO chip, at the seam to the kernel: what is counted, read, said of a fault."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import busfile, config, doctorlines, linefile, processfile, settings, yamlfile
from gateway.clock import SystemClock
from gateway.edge import gpiolines
from gateway.edge.agent import open_bus
from gateway.edge.buses.gpio import Gpio
from gateway.edge.changes import AT_ONCE, EVERY_S, Changes
from gateway.edge.gpiolines import Edge
from gateway.edge.orders import Orders
from gateway.edge.sampling import Sampling
from gateway.edge.stamping import Stamp, Stamper
from gateway.edge.tips import NUMBERS, Tips
from gateway.errors import FaultCode
from gateway.model import Reading
from gateway.profiles import decode
from simulators.gpiochip import MS, GpioChip

PROFILES = config.load_profiles(Path("/nonexistent"), [])
BUCKET, UNDERPASS = PROFILES["tipping_bucket_05"], PROFILES["underpass_contacts"]
UP = {"bias": "up", "active_low": True}


def bucket(line: str = "17", name: str = "rain", **wired: object) -> settings.Sensor:
    lines = (settings.Line("count", line, **wired),)  # type: ignore[arg-type]
    return settings.Sensor(name, "mure", "pins", BUCKET.id, 60.0, lines=lines)


def underpass(**wired: object) -> settings.Sensor:
    lines = [settings.Line(x, n, **wired) for x, n in (("caution", "17"), ("closure", "27"), ("broken", "22"))]  # type: ignore[arg-type]
    return settings.Sensor("wet", "underpass", "pins", UNDERPASS.id, 60.0, lines=tuple(lines))


@contextmanager
def on(chip: GpioChip) -> Iterator[Gpio]:
    bus = Gpio(settings.Gpio("/dev/gpiochip0"), chip.opened)
    try:
        yield bus
    finally:
        bus.close()


def rain(bus: Gpio, sensor: settings.Sensor | None = None) -> float | FaultCode:
    raw = bus.read(sensor or bucket(), BUCKET)
    return raw if isinstance(raw, FaultCode) else decode(BUCKET, raw)["rain"]


def soon(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- counting ------------------------------------------------------------------------------------------------------


def test_tips_are_counted_between_readings() -> None:
    """The first reading says that the count begins; from then on it rises by half a millimetre a tip."""
    chip = GpioChip()
    with on(chip) as bus:
        assert rain(bus) is FaultCode.COUNT_LOST
        assert rain(bus) == 0.0
        for _ in range(3):
            chip.tip("17")
        assert rain(bus) == 1.5
        assert rain(bus) == 1.5
        chip.tip("17")
        assert rain(bus) == 2.0


def test_a_line_is_opened_as_it_is_wired() -> None:
    """Pulled up and active low, with the debounce of the profile or of the line."""
    chip = GpioChip()
    for line in chip.lines:
        chip.line(line).high = True
    with on(chip) as bus:
        rain(bus, bucket(**UP))
        chip.tip("17", low=True)
        bus.read(bucket("27", "other", debounce_s=0.05), BUCKET)
        assert bus.read(bucket(**UP), BUCKET)["count"] == 1.0  # type: ignore[index]
    wanted = [("17", "up", True, 0.005), ("27", "", False, 0.05)]
    assert [(x.line, x.bias, x.active_low, x.debounce_s) for x in chip.asked] == wanted


def test_bounce_is_no_tip() -> None:
    """A reed that closes for less than the debounce, and one that closes again a moment later."""
    chip = GpioChip()
    with on(chip) as bus:
        rain(bus)
        chip.play(
            "17", (1000, True), (1, False), (1, True), (0.5, False), (0.5, True), (135, False), (1, True), (2, False)
        )
        assert rain(bus) == 0.5
        chip.play("17", (3000, True), (20, False), (100, True), (20, False))
        raw = bus.read(bucket(), BUCKET)
    assert not isinstance(raw, FaultCode)
    assert (raw["count"], raw["bounced"]) == (2.0, 1.0)


def test_a_line_that_sticks_counts_once() -> None:
    """A magnet that stops before the reed."""
    chip = GpioChip()
    with on(chip) as bus:
        rain(bus)
        chip.play("17", (1000, True))
        chip.line("17").stuck = True
        chip.tip("17")
        assert rain(bus) == 0.5


def test_edges_that_the_kernel_lost_begin_the_count_again() -> None:
    """The number of the next edge tells; what was seen since the reading before counts on."""
    chip = GpioChip()
    with on(chip) as bus:
        rain(bus)
        chip.tip("17")
        assert rain(bus) == 0.5
        chip.queue = 4  # the thread cannot take any meanwhile: they come at one stroke
        chip.play("17", *((1000.0, i % 2 == 0) for i in range(20)))
        raw = bus.read(bucket(), BUCKET)
        assert not isinstance(raw, FaultCode)
        assert decode(BUCKET, raw)["rain"] is FaultCode.COUNT_LOST
        assert raw["lost"] == 6.0
        assert rain(bus) == 2.0
        chip.tip("17")
        assert rain(bus) == 2.5


@pytest.mark.parametrize("fault", ["no chip", "no such line", "busy", "taken away"])
def test_lines_that_cannot_be_had(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the bus, said once with its reason; once they are there the count begins again."""
    chip = GpioChip()
    sensor = bucket("5" if fault == "no such line" else "17")
    with on(chip) as bus:
        if fault == "taken away":
            rain(bus, sensor)
            chip.tip("17")
            soon(lambda: not chip._open[0]._queue)
            chip.take_away()
        chip.gone, chip.busy = fault in ("no chip", "taken away"), {"17"} if fault == "busy" else set()
        assert rain(bus, sensor) is FaultCode.BUS_ERROR
        assert rain(bus, sensor) is FaultCode.BUS_ERROR
        assert len([r for r in caplog.records if "sensor rain" in r.getMessage()]) <= 2
        chip.gone, chip.busy, chip.lines = False, set(), ("5", "17")
        assert rain(bus, sensor) is FaultCode.COUNT_LOST
        chip.tip(sensor.lines[0].line)
        assert rain(bus, sensor) == (1.0 if fault == "taken away" else 0.5)


def test_a_busy_line_is_one_sensors_fault() -> None:
    """The sensors beside it are read on."""
    chip = GpioChip(busy={"27"})
    with on(chip) as bus:
        assert rain(bus) is FaultCode.COUNT_LOST
        assert rain(bus, bucket("27", "other")) is FaultCode.BUS_ERROR
        chip.tip("17")
        assert rain(bus) == 0.5


def test_the_queue_is_emptied_without_a_reading() -> None:
    """Edges are taken as they come, so that a long interval cannot fill the kernel's queue."""
    chip = GpioChip(queue=4)
    with on(chip) as bus:
        rain(bus)
        for _ in range(12):
            chip.tip("17")
            soon(lambda: not chip._open[0]._queue)
        assert rain(bus) == 6.0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("edge"), st.integers(0, 3)),  # how many before it were lost
        st.just(("read", 0)),
        st.just(("opened", 0)),
        st.just(("again", 0)),  # the same edge once more
    ),
    max_size=60,
)


@given(STEPS)
def test_no_order_of_events_loses_or_doubles_a_tip(steps: list[tuple[str, int]]) -> None:
    """Between two beginnings the counts that were read add up to every tip that was seen, and each edge that was lost,
    and each opening, is followed by a reading that says so."""
    tips = Tips(0.0)
    number, at_ns, seen, edge = 1, 0, 0, None
    before, sum_, unsaid = 0.0, 0.0, True
    for what, lost in [*steps, ("read", 0)]:
        if what == "edge":
            number, at_ns, seen = number + lost + 1, at_ns + MS, seen + 1
            edge = Edge("count", True, at_ns, number - 1)
            tips.take(edge)
            unsaid = unsaid or lost > 0
        elif what == "opened":
            tips.opened()
            number, edge, unsaid = 1, None, True
        elif what == "again" and edge is not None:
            tips.take(edge)
        elif what == "read":
            said = tips.read()
            assert said["began"] == float(unsaid)
            before, unsaid = (0.0 if unsaid else before), False
            sum_, before = sum_ + said["count"] - before, said["count"]
            assert sum_ == seen


def test_the_kernels_numbers_go_round() -> None:
    """After 2^32 edges comes 0, and nothing was lost."""
    tips = Tips(0.0)
    tips.take(Edge("count", True, 0, NUMBERS - 2))
    tips.read()
    for i, number in enumerate((NUMBERS - 1, 0, 1)):
        tips.take(Edge("count", True, i, number))
    assert tips.read()["began"] == 0.0


# --- contacts ------------------------------------------------------------------------------------------------------


def test_levels_are_read() -> None:
    """Each input is 0 or 1, as it is wired; a broken cable is a fault of both contacts."""
    chip = GpioChip()
    for line in chip.lines:
        chip.line(line).high = True
    with on(chip) as bus:
        raw = bus.read(underpass(**UP), UNDERPASS)
        assert raw == {"caution": 0.0, "closure": 0.0, "broken": 0.0, "dropped": 0.0, "lost": 0.0}
        chip.play("17", (1000, False))
        raw = bus.read(underpass(**UP), UNDERPASS)
        assert decode(UNDERPASS, raw) == {"caution": 1.0, "closure": 0.0}  # type: ignore[arg-type]
        chip.play("22", (1000, False))
        raw = bus.read(underpass(**UP), UNDERPASS)
        assert set(decode(UNDERPASS, raw).values()) == {FaultCode.SENSOR_ERROR}  # type: ignore[arg-type]


def test_a_moment_of_water_is_told() -> None:
    """A contact that closes and opens before anybody reads: both readings are there, in order. Less than the debounce
    is none."""
    chip, rung = GpioChip(), threading.Event()
    with on(chip) as bus:
        bus.on_change(rung.set)
        bus.read(underpass(), UNDERPASS)
        assert bus.changed() == []
        chip.play("17", (1000, True), (20, False))
        chip.play("27", (1000, True), (60, False))
        assert rung.wait(30)
        said = []
        while bus.changed():
            raw = bus.read(underpass(), UNDERPASS)
            said.append((raw["caution"], raw["closure"]))  # type: ignore[index]
    assert said == [(0.0, 1.0), (0.0, 0.0)]


def test_edges_of_a_contact_that_were_lost() -> None:
    """How the lines stand is read at once, and the number of lost edges is in the reading."""
    chip, rung = GpioChip(queue=1), threading.Event()
    with on(chip) as bus:
        bus.on_change(rung.set)
        bus.read(underpass(), UNDERPASS)
        chip.play("17", *((1000.0, i % 2 == 0) for i in range(7)))
        assert rung.wait(30)
        raw = [bus.read(underpass(), UNDERPASS) for _ in bus.changed() or [1]]
        raw += [bus.read(underpass(), UNDERPASS) for _ in bus.changed()]
        assert [(x["caution"], x["lost"]) for x in raw] == [(1.0, 6.0)] * len(raw)  # type: ignore[index]


# After how many seconds, which line, whether it changes: a level that stood before may be said once more.
EDGES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.06, 0.5, 2.0, 7.0]), st.sampled_from("ab"), st.sampled_from([True, True, False])),
    max_size=80,
)


@given(EDGES)
def test_however_a_contact_chatters(edges: list[tuple[float, str, bool]]) -> None:
    """At the end what was told is how the lines stand; not more was told than may be; each change was told or counted
    as dropped."""
    changes, levels, now_s = Changes(), {"a": False, "b": False}, 100.0
    changes.opened(levels)
    numbers, told, met = {"a": 0, "b": 0}, [dict(levels)], 0

    def read() -> None:
        while changes.due(now_s):
            said = changes.read(levels)
            told.append({name: bool(said[name]) for name in levels})

    for after_s, name, moves in edges:
        now_s += after_s
        if after_s == 7.0:
            changes.due(now_s)  # it rings, and nobody has read yet
        elif after_s >= 0.5:
            read()
        numbers[name] += 1
        met += moves
        levels[name] ^= moves
        changes.take(Edge(name, levels[name], 0, numbers[name]), now_s)
        if after_s >= 0.5:
            read()
    assert len(told) - 1 <= AT_ONCE + (now_s - 100.0) / EVERY_S
    read()
    now_s += EVERY_S
    read()
    assert told[-1] == levels
    assert met == len(told) - 1 + changes.dropped


def test_a_change_is_a_reading_at_once(tmp_path: Path) -> None:
    """Between readings an hour apart; it raises the interval as any reading does; and a contact that chatters fills
    nothing."""
    chip = GpioChip()
    raised = settings.Raised(1800.0, (settings.Trigger("caution", 1.0, 0.95),))
    channels = {"caution": "caution", "closure": "closing"}
    sensor = replace(underpass(), interval_s=3600.0, raised=raised, channels=channels)
    taken: list[tuple[list[float | None], bool]] = []

    def take(_: Stamp, readings: Sequence[Reading], is_raised: bool) -> None:
        taken.append(([r.value for r in readings], is_raised))

    orders, stop, clock = Orders(), threading.Event(), SystemClock()
    bus = Gpio(settings.Gpio("gpiochip0"), chip.opened)
    sampling = Sampling(bus, [sensor], PROFILES, clock, Stamper(clock), take, orders=orders)
    thread = threading.Thread(target=sampling.run, args=(stop,))
    begun = time.monotonic()
    thread.start()
    try:
        soon(lambda: len(taken) == 1)
        chip.play("17", (1000, True))
        soon(lambda: len(taken) == 2)
        chip.play("27", (1000, True), (100, False))
        soon(lambda: len(taken) == 4)
        assert taken == [([0, 0], False), ([1, 0], True), ([1, 1], True), ([1, 0], True)]
        chip.chatter("27", 400, every_ms=60)
        soon(lambda: len(taken) >= 5)
        time.sleep(0.5)
        assert len(taken) <= 1 + AT_ONCE + (time.monotonic() - begun) / EVERY_S
    finally:
        stop.set()
        orders.ring()
        thread.join(30)
    assert not thread.is_alive()


# --- configuration -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "rest", "told"),
    [
        ("tipping_bucket_05", ", lines: {count: 17}", []),
        ("tipping_bucket_05", ", lines: {count: {line: GPIO17, bias: up, active: low, debounce: 10ms}}", []),
        (
            "tipping_bucket_05",
            "",
            ["sensors.a: count of tipping_bucket_05 has no line. Add for example 'lines: {count: 17}'"],
        ),
        (
            "tipping_bucket_05",
            ", lines: {cont: 17}",
            [
                "sensors.a.lines: count of tipping_bucket_05 has no line. Add for example 'lines: {count: 17}'",
                "sensors.a.lines.cont: tipping_bucket_05 has no input 'cont'. Did you mean 'count'? (only count)",
            ],
        ),
        (
            "tipping_bucket_05",
            ", lines: {count: {line: 17, bias: upwards, active: lo}}",
            [
                "sensors.a.lines.count.bias: 'upwards' is not known (one of up, down, off)",
                "sensors.a.lines.count.active: 'lo' is not known. Did you mean 'low'? (one of high, low)",
            ],
        ),
        (
            "tipping_bucket_05",
            ", lines: {count: {line: 17, debounce: 1min}}",
            ["sensors.a.lines.count.debounce: 60 s is longer than any contact bounces. Write at most '10s'"],
        ),
        (
            "tipping_bucket_05",
            ", lines: {count: -1}",
            ["sensors.a.lines.count: -1 is no line of a chip. Write its number there, or its name, like GPIO17"],
        ),
        (
            "tipping_bucket_05",
            ', address: "17", lines: {count: 17}',
            ["sensors.a.address: a bus of type gpio knows its sensors by 'lines'. Leave address out"],
        ),
        (
            "tipping_bucket_05",
            ", burst: 3, lines: {count: 17}",
            ["sensors.a.burst: a count or contact is no median of several. Leave burst out"],
        ),
        (
            "underpass_contacts",
            ", lines: {caution: 5}",
            [
                "sensors.a.lines: closure and broken of underpass_contacts have no line. Add for example "
                "'lines: {caution: 17, closure: 18, broken: 19}'"
            ],
        ),
        (
            "bosch_bme280",
            "",
            [
                "sensors.a.profile: bosch_bme280 does not say how lines are read. Add 'asked: {gpio: level}' to it, or "
                "count"
            ],
        ),
    ],
)
def test_edge_yaml(profile: str, rest: str, told: list[str]) -> None:
    """Each input of the profile has a line, wired in a way that there is."""
    line = f"{{station: a, bus: pins, profile: {profile}, interval: 60s, accept_unverified: true{rest}}}"
    text = f"buses:\n  pins: {{type: gpio, chip: /dev/gpiochip0}}\nsensors:\n  a: {line}\n"
    document = yamlfile.parse(text.encode(), "edge.yaml")
    processfile.single(document, PROFILES[profile])
    assert [f"{p.path}: {p.message}" for p in document.problems] == told


def test_a_line_has_one_sensor(tmp_path: Path) -> None:
    """Also where two buses name the same chip, and within one sensor."""
    rows = (
        "  a: {station: a, bus: pins, profile: tipping_bucket_05, interval: 60s, lines: {count: 17}}\n"
        "  b: {station: b, bus: same, profile: tipping_bucket_05, interval: 60s, lines: {count: {line: 17}}}\n"
        "  c: {station: c, bus: pins, profile: underpass_contacts, interval: 60s, accept_unverified: true, "
        "lines: {caution: 5, closure: 5, broken: 6}}\n"
    )
    (tmp_path / "edge.yaml").write_text(
        "version: 1\ntenant: takamatsu\ndevice: d\nbroker: {host: 127.0.0.1}\nbuses:\n"
        "  pins: {type: gpio, chip: pinctrl-rp1}\n  same: {type: gpio, chip: pinctrl-rp1}\nsensors:\n" + rows
    )
    assert [str(p) for p in config.check(tmp_path)] == [
        "edge.yaml:10:88 sensors.b.lines.count: line 17 of pinctrl-rp1 is already count of sensor a. Name another line",
        "edge.yaml:11:128 sensors.c.lines.closure: line 5 of pinctrl-rp1 is already caution of sensor c. "
        "Name another line",
    ]


def test_which_profiles_stand_at_lines() -> None:
    """Those that say how lines are read; one that counts also says what a lost count is."""
    assert "gpio" in busfile.carriers(BUCKET)
    assert "gpio" in busfile.carriers(UNDERPASS)
    assert "gpio" not in busfile.carriers(PROFILES["bosch_bme280"])
    told = linefile.unfit(replace(BUCKET, status=()))
    assert told.endswith("Add 'status: [{input: began, faults: {1: count_lost}}]' to it")


# --- the library ---------------------------------------------------------------------------------------------------


def test_the_library_has_what_we_ask_of_it(tmp_path: Path) -> None:
    """As far as it goes without a chip: a path that is none, a label that nobody bears, settings of a line."""
    gpiod = pytest.importorskip("gpiod", reason="the extra 'gpio' is not installed")
    line = settings.Line("count", "17", "up", True, 0.005)
    with pytest.raises(OSError, match="No such file"):
        gpiolines.opened(str(tmp_path / "gpiochip9"), [line], True)
    with pytest.raises(OSError, match="no GPIO chip is called pinctrl-none"):
        gpiolines.opened("pinctrl-none", [line], True)
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        gpiolines.opened(str(tmp_path / "file"), [line], False)
    assert {x.__name__ for x in (gpiod.Chip, gpiod.LineRequest)} == {"Chip", "LineRequest"}


class _Request:
    """In the place of what the library gives for opened lines; its events and values are the library's own."""

    def __init__(self, events: list[object], values: list[object]) -> None:
        self._events, self._values = events, values

    def wait_edge_events(self, timeout: float) -> bool:
        return bool(self._events)

    def read_edge_events(self) -> list[object]:
        return self._events

    def get_values(self, offsets: list[int]) -> list[object]:
        return self._values[: len(offsets)]

    def release(self) -> None:
        self._events = []


def test_what_the_library_says_of_edges_and_levels() -> None:
    """Its own types, as the inputs of the profile."""
    gpiod = pytest.importorskip("gpiod", reason="the extra 'gpio' is not installed")
    kind = gpiod.EdgeEvent.Type
    events = [
        gpiod.EdgeEvent(kind.RISING_EDGE.value, 1_000, 17, 5, 3),
        gpiod.EdgeEvent(kind.FALLING_EDGE.value, 2_000, 27, 6, 1),
    ]
    values = [gpiod.line.Value.ACTIVE, gpiod.line.Value.INACTIVE]
    lines = gpiolines._Requested(_Request(events, values), {17: "caution", 27: "closure"})
    assert lines.wait(0.0)
    assert lines.edges() == [Edge("caution", True, 1_000, 3), Edge("closure", False, 2_000, 1)]
    assert lines.levels() == {"caution": True, "closure": False}
    lines.close()
    assert not lines.wait(0.0)


def test_a_bus_without_its_chip_says_so(tmp_path: Path) -> None:
    """The bus that the agent opens, with the library, at a chip that is not there."""
    bus = open_bus(settings.Gpio(str(tmp_path / "gpiochip0")))
    assert bus.read(bucket(), BUCKET) is FaultCode.BUS_ERROR
    bus.close()


def test_the_doctor_looks_for_the_chip(tmp_path: Path) -> None:
    """A chip that is not there, by path or by label, with what to do."""
    pytest.importorskip("gpiod", reason="the extra 'gpio' is not installed")
    lines = [settings.Line("count", "17")]
    for called, said in ((str(tmp_path / "gpiochip0"), "No such file"), ("pinctrl-none", "no GPIO chip is called")):
        found = doctorlines.chip("bus pins", called, lines)
        assert (found.state, found.place) == ("fail", called)
        assert said in found.message
        assert "gpiodetect" in found.remedy
