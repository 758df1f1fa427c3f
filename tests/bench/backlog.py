"""A device comes back with 100,000 samples over a link of 100 ms round trip, and goes on sampling: the real spool and
uplink, mosquitto with its own limits, the real bridge, and a proxy that delays every byte by 50 ms each way.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from simulators.faults.proxy import Proxy, Way
from tests import servers
from tests.bench import throughput

ONE_WAY_S = 0.05
LIVE_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds from the start of the uplink to the last receipt; waits from reading to receipt."""

    settled: int
    stored: int
    drained_s: float
    cpu_s: float
    live: int
    live_median_s: float
    live_p99_s: float
    live_max_s: float

    @property
    def per_second(self) -> float:
        return self.settled / self.drained_s


def measure(folder: Path, samples: int, rate: float | None = None) -> Result:
    """`rate`: bytes a second of the link upwards; None: as fast as it goes."""
    with servers.running(servers.mosquitto(folder / "broker")) as broker, Proxy(("127.0.0.1", broker.port)) as link:
        link.slow(Way(ONE_WAY_S, rate), Way(ONE_WAY_S))
        config = throughput.write_config(folder, broker.port)
        bridge = [sys.executable, "-m", "gateway", "bridge", "run", "--config", str(config)]
        log = folder / "bridge.log"
        with log.open("wb") as out, subprocess.Popen(bridge, stdout=out, stderr=out) as process:
            servers.wait_for("the bridge's sessions", lambda: "connected to MQTT broker" in log.read_text())
            device = [sys.executable, "-m", "tests.bench.sender", str(link.port), str(folder / "spool.db")]
            with (folder / "sender.log").open("wb") as err:
                done = subprocess.run(
                    [*device, str(samples), str(LIVE_INTERVAL_S)], stdout=subprocess.PIPE, stderr=err, check=True
                )
            process.terminate()
        said = json.loads(done.stdout)
        return Result(stored=throughput.stored(folder), **said)
