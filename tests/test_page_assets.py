"""The page's libraries: fixed versions by hash, only what a browser loads, their licences beside them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests import readme, servers

STATIC = readme.ROOT / "gateway" / "web" / "static"
VENDOR = STATIC / "vendor"


def test_libraries_are_fixed_by_version_and_hash() -> None:
    """Each library has one version, and the lock file its hash."""
    wanted = json.loads((STATIC / "package.json").read_text())["dependencies"]
    packages = json.loads((STATIC / "package-lock.json").read_text())["packages"]
    assert packages.pop("")["dependencies"] == wanted
    assert {name.removeprefix("node_modules/"): p["version"] for name, p in packages.items()} == wanted
    assert all(re.fullmatch(r"sha512-[\w+/]{86}==", p["integrity"]) for p in packages.values())
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())


def test_a_missing_registry_costs_the_map_and_says_so(tmp_path: Path) -> None:
    """Where the libraries cannot be fetched, a sentence says what that means, and nothing half stands there."""
    here = tmp_path / "copy"
    (here / "deploy").mkdir(parents=True)
    (here / "gateway" / "web" / "static").mkdir(parents=True)
    shutil.copy(readme.ROOT / "deploy" / "assets.py", here / "deploy")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(STATIC / name, here / "gateway" / "web" / "static")
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho 'npm error network unreachable' >&2\nexit 1\n")
    npm.chmod(0o755)
    command = [sys.executable, str(here / "deploy" / "assets.py")]
    done = subprocess.run(command, env={"PATH": f"{npm.parent}:/usr/bin:/bin"}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "network unreachable" in done.stderr
    assert "shows its list without them" in done.stderr
    assert not (here / "gateway" / "web" / "static" / "vendor").exists()


@pytest.mark.slow
def test_the_wheel_packs_the_libraries_with_their_licences(tmp_path: Path) -> None:
    """Who installs the wheel needs no registry; the licences travel beside the code."""
    if not VENDOR.is_dir():
        servers.missing("the page's libraries are not fetched")
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "build", "--wheel", "--quiet", "--out-dir", str(tmp_path)]
    env = dict(os.environ, UV_SYSTEM_CERTS="1", UV_NATIVE_TLS="1")
    done = subprocess.run(command, cwd=readme.ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    with ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        inside = {n.removeprefix("gateway/web/static/") for n in wheel.namelist() if "/web/static/" in n}
        assert {f"vendor/{name}/LICENSE" for name in ("leaflet", "uplot")} <= inside
        assert {"vendor/leaflet/leaflet.js", "vendor/uplot/uPlot.iife.min.js", "package-lock.json"} <= inside
        assert {"index.html", "main.js", "style.css", "words_ja.js"} <= inside
        assert b"BSD 2-Clause" in wheel.read("gateway/web/static/vendor/leaflet/LICENSE")
        assert b"MIT" in wheel.read("gateway/web/static/vendor/uplot/LICENSE")
