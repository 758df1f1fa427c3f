"""What it costs to look at a configuration: `suimon check` on a prefecture's worth of stations and sensor models, in a
process of its own, as an operator types it. And how much there is to write: a station, a model, from the real files.
"""

from __future__ import annotations

import os
import resource
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
    """`best_s` and `worst_s` of the repeats by the clock on the wall, `cpu_s` the least that one took of a core: on a
    machine that does other things the one that tells."""

    stations: int
    profiles: int
    best_s: float
    worst_s: float
    cpu_s: float


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
    took, cpu = [], []
    # As installed: compiled modules are kept. The first run writes them.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(folder / "pycache")
    for _ in range(1 + REPEATS):
        begun, burnt = time.perf_counter(), _children_s()
        command = [sys.executable, "-m", "gateway", "check", str(folder / "config")]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=readme.ROOT, env=dict(os.environ), check=False
        )
        took.append(time.perf_counter() - begun)
        cpu.append(_children_s() - burnt)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{stations} stations" in done.stdout, done.stdout
        assert f"{profiles} profiles" in done.stdout, done.stdout
    return Checked(stations, profiles, min(took[1:]), max(took[1:]), min(cpu[1:]))


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def station_lines() -> int:
    """Of the station in device_profiles/README.md, with its bus and its sensor."""
    return len(readme.added())


def modbus_lines() -> dict[str, int]:
    """Of each real model that is read from registers: what was written from its register table, besides its examples
    and the comments at its head."""
    found = {}
    for file in sorted(PROFILES.glob("*.yaml")):
        stated = file.read_text(encoding="utf-8").partition("\nexamples:")[0].splitlines()
        if "encoding: registers" in stated and not file.stem.startswith("sim_"):
            found[file.stem] = len([line for line in stated if not line.startswith("#")])
    return found
