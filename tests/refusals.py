"""Which refusals there are in the source, with the facts that each gives wherever it is raised."""

from __future__ import annotations

import ast
from functools import cache

from gateway.errors import ActCode
from tests import readme

BRIDGE = readme.ROOT / "gateway" / "bridge"
FILES = [BRIDGE / f"{x}.py" for x in ("act", "acts", "recording", "requests")]
# What the interface and the store say themselves, and what is not raised by its own name.
ELSEWHERE: dict[str, frozenset[str]] = {"grave": frozenset({"rank"}), "forgotten": frozenset()}


def raised() -> list[tuple[str, ast.Call]]:
    """(place, call) of every Refused that is made."""
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refused":
                found.append((f"{path.name}:{node.lineno}", node))
    return found


def code_of(call: ast.Call) -> ActCode | None:
    """ActCode.X as the first argument."""
    first = call.args[0] if call.args else None
    if isinstance(first, ast.Attribute) and isinstance(first.value, ast.Name) and first.value.id == "ActCode":
        return ActCode[first.attr]
    return None


@cache
def given() -> dict[str, frozenset[str]]:
    """Code -> the facts that it has wherever it is raised. `**about` of acts._stands is spelt out."""
    found = dict(ELSEWHERE)
    for _, call in raised():
        code = code_of(call)
        if code is None:
            continue
        names = frozenset(n for x in call.keywords for n in ([x.arg] if x.arg else ["station", "level", "claimed"]))
        found[code.value] = found.get(code.value, names) & names
    return found
