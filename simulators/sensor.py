"""A Modbus TCP sensor that speaks registers by encoding through the very profile that reads it, and writes into a
log of its own what it served. The log is the witness of the account: no part of the gateway writes to it.

One request that covers the first register of the read counter is one *read*: the counter goes up, the sensor
measures, all its registers change together, the log line is written, and only then the answer leaves. A request
beside the counter gets the registers of the last read.

How it hangs on pymodbus 3.16: `SimDevice.action` is the documented callback for every access; it is given the live
list of registers and runs before they are copied into the answer, without a pause of the event loop in between.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gateway.clock import Clock
from gateway.encodings import registers
from gateway.errors import FaultCode, Unavailable
from gateway.profiles import Profile, decode, encode

from .recordings import Recording, RecordingError
from .river import Series

COUNTER = "read_counter"  # the value of the profile that counts reads
LEVEL, BATTERY = "water_level", "battery_voltage"
HOST = "127.0.0.1"
_FUNCTIONS = {"holding": 3, "input": 4}

Mode = FaultCode | None  # None: in order; no_answer, refused: so; any other: what the profile says for that fault
OnTurn = Callable[[str, bool], None]  # (station, served): the sensor was asked for a read, and gave one or did not


class Source(Protocol):
    """What a sensor measures."""

    def measure(self, now_ms: int) -> Mapping[str, float]:
        """The values of the next read, canonical units, by their names in the profile."""
        ...

    def look(self, now_ms: int) -> Mapping[str, float]:
        """The values as they are now, without counting as a read."""
        ...


class RiverSource:
    """A sensor in a simulated river, with a battery that follows the sun a little."""

    def __init__(self, series: Series, station: str) -> None:
        self._series = series
        self._station = station

    def measure(self, now_ms: int) -> Mapping[str, float]:
        by_day = abs(now_ms % 86_400_000 / 86_400_000 - 4 / 24)  # noon in Japan is 03:00 UTC, the peak comes later
        battery = 12.9 - 0.8 * min(by_day, 1 - by_day)
        return {LEVEL: self._series.level(self._station, now_ms), BATTERY: battery}

    look = measure  # a river does not mind being looked at


class ReplaySource:
    """A sensor that saw a recording. `by_time` (stepped clock): the row that the clock has reached; otherwise one
    row for each read, whatever the time. After the end the last row again."""

    def __init__(self, recording: Recording, by_time: bool) -> None:
        self._rows = recording.rows
        self._by_time = by_time
        self._next = 0

    def measure(self, now_ms: int) -> Mapping[str, float]:
        last = len(self._rows) - 1
        if self._by_time:
            while self._next < last and self._rows[self._next + 1].at_ms <= now_ms:
                self._next += 1
            return {LEVEL: self._rows[self._next].value, BATTERY: 12.5}
        row = self._rows[min(self._next, last)]
        self._next += 1
        return {LEVEL: row.value, BATTERY: 12.5}

    def look(self, now_ms: int) -> Mapping[str, float]:
        if self._by_time:
            return self.measure(now_ms)
        return {LEVEL: self._rows[min(max(self._next - 1, 0), len(self._rows) - 1)].value, BATTERY: 12.5}


def check_fits(profile: Profile, recording: Recording) -> None:
    """Raises RecordingError for the first row that the sensor model could not have served as a level."""
    level = profile.value(LEVEL)
    for row in recording.rows:
        try:
            served = decode(profile, encode(profile, {LEVEL: row.value}))[LEVEL]
        except ValueError as e:
            raise RecordingError(recording.path, row.line, str(e)) from e
        if isinstance(served, FaultCode) or level is None:
            raise RecordingError(recording.path, row.line, f"{row.value:g} m means '{served}' to {profile.id}")


def parse_mode(text: str, profile: Profile) -> Mode:
    """'ok' or the fault that the sensor shall show. Raises ValueError that says what would be right."""
    can_say = {fault for value in profile.values for fault in value.faults.codes()}
    known = {"ok": None, **{str(f): f for f in (FaultCode.NO_ANSWER, FaultCode.REFUSED, *sorted(can_say))}}
    if text not in known:
        raise ValueError(f"unknown mode '{text}' (this sensor knows {', '.join(known)})")
    return known[text]


class Sensor:
    """One sensor of one station. `mode` may be set at any time; a file `<station>.mode` beside its log, where there
    is one, says the same to a sensor in another process."""

    def __init__(self, station: str, profile: Profile, source: Source, port: int = 0) -> None:
        counter = profile.value(COUNTER)
        if counter is None or profile.encoding != "registers":
            raise ValueError(f"profile {profile.id} has no registers with a value '{COUNTER}'")
        self.station = station
        self.profile = profile
        self.port = port  # 0: any free one; the real one after `listen`
        self.mode: Mode = None
        self.counter = 0
        self._source = source
        assert isinstance(counter.at, registers.At)
        self._counter_at = counter.at.address
        self._first = min(address for address, _ in profile.blocks())
        self._count = max(a + count for a, count in profile.blocks()) - self._first
        self._server: ModbusTcpServer | None = None
        self._complained = ""

    async def listen(self, clock: Clock, log_dir: Path, on_turn: OnTurn = lambda station, served: None) -> None:
        """Serves from now on. Raises Unavailable where the port is taken."""
        self._clock = clock
        self._on_turn = on_turn
        self._open(log_dir)
        registers = SimData(self._first, self._count, datatype=DataType.REGISTERS, readonly=True)
        server = ModbusTcpServer(
            SimDevice(0, simdata=registers, action=self._asked),  # 0: whatever the unit id
            address=(HOST, self.port),
            ignore_missing_devices=True,  # see _asked
        )
        try:
            await server.serve_forever(background=True)
        except RuntimeError as e:
            os.close(self._log)
            raise Unavailable(f"cannot listen on {HOST}:{self.port} for {self.station}; is the port taken?") from e
        self._server = server
        self.port = cast(asyncio.Server, server.transport).sockets[0].getsockname()[1]

    def _open(self, log_dir: Path) -> None:
        log_dir.mkdir(parents=True, exist_ok=True)
        self._mode_file = log_dir / f"{self.station}.mode"
        path = log_dir / f"{self.station}.jsonl"
        self.counter = last_counter(path)
        self._log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    async def close(self) -> None:
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]
            self._server = None
            os.close(self._log)

    async def _asked(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        writes: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """pymodbus' callback for one request; `registers[0]` is the register `start`."""
        if function != _FUNCTIONS[self.profile.function] or writes:
            return ExcCodes.ILLEGAL_FUNCTION
        mode = self._current_mode()
        served = mode not in (FaultCode.NO_ANSWER, FaultCode.REFUSED)
        counted = address <= self._counter_at < address + count
        if served:
            for at, word in (self._read(mode) if counted else self._look(mode)).items():
                registers[at - start] = word
        if counted:
            self._on_turn(self.station, served)
        if mode is FaultCode.NO_ANSWER:
            # With `ignore_missing_devices` the server leaves a request for an absent device unanswered.
            raise NoSuchIdException(self.station)
        return ExcCodes.DEVICE_FAILURE if mode is FaultCode.REFUSED else None

    def _look(self, mode: Mode) -> dict[int, int]:
        """A reader that does not ask for the counter still gets the truth of now, and of a broken sensor its fault; it
        stands in no account."""
        now: dict[str, float | FaultCode] = {
            n: v for n, v in self._source.look(self._clock.now_ms()).items() if self.profile.value(n)
        }
        words = encode(self.profile, {**now, **self._broken(mode)})
        assert isinstance(words, dict)
        return words

    def _broken(self, mode: Mode) -> dict[str, FaultCode]:
        """The values that show a fault."""
        return {} if mode is None else {v.name: mode for v in self.profile.values if mode in v.faults.codes()}

    def _read(self, mode: Mode) -> dict[int, int]:
        """One read: measured, counted and on record. Returns the registers."""
        now_ms = self._clock.now_ms()
        wanted: dict[str, float | FaultCode] = {
            name: value for name, value in self._source.measure(now_ms).items() if self.profile.value(name)
        }
        wanted |= self._broken(mode)
        words = encode(self.profile, {**wanted, COUNTER: self.counter + 1})
        assert isinstance(words, dict)
        served = decode(self.profile, words)  # what a reader of this profile will see: quantised
        self._record({name: served[name] for name in wanted}, self.counter + 1, now_ms)
        self.counter += 1
        return words

    def _record(self, served: Mapping[str, float | FaultCode], counter: int, now_ms: int) -> None:
        """One line, one write: it is in the file before the answer leaves, also if this process is killed."""
        line: dict[str, object] = {
            "station": self.station,
            "values": {n: v for n, v in served.items() if not isinstance(v, FaultCode)},
            "counter": counter,
            "served_ms": now_ms,
        }
        if faults := {n: str(v) for n, v in served.items() if isinstance(v, FaultCode)}:
            line["faults"] = faults
        data = json.dumps(line).encode() + b"\n"
        if os.write(self._log, data) != len(data):
            raise OSError(f"the log of {self.station} is cut short; is the disk full?")

    def _current_mode(self) -> Mode:
        try:
            text = self._mode_file.read_text().strip()
        except FileNotFoundError:
            return self.mode
        try:
            return parse_mode(text, self.profile)
        except ValueError as e:
            if text != self._complained:
                print(f"{self._mode_file}: {e}; ignored", file=sys.stderr)
                self._complained = text
            return self.mode


def last_counter(path: Path) -> int:
    """Of the last line of a sensor's log, so that a counter never comes back after a restart; 0 where there is
    none."""
    try:
        lines = path.read_bytes().splitlines()
        return int(json.loads(lines[-1])["counter"])
    except (FileNotFoundError, IndexError):
        return 0
    except (ValueError, KeyError, TypeError) as e:
        raise Unavailable(f"the last line of {path} is not a read; move the file away") from e
