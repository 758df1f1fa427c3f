"""One promise broken on purpose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """`old` stands once in `file` and becomes `new`; each of `told_by` must fail then."""

    name: str
    file: str
    old: str
    new: str
    told_by: tuple[str, ...]
