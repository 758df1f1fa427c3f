"""The documents say what is true: the README's configuration checks, its excerpt of mistakes is what `check` prints,
every link leads somewhere, and `make` without a target lists every target."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import readme


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "check", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_configuration_of_the_readme_has_no_problems(tmp_path: Path) -> None:
    """A reader may copy the README's files as they stand."""
    done = check(readme.write_configuration(tmp_path))
    assert done.returncode == 0, done.stderr


def test_the_mistakes_shown_in_the_readme_are_what_check_prints(tmp_path: Path) -> None:
    """The excerpt is the program's own output on the README's configuration with four mistakes made in it."""
    config = readme.write_configuration(tmp_path)
    readme.spoil(config)
    done = check(config)
    assert done.returncode == 3
    assert done.stderr == readme.shown("stations.yaml:")


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "gateway/README.md",
        "gateway/ALARM.md",
        "simulators/README.md",
        "deploy/README.md",
        "device_profiles/README.md",
    ],
)
def test_every_link_of_a_document_leads_somewhere(document: str) -> None:
    """Relative links name files that are there."""
    path = readme.ROOT / document
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{document}: {target}"


def test_make_lists_its_targets() -> None:
    """`make` alone is the list of what can be done."""
    done = subprocess.run(["make"], cwd=readme.ROOT, capture_output=True, text=True, timeout=60)
    listed = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"setup", "check", "fix", "test", "demo", "bench"} <= listed


def test_the_version_is_said_once() -> None:
    """Package and distribution carry the same version, and the changelog has a section for it."""
    from gateway import __version__

    project = tomllib.loads((readme.ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    assert f"## {__version__}" in (readme.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_a_station_takes_twelve_lines() -> None:
    """What the station of device_profiles/README.md adds to stations.yaml and to its device's edge.yaml."""
    assert 0 < len(readme.added()) <= 12
