"""Simulators: a sensor that logs what it served, and time that goes on when it was read."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from gateway.clock import SimClock
from gateway.encodings import registers
from gateway.errors import FaultCode, Unavailable
from gateway.profiles import Faults, Profile, Value, decode
from simulators import pacing, run, scenario
from simulators.recordings import Recording, RecordingError, Row
from simulators.sensor import ReplaySource, RiverSource, Sensor, check_fits

ORIGIN = 1_750_000_020_000  # on the minute
HOUR = 3_600_000

PROFILE = Profile(
    id="hand_made",
    vendor="Suimon",
    model="test",
    source="this test",
    encoding="registers",
    values=(
        Value("read_counter", "count", "count", 1, 0, registers.At(10, "uint32")),
        Value(
            "water_level",
            "water_level",
            "mm",
            0.001,
            0,
            registers.At(12, "int16"),
            span=(-1, 15),
            faults=Faults({-32768: FaultCode.NO_ECHO, 32767: FaultCode.SENSOR_ERROR}),
        ),
        Value("battery_voltage", "battery_voltage", "mV", 0.001, 0, registers.At(15)),  # a hole at 13 and 14
    ),
)


class Constant:
    """A sensor that always measures the same, finer than its registers can say."""

    def measure(self, now_ms: int) -> Mapping[str, float]:
        return {"water_level": 1.23449, "battery_voltage": 12.6, "unknown_to_the_profile": 1.0}

    look = measure


def recording(*values: float, step_s: int = 900) -> Recording:
    rows = tuple(Row(ORIGIN + i * step_s * 1000, v, line=i + 2) for i, v in enumerate(values))
    return Recording(Path("r.csv"), "r", rows)


def log_of(folder: Path, station: str = "a") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{station}.jsonl").read_text().splitlines()]


@pytest.fixture
def clock(tmp_path: Path) -> SimClock:
    clock = SimClock.create(tmp_path / "clock", ORIGIN, None)
    clock.start()
    return clock


@contextmanager
def client(sensor: Sensor) -> Iterator[ModbusTcpClient]:
    modbus = ModbusTcpClient("127.0.0.1", port=sensor.port, timeout=0.3, retries=0)
    assert modbus.connect()
    try:
        yield modbus
    finally:
        modbus.close()


def read(modbus: ModbusTcpClient) -> dict[str, float | FaultCode]:
    """As the agent does: the profile's one block, decoded by the profile."""
    ((first, count),) = PROFILE.blocks()
    answer = modbus.read_holding_registers(first, count=count)
    assert not answer.isError(), answer
    return decode(PROFILE, {first + i: word for i, word in enumerate(answer.registers)})


# --- sensor --------------------------------------------------------------------------------------------------------


def test_every_read_of_the_counter_is_a_read_and_is_on_record(clock: SimClock, tmp_path: Path) -> None:
    """Counter and values of one read belong together, quantised by the profile, and the log says the same."""
    sensor = Sensor("a", PROFILE, Constant())
    with run.running([sensor], clock, tmp_path), client(sensor) as modbus:
        seen = []
        for _ in range(3):
            seen.append(read(modbus))
            clock.advance_to(clock.now_ms() + 1000)
    assert seen == [{"read_counter": i, "water_level": 1.234, "battery_voltage": 12.6} for i in (1, 2, 3)]
    assert log_of(tmp_path) == [
        {
            "station": "a",
            "values": {"water_level": 1.234, "battery_voltage": 12.6},
            "counter": i + 1,
            "served_ms": ORIGIN + i * 1000,
        }
        for i in range(3)
    ]


