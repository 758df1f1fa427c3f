"""Hypothesis measures our rules, not the machine: an example may take as long as a busy runner needs. `make fuzz` sets
SUIMON_FUZZ to how many examples each test takes in a round, and ends what hangs by CPU time."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("suimon", deadline=None, print_blob=True)
settings.load_profile("suimon")

if examples := os.environ.get("SUIMON_FUZZ"):
    settings.register_profile(
        "fuzz",
        deadline=None,
        print_blob=True,
        derandomize=False,
        max_examples=int(examples),
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("fuzz")
