"""The long form of the property tests: it finds what fails and what hangs, names the example, and goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz.watch import Hang, watched

ROOT = Path(__file__).parents[1]
MODULE = """
from hypothesis import given, strategies as st

@given(st.integers(0, 1_000_000))
def test_it(n):
    {body}
"""


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("assert n >= 0", ""),
        ("assert n < 900_000", "n=900"),
    ],
)
def test_a_round(body: str, told: str, tmp_path: Path) -> None:
    """A good module says nothing and counts its examples; a failing one names its smallest example."""
    module = tmp_path / "test_it.py"
    module.write_text(MODULE.format(body=body))
    wrong, examples = fuzz.tried(str(module), tmp_path / "counts.json")
    assert sum(examples.values()) >= (100 if not told else 1)
    assert (told in wrong) if told else (wrong == "")


def test_what_hangs_is_a_failure() -> None:
    """An example that takes its CPU time ends as one that failed, and the next begins with a full measure."""
    seen: list[int] = []

    def body(n: int) -> None:
        while n == 0:
            pass

    call = watched(body, lambda: seen.append(1), cpu_s=0.05)
    with pytest.raises(Hang):
        call(0)
    call(1)
    assert len(seen) == 2


def test_every_module_with_properties_is_in_it() -> None:
    """What has `@given` is fuzzed; and a run of no time at all is no pass."""
    assert {"tests/test_wire.py", "tests/test_codecs.py", "tests/test_config.py"} <= set(fuzz.modules())
    command = [sys.executable, "-m", "tests.fuzz", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "fuzz.failures 0 0 pass")
