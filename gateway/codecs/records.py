"""SenML of others (RFC 8428), in JSON and CBOR: without log and number, names and times as the RFC resolves them."""

from __future__ import annotations

import json
import math
from typing import Any

from gateway.codecs import MAX_READINGS, Record, Told, Unreadable
from gateway.errors import FaultCode

RELATIVE_TIME = 2**28  # RFC 8428, section 4.5.3: smaller times are relative to now
_LABELS = {-6: "bs", -5: "bv", -4: "bu", -3: "bt", -2: "bn", -1: "bver", 0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb",
           5: "s", 6: "t", 7: "ut", 8: "vd"}  # fmt: skip  # RFC 8428, table 4
_FAULTS = {c.value: c for c in FaultCode}


def read_json(payload: bytes) -> tuple[Told, ...]:
    try:
        return _resolved(json.loads(payload))
    except (ValueError, RecursionError) as e:
        raise _unreadable(e, "no JSON text") from None


def read_cbor(payload: bytes) -> tuple[Told, ...]:
    import cbor2  # only a bridge that listens to CBOR needs it

    try:
        found = cbor2.loads(payload)
    except (cbor2.CBORError, ValueError, TypeError, ArithmeticError, EOFError, MemoryError, RecursionError) as e:
        raise _unreadable(e, "no CBOR") from None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Unreadable("no SenML pack")
    return _resolved([{_LABELS.get(k, k) if isinstance(k, int) else k: v for k, v in item.items()} for item in found])


def _unreadable(e: Exception, text: str) -> Unreadable:
    return e if isinstance(e, Unreadable) else Unreadable(text)


def _resolved(pack: Any) -> tuple[Told, ...]:
    """What was measured at one time is one reading."""
    if not isinstance(pack, list) or not pack or not all(isinstance(item, dict) for item in pack):
        raise Unreadable("no SenML pack")
    if len(pack) > MAX_READINGS:
        raise Unreadable(f"more than {MAX_READINGS} records")
    base: dict[str, Any] = {"bn": "", "bt": 0.0, "bu": "", "bv": 0.0}
    found: dict[float, list[Record]] = {}
    for item in pack:
        for key in item:
            if not isinstance(key, str) or key.endswith("_"):  # section 4.4: such a label must be understood
                raise Unreadable("a label that must be understood and is not")
        base.update({key: _typed(item[key], key) for key in base if key in item})
        record = _record(item, base)
        if record is not None:
            at = base["bt"] + _number(item.get("t", 0.0), "t")
            if not math.isfinite(at) or abs(at) > 1e11:
                raise Unreadable("a time that is no usable number")
            found.setdefault(at, []).append(record)
    return tuple(_told(at, records) for at, records in found.items())


def _told(at: float, records: list[Record]) -> Told:
    relative = at < RELATIVE_TIME
    if not at:
        return Told(records=tuple(records))
    return Told(
        records=tuple(records),
        at_ms=None if relative else round(at * 1000),
        age_ms=round(-at * 1000) if relative else 0,
    )


def _record(item: dict[str, Any], base: dict[str, Any]) -> Record | None:
    """None for a record that only sets what holds for those behind it."""
    name = base["bn"] + _text(item.get("n", ""), "n")
    unit = _text(item.get("u", base["bu"]), "u")
    if "v" in item or "vb" in item:
        value = float(item["vb"]) if isinstance(item.get("vb"), bool) else _number(item.get("v"), "v")
        total = value + base["bv"]
        if not math.isfinite(total):
            raise Unreadable("a value that is not finite")
        return Record(name, unit, total)
    if "vs" in item:
        return Record(name, unit, None, _FAULTS.get(_text(item["vs"], "vs"), FaultCode.MALFORMED))
    if "vd" in item or "s" in item:
        return Record(name, unit, None, FaultCode.MALFORMED)
    return None


def _typed(found: Any, key: str) -> Any:
    return _text(found, key) if key in ("bn", "bu") else _number(found, key)


def _text(found: Any, key: str) -> str:
    if not isinstance(found, str) or len(found) > 200:
        raise Unreadable(f"{key} is no text")
    try:
        found.encode()
    except UnicodeEncodeError:
        raise Unreadable(f"{key} holds half of a UTF-16 pair") from None
    return found


def _number(found: Any, key: str) -> float:
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise Unreadable(f"{key} is no number")
    try:
        return float(found)
    except OverflowError:
        raise Unreadable(f"{key} is too large") from None
