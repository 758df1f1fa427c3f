"""`make bench`: prints `name value limit pass|fail` a line, and the same as JSON into bench-results/.

Exit code 1 where a limit is missed. A value without a limit stands with `-` and is only told. Arguments name the
benchmarks to run; without any, all of them. A number makes them of another size, for a look whether they run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench import alarm, backlog, card, checking, crowd, field, outage, rings, storms, throughput, web
from tests.test_recordings import DON

RESULTS = Path("bench-results")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `at_least` true: the limit is a floor, else a ceiling."""

    name: str
    value: float
    limit: float | None = None
    at_least: bool = True

    @property
    def passed(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        limit = "-" if self.limit is None else f"{self.limit:g}"
        return f"{self.name} {self.value:g} {limit} {'pass' if self.passed else 'fail'}"


def spine(messages: int = 50_000) -> list[Figure]:
    """Issue of the spine: the bridge beside the simplest one that could be written, on the same broker and database."""
    with tempfile.TemporaryDirectory(prefix="suimon-bench-") as folder:
        peer, bridge = throughput.measure(Path(folder), messages)
    return [
        Figure("spine.bridge_stored", bridge.stored, messages),
        Figure("spine.bridge_influx_points", bridge.points, messages),
        Figure("spine.bridge_messages_per_s", round(bridge.per_second), 2000),
        Figure("spine.bridge_cpu_us_per_message", round(bridge.cpu_us)),
        Figure("spine.bridge_peak_memory_mb", round(bridge.peak_mb, 1), 200, at_least=False),
        Figure("spine.peer_influx_points", peer.points, messages),
        Figure("spine.peer_messages_per_s", round(peer.per_second)),
        Figure("spine.peer_cpu_us_per_message", round(peer.cpu_us)),
        Figure("spine.peer_peak_memory_mb", round(peer.peak_mb, 1)),
        Figure("spine.ratio_messages_per_s", round(bridge.per_second / peer.per_second, 2)),
        Figure("spine.ratio_cpu", round(bridge.cpu_us / peer.cpu_us, 2)),
    ]


def nothing_is_lost(samples: int = 100_000) -> list[Figure]:
    """Issue of the first promise: a device comes back with backlog over a long link, and over a narrow one."""
    with tempfile.TemporaryDirectory(prefix="suimon-bench-") as folder:
        long = backlog.measure(Path(folder), samples)
    with tempfile.TemporaryDirectory(prefix="suimon-bench-") as folder:
        narrow = backlog.measure(Path(folder), samples // 25, NARROW)
    return [
        Figure("backlog.stored", long.stored, samples + long.live),
        Figure("backlog.samples_per_s", round(long.per_second), 2000),
        Figure("backlog.live_samples", long.live),
        Figure("backlog.live_median_s", round(long.live_median_s, 3)),
        Figure("backlog.live_p99_s", round(long.live_p99_s, 3), 1.0, at_least=False),
        Figure("backlog.live_max_s", round(long.live_max_s, 3)),
        Figure("backlog.device_cpu_us_per_sample", round(long.cpu_s / samples * 1e6)),
        Figure("backlog.narrow_samples_per_s", round(narrow.per_second)),
        Figure("backlog.narrow_live_p99_s", round(narrow.live_p99_s, 3), 1.5, at_least=False),
    ]


def influx_absent(observations: int = 5_000_000) -> list[Figure]:
    """Issue "Nothing is lost": InfluxDB away while observations arrive, then back."""
    with tempfile.TemporaryDirectory(prefix="suimon-bench-") as folder:
        found = outage.measure(Path(folder), observations)
    return [
        Figure("influx_absent.observations_stored", found.stored, observations),
        Figure("influx_absent.influx_points", found.points, observations),
        Figure("influx_absent.dead_letters", found.letters, 0, at_least=False),
        Figure("influx_absent.peak_memory_mb", round(found.peak_mb, 1), 200, at_least=False),
        Figure("influx_absent.memory_growth_mb", round(found.growth_mb, 1), 10, at_least=False),
        Figure("influx_absent.stored_per_s", round(found.stored / found.arrive_s)),
        Figure("influx_absent.drained_per_s", round(found.points / found.drain_s)),
        Figure("influx_absent.bytes_per_observation", round(found.store_mb * 1e6 / max(1, found.stored), 1)),
    ]


def edge(samples: int = 1_000_000) -> list[Figure]:
    """The device: memory with a large spool, and what a day writes to its card (four sensors, one of them raised)."""
    with tempfile.TemporaryDirectory(prefix="suimon-bench-") as folder:
        found = card.memory(Path(folder), samples)
        days = [(commit_s, card.day(Path(folder), commit_s)) for commit_s in (1, 10, 60)]
    return [
        Figure("edge.memory_mb", round(found.peak_mb, 1), 60, at_least=False),
        Figure("edge.opened_s", round(found.opened_s, 2)),
        *(Figure(f"edge.card_mb_per_day_commit_{s}s", round(written / 1e6, 1)) for s, written in days),
    ]


def in_the_field(seconds: int = 60) -> list[Figure]:
    """Issue of any sensor: sixteen channels on five buses, each sensor read every second; one core of this machine."""
    with tempfile.TemporaryDirectory(prefix="suimon-bench-") as folder:
        found = field.measure(Path(folder), seconds)
    return [
        Figure("field.channels", found.channels, field.CHANNELS),
        Figure("field.buses", found.buses, 5),
        Figure("field.samples", found.samples, 9 * seconds * 0.8),
        Figure("field.samples_with_faults", found.faults, 0, at_least=False),
        Figure("field.memory_mb", round(found.rss_mb, 1), 70, at_least=False),
        Figure("field.peak_memory_mb", round(found.peak_mb, 1), 70, at_least=False),
        Figure("field.cpu_ms_per_sample", round(found.cpu_s * 1000 / max(1, found.samples), 2)),
        Figure("field.start_cpu_s", round(found.start_cpu_s, 2)),
        Figure("field.modules_of_other_processes", len(found.foreign), 0, at_least=False),
    ]


def a_crowd(samples: int = 200_000) -> list[Figure]:
    """Issue of the first promise: live first, also where 100 devices bring backlog at once."""
    with tempfile.TemporaryDirectory(prefix="suimon-bench-") as folder:
        found = crowd.measure(Path(folder), 100, samples // 100 // crowd.PACK)
    return [
        Figure("crowd.backlog_samples_per_s", round(samples / found.flood_s)),
        Figure("crowd.live_samples", len(found.waits)),
        Figure("live_p99_under_backlog_s", round(found.p99_s, 3), 1.0, at_least=False),
        Figure("crowd.live_max_s", round(max(found.waits), 3)),
    ]


def the_alarm(per_second: int = 2000) -> list[Figure]:
    """Issue of the alarm: from a crossing to the medium, with InfluxDB down and one medium hanging."""
    with tempfile.TemporaryDirectory(prefix="suimon-bench-") as folder:
        found = alarm.measure(Path(folder), 400, 60, per_second)
    return [
        Figure("alarm.readings_per_s", round(found.readings_per_s), per_second * 0.95),
        Figure("alarm.stored", found.stored, found.sent),
        Figure("alarm.crossings_notified", found.crossings, 400),
        Figure("alarm.commit_to_medium_p99_s", round(alarm.p99(found.from_decided), 3), 1.0, at_least=False),
        Figure("alarm.sent_to_medium_p99_s", round(alarm.p99(found.from_sent), 3)),
        Figure("alarm.sent_to_medium_max_s", round(max(found.from_sent), 3)),
    ]


def ring_budget(days: int = 365) -> list[Figure]:
    """Issue of the alarm: how often 120 stations ring their desk, whatever the cause; and what a channel keeps."""
    with tempfile.TemporaryDirectory(prefix="suimon-bench-", dir=SHM) as folder:
        calm = rings.calm_year(Path(folder) / "calm", 11, days)
        nights = [rings.typhoon_night(Path(folder) / f"night-{seed}", seed) for seed in (21, 22, 23)]
        outage = rings.district_outage(Path(folder) / "outage", 31)
        largest, mean = rings.state_bytes(Path(folder) / "states", 10_000)
    return [
        Figure("rings.calm_a_month", round(len(calm) / days * 365 / 12, 2), 1.0, at_least=False),
        Figure("rings.typhoon_busiest_hour", max(map(rings.busiest_hour, nights)), 12, at_least=False),
        Figure("rings.typhoon_a_night", round(sum(map(len, nights)) / len(nights), 1)),
        Figure("rings.district_outage", len(outage), 1, at_least=False),
        Figure("rings.district_outage_told", len(outage), 1),
        Figure("rings.state_bytes_largest", largest, 2048, at_least=False),
        Figure("rings.state_bytes_mean", round(mean)),
    ]


SHM = "/dev/shm" if Path("/dev/shm").is_dir() else None


def scoring(rivers: int = len(storms.REPORTED)) -> list[Figure]:
    """Issue of the alarm: generated station-years with faults, of seeds that nobody tuned on; and how much worse it is
    without each quality test (readings that were wrong and that nobody doubted, more a station-year)."""
    found = storms.measure(storms.REPORTED[:rivers])
    for line in storms.gravest(found.worst):
        print(f"# {line}", file=sys.stderr, flush=True)
    years = found.station_years
    asked = 300 * rivers / len(storms.REPORTED)
    bound = storms.upper_bound(found.false_unconfirmed, years)
    losses = storms.ablations(storms.REPORTED[: min(6, rivers)], years=1, gauges=5)  # fewer show no good of `spike`
    return [
        Figure("score.station_years", round(years), asked),
        Figure("score.flood_episodes", found.episodes, asked * 2 / 3),
        Figure("score.floods_of_a_river", found.river_floods),
        Figure("score.crossings", found.score.crossings or 0),
        Figure("score.detected", found.score.detected or 0),
        Figure("score.missed", found.score.missed or 0, 0, at_least=False),
        Figure("score.confirmed_false_rank_3_up", found.false_high, 0, at_least=False),
        Figure("score.confirmed_within_10_cm_rank_3_up", found.false_by_waves),
        Figure("score.confirmed_false_95_bound_per_year", round(storms.upper_bound(found.false_high, years), 4)),
        Figure("score.unconfirmed_false_per_year", round(found.false_unconfirmed / years, 3)),
        Figure("score.unconfirmed_false_95_bound_per_year", round(bound, 3)),
        Figure("score.stale_shown_as_current", found.score.stale_shown_as_current or 0, 0, at_least=False),
        Figure("score.flaps", found.score.flaps),
        Figure("score.wrong_readings", found.wrong),
        Figure("score.wrong_readings_undoubted", found.wrong_as_good),
        Figure("score.right_readings_doubted_per_year", round(found.right_doubted / years, 1)),
        *(Figure(f"score.without_{x.test}.figures_worse", x.worsened, 1) for x in losses),
        *(Figure(f"score.without_{x.test}.undoubted_more_per_year", round(x.wrong_as_good, 2)) for x in losses),
        *(Figure(f"score.without_{x.test}.missed_more", x.missed) for x in losses),
        *(Figure(f"score.without_{x.test}.confirmed_false_more", x.false_high) for x in losses),
        *(Figure(f"score.without_{x.test}.unconfirmed_false_more", x.false) for x in losses),
    ]


def the_don(_: int = 0) -> list[Figure]:
    """Issue of the alarm: the flood of June 2007, with caution 2.0 and danger 3.9 m; no figure without its file."""
    if not DON.exists():
        print(f"# recording {DON.name} is not in {DON.parent}", file=sys.stderr)
        return []
    levels = ("--thresholds", "caution=2.0,danger=3.9")
    command = [sys.executable, "-m", "gateway", "score", "--recording", str(DON), *levels, "--json"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return [
        Figure("don.crossings", found["crossings"], 3),
        Figure("don.detected", found["detected"], 3),
        Figure("don.missed", found["missed"], 0, at_least=False),
        Figure("don.false", found["false"], 0, at_least=False),
        Figure("don.delay_samples_most", max(found["delay_samples"]), 1, at_least=False),
    ]


def check(stations: int = 1000) -> list[Figure]:
    """Issue of the profiles: `suimon check` on a large folder, and how much a station and a model are to write."""
    with tempfile.TemporaryDirectory(prefix="suimon-bench-") as folder:
        found = checking.measure(Path(folder), stations, 100)
    models = checking.modbus_lines()
    return [
        Figure("check.stations", found.stations, stations),
        Figure("check.profiles", found.profiles, 100),
        Figure("check.best_s", round(found.best_s, 2), 2.0, at_least=False),
        Figure("check.worst_s", round(found.worst_s, 2)),
        Figure("check.cpu_s", round(found.cpu_s, 2), 2.0, at_least=False),
        Figure("check.lines_of_a_station", checking.station_lines(), 12, at_least=False),
        Figure("check.lines_of_a_modbus_model", max(models.values()), 30, at_least=False),
        Figure("check.modbus_models", len(models), 1),
    ]


def the_page(seconds: int = 60) -> list[Figure]:
    """Issue of the page: what looking costs while 1,000 readings/s of 1,000 stations arrive and 50 people listen."""
    with tempfile.TemporaryDirectory(prefix="suimon-bench-") as folder:
        found = web.measure(Path(folder), 1000, seconds, 1000)
    with tempfile.TemporaryDirectory(prefix="suimon-bench-") as folder:
        seen = web.on_screen(Path(folder), 1000, seconds // 2, 1000)
    return [
        Figure("web.readings_per_s", round(found.readings_per_s), 950),
        Figure("web.readings_stored", found.stored, found.sent),
        Figure("web.listeners_told", found.listeners, web.LISTENERS),
        Figure("web.latest_median_ms", round(web.median(found.latest_ms), 1), 50, at_least=False),
        Figure("web.board_median_ms", round(web.median(found.board_ms), 1)),
        Figure("web.hydrograph_30_days_median_ms", round(web.median(found.series_ms), 1), 100, at_least=False),
        Figure("web.hydrograph_looks", len(found.series_ms), web.LOOKED / 2),
        Figure("web.hydrograph_max_ms", round(max(found.series_ms), 1)),
        Figure("web.hydrograph_not_packed_yet_ms", round(found.cold_ms[0], 1)),
        Figure("web.hydrograph_points", found.series_rows, web.POINTS * 0.9),
        Figure("web.ranks_on_the_stream", len(found.heard), web.CROSSING),
        Figure("web.commit_to_stream_median_s", round(web.median(found.heard), 3)),
        Figure("web.commit_to_stream_max_s", round(max(found.heard), 3), 1.0, at_least=False),
        Figure("web.ranks_on_the_screen", len(seen.painted), web.CROSSING),
        Figure("web.commit_to_screen_median_s", round(web.median(seen.painted), 3)),
        Figure("web.commit_to_screen_max_s", round(max(seen.painted), 3), 1.0, at_least=False),
        Figure("web.screen_cpu_cores", round(seen.screen_share, 2)),
        Figure("web.memory_mb", round(found.web_mb, 1), 100, at_least=False),
        Figure("web.cpu_cores", round(found.web_cpu_share, 2)),
        Figure("web.store_log_mb", round(found.log_mb, 1), web.LOG_MB, at_least=False),
    ]


NARROW = 20_000  # bytes a second upwards: a poor mobile link
BENCHMARKS: dict[str, Callable[..., list[Figure]]] = {
    "spine": spine,
    "check": check,
    "backlog": nothing_is_lost,
    "influx_absent": influx_absent,
    "edge": edge,
    "field": in_the_field,
    "crowd": a_crowd,
    "don": the_don,
    "score": scoring,
    "alarm": the_alarm,
    "rings": ring_budget,
    "web": the_page,
}


def main() -> int:
    passed = True
    RESULTS.mkdir(exist_ok=True)
    size = [int(word) for word in sys.argv[1:] if word.isdigit()]
    for name in [word for word in sys.argv[1:] if not word.isdigit()] or BENCHMARKS:
        figures = BENCHMARKS[name](*size)
        for figure in figures:
            print(figure, flush=True)
        rows = [asdict(f) | {"passed": f.passed} for f in figures]
        (RESULTS / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
        passed = passed and all(f.passed for f in figures)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
