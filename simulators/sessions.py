"""What `suimon sim run` and `suimon sim replay` set up: which sensors there are, and what moves their clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.clock import SimClock
from gateway.profiles import Profile

from . import scenario
from .pacing import Pace, after_reads, stepping, until
from .recordings import Recording
from .sensor import ReplaySource, RiverSource, Sensor, check_fits

StoredCount = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Session:
    """Sensors and the pace of their clock, ready for `run.run_sensors`."""

    sensors: Sequence[Sensor]
    pace: Pace


def river(
    profile: Profile,
    clock: SimClock,
    duration_s: float = scenario.DURATION_S,
    interval_s: float = 60.0,
    port_base: int = 0,
    seed: int = 1,
    stored_count: StoredCount | None = None,
) -> Session:
    """The flood of the scenario from the clock's origin, one sensor a station, upstream first; ports from
    `port_base` on, or any free ones where that is 0. A stepped clock goes in steps of `interval_s`, which must be
    how often the agents read. At the end of `duration_s` virtual time stops."""
    series = scenario.flood(clock.origin_ms, max(duration_s, scenario.DURATION_S), seed=seed)
    sensors = [
        Sensor(s.id, profile, RiverSource(series, s.id), port_base + i if port_base else 0)
        for i, s in enumerate(scenario.STATIONS)
    ]
    end_ms = clock.origin_ms + round(duration_s * 1000)
    if not clock.stepped:
        return Session(sensors, until(clock, end_ms))
    times = range(clock.origin_ms, end_ms + 1, max(1, round(interval_s * 1000)))
    return Session(sensors, stepping(clock, times, stored_count))


def replay(
    profile: Profile,
    clock: SimClock,
    recording: Recording,
    station: str,
    port: int = 0,
    stored_count: StoredCount | None = None,
) -> Session:
    """One sensor that saw the recording. A stepped clock, which must begin at the recording's first time, goes from
    row to row, each after it was read; on a scaled one each read gives the next row. After the last row virtual
    time stops. Raises RecordingError for a level that the profile cannot express, ValueError for a wrong clock."""
    check_fits(profile, recording)
    first_ms = recording.rows[0].at_ms
    if clock.stepped and clock.origin_ms != first_ms:
        raise ValueError(f"the clock begins at {_utc(clock.origin_ms)}, the recording at {_utc(first_ms)}")
    sensors = [Sensor(station, profile, ReplaySource(recording, by_time=clock.stepped), port)]
    if not clock.stepped:
        return Session(sensors, after_reads(clock, len(recording.rows)))
    return Session(sensors, stepping(clock, [row.at_ms for row in recording.rows], stored_count))


def _utc(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
