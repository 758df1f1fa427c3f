"""Hypothesis measures our rules, not the machine: an example may take as long as a busy runner needs."""

from hypothesis import settings

settings.register_profile("suimon", deadline=None, print_blob=True)
settings.load_profile("suimon")
