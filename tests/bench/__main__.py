"""`make bench`: prints `name value limit pass|fail` a line, and the same as JSON into bench-results/.

Exit code 1 where a limit is missed. A value without a limit stands with `-` and is only told.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench import throughput

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


def spine(messages: int) -> list[Figure]:
    """Issue of the spine: the bridge beside the simplest one that could be written, on the same broker and database."""
    with tempfile.TemporaryDirectory(prefix="suimon-bench-") as folder:
        peer, bridge = throughput.measure(Path(folder), messages)
    figures = [
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
    for figure in figures:
        print(figure, flush=True)
    return figures


def main() -> int:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    figures = spine(messages)
    RESULTS.mkdir(exist_ok=True)
    rows = [asdict(f) | {"passed": f.passed} for f in figures]
    (RESULTS / "spine.json").write_text(json.dumps(rows, indent=1) + "\n")
    return 0 if all(f.passed for f in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