def test_two_clients_never_see_the_words_of_two_reads_mixed(clock: SimClock, tmp_path: Path) -> None:
    """Many readers at once: each answer is exactly one line of the log."""
    values = [i / 1000 for i in range(400)]
    sensor = Sensor("a", PROFILE, ReplaySource(recording(*values), by_time=False))
    seen: list[tuple[object, object]] = []

    def reader() -> None:
        with client(sensor) as modbus:
            for _ in range(100):
                got = read(modbus)
                seen.append((got["read_counter"], got["water_level"]))

    with run.running([sensor], clock, tmp_path):
        threads = [threading.Thread(target=reader) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(seen) == [(i + 1, v) for i, v in enumerate(values)]
    assert [(r["counter"], r["values"]["water_level"]) for r in log_of(tmp_path)] == sorted(seen)


@pytest.mark.parametrize(
    ("what", "address", "count", "counted", "error"),
    [
        ("all registers", 10, 6, True, False),
        ("the first word of the counter alone", 10, 1, True, False),
        ("the second word of the counter", 11, 1, False, False),
        ("only the level", 12, 1, False, False),
        ("the hole between two values", 13, 2, False, False),
        ("beyond the end", 15, 2, False, True),
        ("before the beginning", 9, 2, False, True),
    ],
)
def test_what_counts_as_a_read(
    what: str, address: int, count: int, counted: bool, error: bool, clock: SimClock, tmp_path: Path
) -> None:
    """A request that covers the counter's first register takes a read; any other gets the last one again."""
    sensor = Sensor("a", PROFILE, Constant())
    with run.running([sensor], clock, tmp_path), client(sensor) as modbus:
        first = modbus.read_holding_registers(10, count=6).registers
        answer = modbus.read_holding_registers(address, count=count)
    assert answer.isError() == error, what
    assert len(log_of(tmp_path)) == 1 + counted
    if not error and not counted:
        assert answer.registers == first[address - 10 : address - 10 + count]


def test_the_sensor_cannot_be_written_and_knows_one_function(clock: SimClock, tmp_path: Path) -> None:
    """Writing, and reading with another function than the profile's, is refused and is not a read."""
    sensor = Sensor("a", PROFILE, Constant())
    with run.running([sensor], clock, tmp_path), client(sensor) as modbus:
        assert modbus.write_register(12, 5).isError()
        assert modbus.write_registers(10, [1, 2, 3]).isError()
        assert modbus.read_input_registers(10, count=6).isError()
        assert modbus.read_coils(10, count=6).isError()
        assert read(modbus)["water_level"] == 1.234
    assert [r["counter"] for r in log_of(tmp_path)] == [1]


@pytest.mark.parametrize("through_file", [False, True])
def test_modes(through_file: bool, clock: SimClock, tmp_path: Path) -> None:
    """Told so, a sensor stays silent, refuses, or serves a fault of its profile; only the last one is a read."""
    sensor = Sensor("a", PROFILE, Constant())

    def tell(mode: FaultCode | None) -> None:
        if through_file:
            (tmp_path / "a.mode").write_text(f"{mode or 'ok'}\n")
        else:
            sensor.mode = mode

    with run.running([sensor], clock, tmp_path), client(sensor) as modbus:
        tell(FaultCode.NO_ANSWER)
        with pytest.raises(ModbusIOException):
            modbus.read_holding_registers(10, count=6)
        tell(FaultCode.REFUSED)
        assert modbus.read_holding_registers(10, count=6).isError()
        tell(FaultCode.NO_ECHO)
        assert read(modbus) == {"read_counter": 1, "water_level": FaultCode.NO_ECHO, "battery_voltage": 12.6}
        assert modbus.read_holding_registers(12, count=1).registers == [0x8000]  # who asks for no counter sees it, too
        tell(FaultCode.REFUSED)
        assert modbus.read_holding_registers(12, count=1).isError()
        tell(None)
        assert modbus.read_holding_registers(12, count=1).registers == [1234]
        assert read(modbus) == {"read_counter": 2, "water_level": 1.234, "battery_voltage": 12.6}
    faulty, good = log_of(tmp_path)
    assert (faulty["values"], faulty["faults"]) == ({"battery_voltage": 12.6}, {"water_level": "no_echo"})
    assert "faults" not in good


def test_a_mode_that_the_sensor_does_not_know_is_told_and_ignored(
    clock: SimClock, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A typing mistake in the file is named once, with what would be right, and the sensor goes on."""
    sensor = Sensor("a", PROFILE, Constant())
    (tmp_path / "a.mode").write_text("no_eco")
    with run.running([sensor], clock, tmp_path), client(sensor) as modbus:
        assert [read(modbus)["read_counter"] for _ in range(2)] == [1, 2]
    expected = "unknown mode 'no_eco' (this sensor knows ok, no_answer, refused, no_echo, sensor_error); ignored"
    assert capfd.readouterr().err.count(expected) == 1


def test_the_counter_goes_on_after_a_restart(clock: SimClock, tmp_path: Path) -> None:
    """A sensor started again on the same log never serves a counter twice."""
    for expected in (1, 2):
        sensor = Sensor("a", PROFILE, Constant())
        with run.running([sensor], clock, tmp_path), client(sensor) as modbus:
            assert read(modbus)["read_counter"] == expected
    (tmp_path / "a.jsonl").write_text('{"station": "a", "val')
    with (
        pytest.raises(Unavailable, match=r"a\.jsonl is not a read"),
        run.running([Sensor("a", PROFILE, Constant())], clock, tmp_path),
    ):
        pass


def test_a_taken_port_is_told(clock: SimClock, tmp_path: Path) -> None:
    """Two sensors on one port: the second is refused by name, and the first is closed again."""
    first = Sensor("a", PROFILE, Constant())
    with run.running([first], clock, tmp_path):
        both = [Sensor("b", PROFILE, Constant()), Sensor("c", PROFILE, Constant(), port=first.port)]
        with pytest.raises(Unavailable, match=f"{first.port} for c"), run.running(both, clock, tmp_path):
            pass
    with run.running([Sensor("c", PROFILE, Constant(), port=first.port)], clock, tmp_path):
        pass


def test_a_profile_without_a_counter_is_refused() -> None:
    """What cannot be counted cannot be accounted for."""
    blind = Profile("blind", "v", "m", "s", "registers", PROFILE.values[1:])
    with pytest.raises(ValueError, match="blind has no registers with a value 'read_counter'"):
        Sensor("a", blind, Constant())


def test_the_river_is_measured_at_the_time_of_the_clock(clock: SimClock, tmp_path: Path) -> None:
    """The level served is the river's at virtual now, to the millimetre of the register."""
    series = scenario.flood(ORIGIN)
    station = scenario.STATIONS[2].id
    sensor = Sensor(station, PROFILE, RiverSource(series, station))
    with run.running([sensor], clock, tmp_path), client(sensor) as modbus:
        for hour in range(8):
            clock.advance_to(ORIGIN + hour * HOUR)
            got = read(modbus)
            assert got["water_level"] == pytest.approx(series.level(station, clock.now_ms()), abs=0.0006)
            assert 12.0 < float(got["battery_voltage"]) < 13.0


# --- replay and pacing ---------------------------------------------------------------------------------------------


def follow(sensor: Sensor, clock: SimClock, interval_ms: int, stop: threading.Event) -> list[tuple[int, float]]:
    """An agent in small: stamps, reads, waits for the next multiple of its interval, until time stops."""
    seen: list[tuple[int, float]] = []
    with client(sensor) as modbus:
        due = clock.now_ms()
        while clock.wait_until(due, stop):
            at = clock.now_ms()
            level = read(modbus)["water_level"]
            assert isinstance(level, float)
            seen.append((at, level))
            due += interval_ms
            if clock.frozen:
                stop.set()
    return seen


def test_a_stepped_replay_serves_each_row_once_at_its_time(clock: SimClock, tmp_path: Path) -> None:
    """Sampled = rows: time goes to the next row only after a read, and stops after the last."""
    rec = recording(*(i / 100 for i in range(200)))
    sensor = Sensor("a", PROFILE, ReplaySource(rec, by_time=True))
    pace = pacing.stepping(clock, [row.at_ms for row in rec.rows])
    with run.running([sensor], clock, tmp_path, pace):
        seen = follow(sensor, clock, 900_000, _when_frozen(clock))
    assert seen == [(row.at_ms, row.value) for row in rec.rows]
    assert [(r["served_ms"], r["values"]["water_level"]) for r in log_of(tmp_path)] == seen
    assert clock.frozen


def test_a_scaled_replay_serves_one_row_for_each_read(tmp_path: Path) -> None:
    """Whatever the clock says, read i gets row i, after the last one time stops and the last row stays."""
    clock = SimClock.create(tmp_path / "clock", ORIGIN, 900_000.0)
    clock.start()
    rec = recording(0.1, 0.2, 0.3, 0.4)
    sensor = Sensor("a", PROFILE, ReplaySource(rec, by_time=False))
    with run.running([sensor], clock, tmp_path, pacing.after_reads(clock, 4)), client(sensor) as modbus:
        seen = [read(modbus)["water_level"] for _ in range(3)]
        assert not clock.frozen
        seen.append(read(modbus)["water_level"])
        _wait(lambda: clock.frozen)
        assert read(modbus)["water_level"] == 0.4
    assert seen == [0.1, 0.2, 0.3, 0.4]


def test_several_stations_go_through_stepped_time_together(clock: SimClock, tmp_path: Path) -> None:
    """No station is left behind: each is read once at every step."""
    times = [ORIGIN + i * 60_000 for i in range(30)]
    sensors = [Sensor(name, PROFILE, Constant()) for name in ("a", "b", "c")]
    seen: dict[str, list[int]] = {}

    def agent(sensor: Sensor) -> None:
        seen[sensor.station] = [at for at, _ in follow(sensor, clock, 60_000, _when_frozen(clock))]

    with run.running(sensors, clock, tmp_path, pacing.stepping(clock, times)):
        threads = [threading.Thread(target=agent, args=(s,)) for s in sensors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == {"a": times, "b": times, "c": times}


def test_a_replay_does_not_run_away_from_the_store(clock: SimClock, tmp_path: Path) -> None:
    """At most two rows are on their way: the third read comes only after the first one is confirmed."""
    rec = recording(*(i / 100 for i in range(20)))
    sensor = Sensor("a", PROFILE, ReplaySource(rec, by_time=True))
    stored: list[int] = []
    ahead: list[int] = []

    def stored_count() -> int:
        ahead.append(sensor.counter - len(stored))
        if len(ahead) % 3 == 0 and len(stored) < sensor.counter:  # a bridge that takes its time
            stored.append(sensor.counter)
        return len(stored)

    pace = pacing.stepping(clock, [row.at_ms for row in rec.rows], stored_count)
    with run.running([sensor], clock, tmp_path, pace):
        assert len(follow(sensor, clock, 900_000, _when_frozen(clock))) == 20
    assert max(ahead) == 3


def test_patience_with_a_store_that_does_not_move_ends() -> None:
    """Time goes on without a confirmation; the next waits are short until the store moves again."""
    stored = [0]
    confirmation = pacing.Confirmation(lambda: stored[0], patience_s=0.4)

    async def story() -> list[bool]:
        began = time.monotonic()
        gave_up = await confirmation.wait(1)
        assert time.monotonic() - began >= 0.4
        stored[0] = 1
        return [gave_up, await confirmation.wait(1), await confirmation.wait(2), await confirmation.wait(1)]

    assert asyncio.run(story()) == [False, True, False, True]


def test_store_count_reads_another_process_file_and_lives_with_its_absence(tmp_path: Path) -> None:
    """Not there yet, no table yet, locked, moved away: the last answer stands; then the new one."""
    path = tmp_path / "with space?.db"
    count = pacing.StoreCount(path, "SELECT count(*) FROM t")
    assert count() == 0
    db = sqlite3.connect(path, isolation_level=None)
    assert count() == 0
    db.execute("CREATE TABLE t (x)")
    db.execute("INSERT INTO t VALUES (1), (2)")
    assert count() == 2
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("INSERT INTO t VALUES (3)")
    assert count() == 3
    db.execute("PRAGMA journal_mode=DELETE")
    db.execute("BEGIN EXCLUSIVE")
    db.execute("INSERT INTO t VALUES (4)")
    assert count() == 3
    db.execute("COMMIT")
    assert count() == 4
    db.close()
    path.rename(tmp_path / "away")
    assert count() == 4
    assert pacing.StoreCount(tmp_path / "away", "SELECT sum(x) FROM t WHERE x > 99")() == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1.0, 2.0), None),
        ((1.0, 35.03), "r.csv:3: water_level: 35030 does not fit int16"),
        ((32.767,), "r.csv:2: 32.767 m means 'sensor_error' to hand_made"),
    ],
)
def test_a_recording_that_the_sensor_could_not_have_served_is_refused(
    values: tuple[float, ...], message: str | None
) -> None:
    """Heights above sea level for a gauge that counts from its own zero: told before anything starts."""
    if message is None:
        check_fits(PROFILE, recording(*values))
        return
    with pytest.raises(RecordingError) as e:
        check_fits(PROFILE, recording(*values))
    assert str(e.value) == message


# --- helpers -------------------------------------------------------------------------------------------------------


def _when_frozen(clock: SimClock) -> threading.Event:
    """A stop that is set a moment after time stopped for good."""
    stop = threading.Event()

    def watch() -> None:
        _wait(lambda: clock.frozen)
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    return stop


def _wait(condition: Callable[[], bool], patience_s: float = 30.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def test_a_reader_that_does_not_ask_for_the_counter_sees_the_level_and_stands_in_no_account(tmp_path: Path) -> None:
    """A sensor model of somebody else may be tried on the simulated registers."""
    clock = SimClock.create(tmp_path / "clock", ORIGIN, 1.0)
    sensor = Sensor("gauge", PROFILE, Constant())
    with run.running([sensor], clock, tmp_path / "served"):
        client = ModbusTcpClient("127.0.0.1", port=sensor.port)
        assert client.connect()
        assert client.read_holding_registers(12, count=1).registers == [1234]
        client.close()
    assert sensor.counter == 0
    assert (tmp_path / "served" / "gauge.jsonl").read_text() == ""
