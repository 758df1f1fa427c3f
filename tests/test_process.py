"""How our processes begin: a bad configuration starts nothing, and a simulation's tools are refused outside one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.clock import SimClock
from tests import readme

pytestmark = pytest.mark.slow  # each starts a process


def suimon(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "gateway", *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("noun", ["bridge", "edge"])
def test_a_bad_configuration_is_told_and_nothing_is_started(tmp_path: Path, noun: str) -> None:
    """Every problem at once, exit code 3, no store and no spool made."""
    config = readme.write_configuration(tmp_path)
    readme.spoil(config)
    done = suimon(noun, "run", "--config", str(config))
    assert done.returncode == 3
    assert "Nothing was started." in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(config.glob("*.db*"))


@pytest.mark.parametrize("noun", ["bridge", "edge"])
@pytest.mark.parametrize("tool", ["--sim-clock", "--crash-at", "--record-disk"])
def test_the_tools_of_a_simulation_are_refused_outside_one(tmp_path: Path, noun: str, tool: str) -> None:
    """A process that people rely on runs on the real clock, and cannot be told to kill itself."""
    config = readme.write_configuration(tmp_path)
    SimClock.create(tmp_path / "clock", 0, 1.0)
    argument = str(tmp_path / "clock") if tool == "--sim-clock" else "committed:1"
    done = suimon(noun, "run", "--config", str(config), tool, argument)
    assert done.returncode == 3
    assert "simulation" in done.stderr
    assert not list(config.glob("*.db"))


def test_an_unknown_command_is_refused_with_a_hint() -> None:
    """Usage errors exit with 2, as everywhere."""
    done = suimon("bridg")
    assert done.returncode == 2
    assert "bridge" in done.stderr


@pytest.mark.parametrize("word", [b"--note=\xff\xfe", b"\xed\xa0\x80", b"caf\xe9"])
def test_words_that_no_encoding_reads(tmp_path: Path, word: bytes) -> None:
    """Half of a UTF-16 pair, or another encoding's letters: told by their place, and nothing is done."""
    command = [sys.executable.encode(), b"-m", b"gateway", b"alert", b"acknowledge", word, b"--config", bytes(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("word 3, '")
    assert done.stderr.endswith("is not text in utf-8: type it again\n")
