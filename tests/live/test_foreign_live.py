"""Devices of others, one of each format with every fault, at a real mosquitto and a real bridge: the account closes."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway import storefile
from gateway.cli.main import app
from simulators import foreignhouse as house
from simulators.foreigndevices import CATALOGUE, FORMATS, Message, faults_of
from tests import servers
from tests.servers import Server, free_port, wait_for

pytestmark = pytest.mark.live

DATED = [name for name, kind in FORMATS.items() if kind.dated]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    """It keeps what comes while the bridge is away."""
    with servers.running(servers.mosquitto(tmp_path / "broker", "max_queued_messages 10000")) as server:
        yield server


def simulate(folder: Path, broker: Server, *arguments: str) -> None:
    given = ["sim", "devices", "--data", str(folder), "--broker", f"127.0.0.1:{broker.port}", *arguments]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output


@contextmanager
def bridge(folder: Path, watch: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "gateway", "bridge", "run", "--config", str(folder)]
    with (folder / "bridge.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for("the bridge's subscriptions", lambda: servers.http_ok(f"http://127.0.0.1:{watch}/readyz"))
        yield process
    finally:
        process.kill()
        process.wait(30)


def counted(watch: int) -> dict[str, int]:
    """What the bridge itself says that it received, by fate."""
    with urllib.request.urlopen(f"http://127.0.0.1:{watch}/metrics", timeout=5) as answer:
        lines = [line.split() for line in answer.read().decode().splitlines() if line.startswith("suimon_samples_")]
    found = {name.removeprefix("suimon_samples_").removesuffix("_total"): float(number) for name, number in lines}
    return {fate: int(found[fate]) for fate in ("received", "accepted", "duplicate", "rejected")}


def expected(messages: list[Message]) -> dict[str, int]:
    fates = Counter[str]()
    for message in messages:
        fates[message.fate] += message.samples
    return {"received": fates.total(), **{fate: fates[fate] for fate in ("accepted", "duplicate", "rejected")}}


def test_every_format_with_every_fault(tmp_path: Path, broker: Server) -> None:
    """Each good reading is stored once, by its time; what comes again is counted; each refused one is a dead letter
    with its code. So it is, too, of what comes after the bridge was killed and before it is back, and live after
    that."""
    folder, watch = tmp_path / "house", free_port()
    simulate(folder, broker, "--configure")
    with (folder / "bridge.yaml").open("a") as file:
        file.write(f"watch: {{port: {watch}}}\n")

    with bridge(folder, watch):
        simulate(folder, broker)
        messages = house.published(folder)
        assert {(m.format, m.fault) for m in messages if m.fault} == {(f, x) for f in FORMATS for x in faults_of(f)}
        assert {m.fault for m in messages if m.fault} == {*CATALOGUE}
        received = expected(messages)["received"]
        wait_for(f"{received} samples", lambda: counted(watch)["received"] >= received, 60)
        assert counted(watch) == expected(messages)
        assert house.account(folder).problems == ()
    codes = dict(storefile.rows(folder / "store.db", "SELECT code, sum(count) FROM dead_letters GROUP BY code"))
    assert codes == Counter(m.code for m in messages if m.fate == "rejected")
    rows = storefile.rows(folder / "store.db", "SELECT count(*) FROM observations")
    assert rows == [(sum(len(m.rows) for m in messages if m.fate == "accepted"),)]
    beyond = "SELECT min(flag) FROM observations WHERE value > 15 OR value < -1"
    assert storefile.rows(folder / "store.db", beyond) == [(3,)]  # suspect, every one

    simulate(folder, broker, "--seed", "2", "--formats", ",".join(DATED), "--faults", ",".join([*CATALOGUE, "reset"]))
    with bridge(folder, watch):
        simulate(folder, broker, "--live", "--interval", "200ms", "--readings", "12", "--faults", "none")
        received = expected(house.published(folder))["received"] - received
        wait_for(f"{received} samples", lambda: counted(watch)["received"] >= received, 60)
    done = CliRunner().invoke(app, ["sim", "account", "--data", str(folder), "--json"])
    assert (done.exit_code, json.loads(done.output)["problems"]) == (0, [])
