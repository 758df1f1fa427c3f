"""Agent and bridge of different versions, as real processes: the code of 0.1.0 from the repository's history on one
side, the present code on the other. The account closes either way, and after an upgrade in the middle of a night."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
import yaml

from gateway import config, storefile
from gateway.profiles import Profile
from tests import servers
from tests.house import House, house

pytestmark = [pytest.mark.live, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
RELEASED = "0558bbe"  # 0.1.0
DEVICE = "gauge-1-edge"


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the code of 0.1.0; skips by name where the history is not there."""
    command = ["git", "-C", str(ROOT), "archive", RELEASED, "gateway", "device_profiles", "simulators"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if done.returncode:
        pytest.skip(f"the repository's history has no {RELEASED} (0.1.0) here")
    folder = tmp_path_factory.mktemp("0.1.0")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def profile() -> Profile:
    return config.load_profiles(Path(__file__).parent, [])["sim_river_gauge"]


def as_of_old(folder: Path) -> Path:
    """The same configuration beside it, without the keys that came after 0.1.0."""
    old = folder.with_name(f"{folder.name}-0.1.0")
    if not old.exists():
        shutil.copytree(folder, old)
        edge = old / "edge.yaml"
        if edge.exists():
            read = yaml.safe_load(edge.read_text(encoding="utf-8"))
            edge.write_text(yaml.safe_dump({k: v for k, v in read.items() if k not in ("clock", "health")}), "utf-8")
    return old


def begin(h: House, name: str, code: Path | None) -> None:
    """`bridge` or a device, by the code in that folder; None: the present one."""
    noun = "bridge" if name == "bridge" else "edge"
    config_ = h.configs[name] if code is None else as_of_old(h.configs[name])
    command = [sys.executable, "-m", "gateway", noun, "run", "--config", str(config_)]
    with (h.folder / f"{name}.log").open("ab") as log:
        h._processes[name] = subprocess.Popen(command, stdout=log, stderr=log, cwd=code or ROOT)


@pytest.mark.parametrize("old", ["agent", "bridge"])
def test_agent_and_bridge_of_different_versions(old: str, released: Path, profile: Profile, tmp_path: Path) -> None:
    """Live, then the bridge away, then back, so that statements, live samples, backlog and receipts all pass between
    the versions: everything that was served is stored once."""
    agent, bridge = (released if old == who else None for who in ("agent", "bridge"))
    with (
        servers.running(servers.mosquitto(tmp_path / "broker")) as broker,
        house(tmp_path / "house", profile, broker, interval_s=0.1) as h,
    ):
        begin(h, "bridge", bridge)
        begin(h, DEVICE, agent)
        h.wait_stored(20)
        h.stop("bridge")
        h.wait_served(30)
        begin(h, "bridge", bridge)
        h.wait_stored(60)
        h.settle()
        account = h.account()
        assert (account.missing, account.duplicates) == (0, 0), h.log("bridge") + h.log(DEVICE)
        versions = (1, storefile.VERSION)
        assert h.sql("PRAGMA user_version")[0][0] == versions[old != "bridge"]


@pytest.mark.parametrize("first", ["bridge", "agent"])
def test_an_upgrade_in_the_middle_loses_nothing(first: str, released: Path, profile: Profile, tmp_path: Path) -> None:
    """Both begin as 0.1.0, one is stopped and goes on as the present version, then the other: store and spool are
    taken over, and the account closes."""
    with (
        servers.running(servers.mosquitto(tmp_path / "broker")) as broker,
        house(tmp_path / "house", profile, broker, interval_s=0.1) as h,
    ):
        begin(h, "bridge", released)
        begin(h, DEVICE, released)
        h.wait_stored(20)
        for name in ("bridge", DEVICE) if first == "bridge" else (DEVICE, "bridge"):
            h.stop(name)
            if name == "bridge":
                h.wait_served(5)
            begin(h, name, None)
            h.wait_stored(20)
        h.settle()
        account = h.account()
        assert (account.missing, account.duplicates) == (0, 0), h.log("bridge") + h.log(DEVICE)
        assert h.sql("PRAGMA user_version")[0][0] == storefile.VERSION
