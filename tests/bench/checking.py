"""What it costs to look at a configuration: `suimon check` on a prefecture's worth of stations and sensor models, in a
process of its own, as an operator types it. And how much there is to write: a station, a model.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests import readme

PROFILES = readme.ROOT / "device_profiles"
REPEATS = 5


@dataclass(frozen=True, slots=True)
class Checked:
    """`best_s` and `worst_s` of the repeats, by the clock on the wall; `cpu_s` of the best by the process's own."""

    stations: int
    profiles: int
    best_s: float
    worst_s: float


def write(folder: Path, stations: int, profiles: int) -> None:
    """A folder with that many stations, as the README writes them, and sensor models, as they come with Suimon."""
    config = readme.write_configuration(folder)
    text = (config / "stations.yaml").read_text(encoding="utf-8")
    head, _, station = text.partition("  kasuga-bridge:")
    rows = ["  kasuga-bridge:" + station.rstrip("\n")]
    rows += [
        f"  station-{i:04d}:" + station.rstrip("\n").replace("kasuga-01", f"gw-{i:04d}") for i in range(1, stations)
    ]
    (config / "stations.yaml").write_text(head + "\n".join(rows) + "\n", encoding="utf-8")
    models = sorted(PROFILES.glob("*.yaml"))
    for i in range(profiles - 1):  # one is the README's own
        model = models[i % len(models)]
        name = f"{model.stem}_{i // len(models)}"
        text = model.read_text(encoding="utf-8").replace(f"id: {model.stem}", f"id: {name}")
        (config / "device_profiles" / f"{name}.yaml").write_text(text, encoding="utf-8")


def measure(folder: Path, stations: int, profiles: int) -> Checked:
    write(folder, stations, profiles)
    took = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        command = [sys.executable, "-m", "gateway", "check", str(folder / "config")]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=readme.ROOT, env=dict(os.environ), check=False
        )
        took.append(time.perf_counter() - begun)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{stations} stations" in done.stdout, done.stdout
        assert f"{profiles} profiles" in done.stdout, done.stdout
    return Checked(stations, profiles, min(took), max(took))
