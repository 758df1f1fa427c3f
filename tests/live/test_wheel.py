"""The built wheel in an empty environment, outside the repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import readme, servers

pytestmark = [pytest.mark.live, pytest.mark.slow]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel with its extra `demo` and nothing else."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists() and not shutil.which("uv"):
        servers.missing("uv is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    env = dict(os.environ, UV_SYSTEM_CERTS="1", UV_NATIVE_TLS="1")
    tool = str(uv if uv.exists() else shutil.which("uv"))

    def step(*arguments: str) -> None:
        done = subprocess.run([tool, *arguments], cwd=readme.ROOT, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr

    step("build", "--wheel", "--quiet", "--out-dir", str(folder / "dist"))
    step("venv", "--quiet", str(folder / "venv"))
    wheel = next((folder / "dist").glob("suimon-*.whl"))
    step("pip", "install", "--quiet", "--python", str(folder / "venv" / "bin" / "python"), f"{wheel}[demo]")
    return folder / "venv"


def test_the_installed_demo_runs_outside_the_repository(environment: Path, tmp_path: Path) -> None:
    """Simulators, profiles and level tables travel inside the wheel."""
    command = [
        str(environment / "bin" / "suimon"),
        "demo",
        "--seconds",
        "20",
        "--json",
        "--data",
        str(tmp_path / "demo"),
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.strip().splitlines()[-1])["missing"] == 0


def test_the_edge_installs_without_the_bridges_dependencies(environment: Path) -> None:
    """A field device carries neither InfluxDB's client nor an embedded broker unless asked for."""
    code = "import importlib.util as u; print([n for n in ('influxdb_client', 'urllib3') if u.find_spec(n)])"
    done = subprocess.run([str(environment / "bin" / "python"), "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
