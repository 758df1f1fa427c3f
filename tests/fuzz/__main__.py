"""`make fuzz`: every property test again and again, with examples that nobody has seen, for an hour.

`make fuzz ARGS=300` for five minutes, `make fuzz ARGS="300 tests/test_wire.py"` for some modules. One process for each
module and round: what one breaks harms no other. A failure is printed with its example, which Hypothesis also keeps
(`.hypothesis/`), so that the next run of the test begins with it.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.watch import Watch

ROOT = Path(__file__).parents[2]
HOUR_S = 3600.0
EXAMPLES = "500"  # of each test and round; a test that says how many it takes keeps to that
ROUND_S = 1800.0  # of wall clock, for what hangs where no signal reaches it
NO_TESTS = 5  # pytest's exit code


def one_round(module: str, seed: int, counts: Path) -> int:
    """In a process of its own: the property tests of a module."""
    flags = [
        "-q",
        "--no-header",
        "-m",
        "hypothesis and not live",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:schemathesis",  # it takes the values out of the examples that are printed
        f"--hypothesis-seed={seed}",
    ]
    return int(pytest.main([*flags, module], plugins=[Watch(counts)]))


def modules() -> list[str]:
    files = sorted((ROOT / "tests").glob("test_*.py"))
    return [str(f.relative_to(ROOT)) for f in files if "@given" in f.read_text(encoding="utf-8")]


def tried(module: str, counts: Path) -> tuple[str, Counter[str]]:
    """(what went wrong, or nothing; how many examples each test took)."""
    seed = random.SystemRandom().getrandbits(32)
    command = [sys.executable, "-m", "tests.fuzz", "round", module, str(seed), str(counts)]
    env = os.environ | {"SUIMON_FUZZ": EXAMPLES}
    counts.unlink(missing_ok=True)
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=ROUND_S, check=False)
    except subprocess.TimeoutExpired as e:
        return f"no end after {ROUND_S:g} s\n{(e.stdout or b'').decode(errors='replace')[-4000:]}", Counter()
    found = Counter[str](json.loads(counts.read_text())) if counts.exists() else Counter[str]()
    wrong = "" if done.returncode in (0, NO_TESTS) else f"seed {seed}\n{(done.stdout + done.stderr)[-12_000:]}"
    return wrong, found


def main(seconds: float, wanted: list[str]) -> int:
    begun, rounds, failures = time.monotonic(), 0, Counter[str]()
    examples = Counter[str]()
    with tempfile.TemporaryDirectory(prefix="suimon-fuzz-") as folder:
        while time.monotonic() - begun < seconds:
            order = [m for m in wanted or modules() if not failures[m]]  # one that fails is known
            if not order:
                break
            random.SystemRandom().shuffle(order)
            for module in order:
                if time.monotonic() - begun >= seconds:
                    break
                wrong, found = tried(module, Path(folder) / "counts.json")
                examples += found
                if wrong:
                    failures[module] += 1
                    print(f"# {module}: {wrong}", flush=True)
            rounds += 1
    for name, count in sorted(examples.items()):
        print(f"{name} {count}")
    print(f"fuzz.seconds {time.monotonic() - begun:.0f} - pass")
    print(f"fuzz.rounds {rounds} - pass")
    print(f"fuzz.tests {len(examples)} - pass")
    print(f"fuzz.examples {sum(examples.values())} 1 {'pass' if examples else 'fail'}")
    print(f"fuzz.failures {len(failures)} 0 {'fail' if failures else 'pass'}")
    return 1 if failures or not examples else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["round"]:
        sys.exit(one_round(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
    given = [word for word in sys.argv[1:] if word.isdigit()]
    sys.exit(main(float(given[0]) if given else HOUR_S, [word for word in sys.argv[1:] if not word.isdigit()]))
