"""The list of mutations stays one of this code: `make mutations` runs it, which takes minutes."""

from __future__ import annotations

import re

import pytest

from tests.crash.mutations import MUTATIONS, ROOT, Mutation, row


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_what_is_to_be_broken_and_who_would_tell_are_there(mutation: Mutation) -> None:
    """The text stands once in its file, and the tests that must tell exist."""
    assert (ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.old) == 1
    assert mutation.told_by
    for test in mutation.told_by:
        file, _, name = test.partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), test


def test_the_readme_has_the_list() -> None:
    """The table of tests/crash/README.md is this list."""
    text = (ROOT / "tests/crash/README.md").read_text(encoding="utf-8")
    section = text.partition("by `make mutations`\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert sorted(table) == sorted(map(row, MUTATIONS))
