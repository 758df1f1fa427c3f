"""What is missing and what was rejected, as an operator finds out beside a running house, and gets it in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway import config
from gateway.profiles import Profile
from tests import servers
from tests.house import House, house

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def profile() -> Profile:
    return config.load_profiles(Path(__file__).parent, [])["sim_river_gauge"]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[servers.Server]:
    with servers.running(servers.mosquitto(tmp_path / "broker")) as server:
        yield server


def suimon(h: House, *words: str, expect: int = 0) -> str:
    command = [sys.executable, "-m", "gateway", *words, "--config", str(h.configs["bridge"])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def held(h: House) -> list[dict[str, Any]]:
    found = json.loads(suimon(h, "gaps", "--json"))
    return [g for g in found["gaps"] if g["kind"] == "held"]


def test_a_gap_is_listed_and_closes_by_itself(tmp_path: Path, broker: servers.Server, profile: Profile) -> None:
    """Bridge away, then device away: the device's last word says what it holds. When it comes back, nothing is left."""
    with house(tmp_path, profile, broker) as h:
        h.start("bridge")
        device = h.devices[0]
        h.start(device)
        h.wait_stored(20)
        h.stop("bridge")
        h.wait_served(100)
        h.stop(device)
        broker.stop()  # and with it whatever it had queued for the bridge
        broker.start()
        h.start(device)  # its statement at connect is retained by the broker
        h.wait_served(20)
        h.stop(device)
        stored = h.stored()
        h.start("bridge")
        servers.wait_for("the gap", lambda: held(h), 30)
        (gap, *_) = held(h)
        assert gap["samples"] >= 80
        assert gap["since"] is not None
        assert gap["sentence"].startswith("held by the device, will come as backlog")
        assert h.stored() == stored
        suimon(h, "gaps", "--check", expect=1)
        h.start(device)
        servers.wait_for("the end of the gap", lambda: not held(h), 60)
        h.settle()
        account = h.account()
        assert (account.problems, account.missing) == ((), 0)
        assert json.loads(suimon(h, "gaps", "--json"))["totals"]["samples"]["held"] == 0


def test_what_was_rejected_is_got_in_while_the_bridge_runs(
    tmp_path: Path, broker: servers.Server, profile: Profile
) -> None:
    """A channel was forgotten: its readings are dead letters. It is added, the bridge restarted, the letters replayed,
    and the account closes over every value."""
    with house(tmp_path, profile, broker) as h:
        path = h.configs["bridge"] / "stations.yaml"
        whole = path.read_text()
        text = yaml.safe_load(whole)
        (station,) = text["stations"].values()
        del station["channels"]["battery_voltage"]
        path.write_text(yaml.safe_dump(text, allow_unicode=True))
        h.start("bridge")
        h.start(h.devices[0])
        h.wait_stored(300)
        letters = json.loads(suimon(h, "letters", "list", "--json"))["totals"]["by_code"]
        assert letters["unknown_channel"] >= 300
        path.write_text(whole)
        assert "would be accepted: 1 value" in suimon(h, "letters", "explain", "1")
        assert "suimon bridge reload" in suimon(h, "letters", "replay", expect=4)
        h.stop("bridge")
        h.start("bridge")
        h.wait_stored(20)
        said = suimon(h, "letters", "replay", "--code", "unknown_channel")
        assert "no bridge runs" not in said
        assert "values stored" in said
        assert json.loads(suimon(h, "letters", "list", "--json"))["totals"]["by_code"] == {}
        h.settle()
        account = h.account()
        assert (account.problems, account.missing, account.duplicates) == ((), 0, 0)
        assert account.values == 3 * account.stored
