"""Runs several sensors in one process and one event loop until somebody ends it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.clock import Clock

from .pacing import Pace, Turns
from .sensor import HOST, Sensor

Ready = Callable[[], None]


async def serve(
    sensors: Sequence[Sensor],
    clock: Clock,
    log_dir: Path,
    stop: asyncio.Event,
    ready: Ready = lambda: None,
    pace: Pace | None = None,
) -> None:
    """Serves until `stop`. `ready` is called once every sensor listens. Raises Unavailable where one cannot."""
    turns = Turns([s.station for s in sensors])
    pacing: asyncio.Future[None] | None = None
    try:
        for sensor in sensors:
            await sensor.listen(clock, log_dir, turns.note)
        ready()
        if pace is not None:
            pacing = asyncio.ensure_future(pace(turns))
            pacing.add_done_callback(lambda done: stop.set() if not done.cancelled() and done.exception() else None)
        await stop.wait()
    finally:
        for sensor in sensors:
            await sensor.close()
        if pacing is not None:
            pacing.cancel()
            with suppress(asyncio.CancelledError):
                await pacing  # raises what went wrong there


def run_sensors(
    sensors: Sequence[Sensor],
    clock: Clock,
    log_dir: Path,
    ready_file: Path | None = None,
    ready: Ready = lambda: None,
    pace: Pace | None = None,
) -> None:
    """Blocks until SIGTERM or SIGINT. Once all sensors listen, `ready_file` says where."""

    def announce() -> None:
        if ready_file is not None:
            write_ready(ready_file, sensors)
        ready()

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(sensors, clock, log_dir, stop, announce, pace)

    asyncio.run(main())


@contextmanager
def running(sensors: Sequence[Sensor], clock: Clock, log_dir: Path, pace: Pace | None = None) -> Iterator[None]:
    """The same in a thread of this process, for tests: inside the block the sensors listen, on `sensor.port`."""
    up = threading.Event()
    handles: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    failures: list[BaseException] = []

    async def main() -> None:
        stop = asyncio.Event()
        handles.append((asyncio.get_running_loop(), stop))
        await serve(sensors, clock, log_dir, stop, up.set, pace)

    def body() -> None:
        try:
            asyncio.run(main())
        except Exception as e:  # noqa: BLE001 - handed to the thread that waits
            failures.append(e)
        finally:
            up.set()

    thread = threading.Thread(target=body, name="sensors", daemon=True)
    thread.start()
    up.wait()
    try:
        if not failures:
            yield
    finally:
        loop, stop = handles[0]
        with suppress(RuntimeError):  # the loop has already ended
            loop.call_soon_threadsafe(stop.set)
        thread.join()
    if failures:
        raise failures[0]


def write_ready(path: Path, sensors: Sequence[Sensor]) -> None:
    """Whoever sees the file sees all of it: it gets its name last."""
    places = [{"station": s.station, "host": HOST, "port": s.port} for s in sensors]
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps({"sensors": places}) + os.linesep)
    new.replace(path)
