"""What is in a profile, for people (`suimon profile show`) and for scripts (`list --json`): facts, where they stand on
the bus, what is a fault, and what of it nobody has verified. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway import busfile, units
from gateway.encodings import binary, jsonpath, named, registers, text
from gateway.examplefile import MANDATORY
from gateway.profiles import UNVERIFIED, At, Faults, Profile, Status, Value

_READ = {
    "registers": "registers",
    "binary": "binary frames",
    "text": "lines of text",
    "json": "JSON texts",
    "named": "numbers by name",
}
_LINES = {"serial", "modbus_rtu"}


def row(profile: Profile) -> dict[str, Any]:
    """One line of `list --json`."""
    return {
        "name": profile.id,
        "vendor": profile.vendor,
        "model": profile.model,
        "quantities": quantities(profile),
        "bus": busfile.carriers(profile),
        "encoding": profile.encoding,
        "examples": len(profile.examples),
        "verified": profile.verified,
    }


def quantities(profile: Profile) -> list[str]:
    return list(dict.fromkeys(value.quantity for value in profile.values))


def shown(profile: Profile) -> Iterator[str]:
    """The lines of `show`."""
    yield f"{profile.id}: {profile.vendor} {profile.model}, {'verified' if profile.verified else 'UNVERIFIED'}"
    yield from _pairs(
        [
            ("source", profile.source),
            ("read as", _read(profile)),
            ("bus", ", ".join(busfile.carriers(profile)) or _no_bus(profile)),
            ("asked", _asked(profile)),
            ("sampled", _sampled(profile)),
            ("digest", profile.digest),
        ]
    )
    yield ""
    heads = ("value", "quantity", "unit", "range", "accuracy", "resolution", "where")
    yield from table([heads, *(_facts(value) for value in profile.values)])
    yield ""
    yield "faults (what the bus gives, before scaling):"
    yield from _indented(_faults(profile) or ["none is known"])
    yield "sources:"
    yield from _indented(f"{value.name}: {value.source or 'as of the profile'}" for value in profile.values)
    yield "examples:"
    yield from _indented(_examples(profile))
    yield "not verified:"
    yield from _indented(unverified(profile) or ["nothing"])


def unverified(profile: Profile) -> list[str]:
    """What nobody has compared with the sensor or its documents, a sentence each."""
    out = []
    if profile.source == UNVERIFIED:
        out.append("the whole: it names no document; at such a sensor edge.yaml says 'accept_unverified: true'")
    elif not profile.verified:
        out.append("the whole: none of its examples was taken from a source")
    out += [f"{value.name}: {value.source}" for value in profile.values if UNVERIFIED in value.source]
    out += [f"{value.name}: no range is stated" for value in profile.values if value.span is None]
    out += [f"{value.name}: no accuracy is stated" for value in profile.values if value.accuracy is None]
    derived = [example.name for example in profile.examples if example.derived]
    if derived:
        out.append(f"examples made by our own encoder: {', '.join(derived)}")
    return out


def place(at: At) -> str:
    """Where a number stands, in words."""
    match at:
        case registers.At():
            last = at.address + at.length - 1
            which = f"register {at.address}" if at.length == 1 else f"registers {at.address} to {last}"
            order = ", low word first" if at.length > 1 and at.word_order == "little" else ""
            return f"{which}, {at.type}{order}{_bits(at.bits)}"
        case binary.At():
            behind = f" behind tag {at.tag.hex(' ').upper()}" if at.tag else " from the end" if at.byte < 0 else ""
            little = [f"low {x} first" for x, o in (("byte", at.byte_order), ("word", at.word_order)) if o == "little"]
            return ", ".join([f"byte {abs(at.byte)}{behind}", at.type, *little]) + _bits(at.bits)
        case text.At():
            if at.holds:
                return f"'{at.holds}' anywhere in the line"
            if at.columns is not None:
                return f"characters {at.columns[0]} to {at.columns[1]}"
            where = f"behind '{at.key}'" if at.key else f"field {at.field}"
            return where + (f" before '{at.after}'" if at.after else "") + (f", {at.type}" if at.type else "")
        case jsonpath.At():
            return "path " + ".".join(map(str, at.path)) + (f", else {at.absent:g}" if at.absent is not None else "")
        case named.At():
            times = f" times {at.times}" if at.times else ""
            return f"'{at.name}'{times}" + (f" times {at.factor:g}" if at.factor != 1 else "")


def _bits(bits: tuple[int, int] | None) -> str:
    if bits is None:
        return ""
    return f", bit {bits[0]}" if bits[0] == bits[1] else f", bits {bits[0]} to {bits[1]}"


def _no_bus(profile: Profile) -> str:
    radio = profile.encoding == "binary" and profile.frame is not None and not profile.frame.ends
    return "none: the payload of a radio, which the bridge decodes" if radio else "none of this version"


def _asked(profile: Profile) -> str:
    """How its serial line is set, and what it is sent; or by which command or path."""
    asked = profile.asked
    if asked.addresses:
        read = f"register {asked.register.hex(' ').upper()}" if asked.register else "what it has ready"
        sent = f"sent {asked.send.hex(' ').upper()}, after {asked.pause_s * 1000:g} ms " if asked.send else ""
        return f"at {' or '.join(asked.addresses)}, {sent}read: {read}"
    if asked.folder:
        return f"in {asked.folder}" + (f", named {asked.device}" if asked.device else "")
    if asked.measure or asked.path:
        return f"by {asked.measure}" if asked.measure else f"for {asked.path}"
    if asked.gpio:
        stands, between = (f"{x * 1000:g} ms" for x in (asked.debounce_s, asked.between_s))
        pulses = f"pulses counted, {between} apart or more" if asked.gpio == "count" else "levels"
        return f"lines: {pulses}, debounced for {stands}"
    sent = f", sent {_bytes(profile, asked.send)} before each reading" if asked.send else ""
    alone = ", speaks by itself" if not asked.send and profile.encoding in ("text", "binary") else ""
    return f"{asked.baud} baud {asked.format}{sent or alone}" if _LINES & {*busfile.carriers(profile)} else ""


def _read(profile: Profile) -> str:
    parts = [_READ[profile.encoding]]
    if profile.encoding == "registers":
        blocks = (f"{first} to {first + count - 1}" if count > 1 else str(first) for first, count in profile.blocks())
        parts.append(f"{profile.function}: {', '.join(blocks)}")
    if (frame := profile.frame) is not None:
        parts += [f"begins with {_bytes(profile, frame.start)}"] if frame.start else []
        parts += [f"ends with {_bytes(profile, frame.end)}"] if frame.end else []
        parts += [f"{frame.length} bytes"] if frame.length else []
        parts += [f"tags {', '.join(tag.hex(' ').upper() for tag, _ in frame.tags)}"] if frame.tags else []
        parts += [f"checksum {frame.checksum}"] if frame.checksum else []
        parts += [f"fields parted by {frame.separator!r}"] if frame.separator else []
    return ", ".join(parts)


def _bytes(profile: Profile, data: bytes) -> str:
    return repr(data.decode("ascii", "replace")) if profile.encoding == "text" else data.hex(" ").upper()


def _sampled(profile: Profile) -> str:
    sampled = profile.sampled
    pause = f", {units.in_words(sampled.pause_s) if sampled.pause_s >= 1 else f'{sampled.pause_s * 1000:g} ms'} apart"
    parts = [f"median of {sampled.burst} readings{pause}" if sampled.burst > 1 else "one reading"]
    if sampled.warm_up_s:
        parts.append(f"no reading within {units.in_words(sampled.warm_up_s)} after power came")
    return "; ".join(parts)


def _facts(value: Value) -> tuple[str, ...]:
    unit = units.QUANTITIES[value.quantity].unit
    span = f"{_number(value.span[0])} to {_number(value.span[1])}" if value.span else "-"
    accuracy, resolution = ("-" if x is None else _number(x) for x in (value.accuracy, value.resolution))
    where = place(value.at) + (", may be left out" if value.optional else "")
    return value.name, value.quantity, unit, span, accuracy, resolution, where


def _number(x: float) -> str:
    return f"{x:.6g}"


def _faults(profile: Profile) -> list[str]:
    said = [(value.name, _meanings(value.faults)) for value in profile.values]
    out = [f"{name}: {meanings}" for name, meanings in said if meanings]
    return out + [_status(status) for status in profile.status]


def _status(status: Status) -> str:
    bits = ", ".join(f"bit {bit} {code}" for bit, code in status.bits.items())
    meanings = ", ".join(x for x in (_meanings(status.faults), bits) if x)
    return f"status at {place(status.at)}: {meanings} (of {', '.join(status.values)})"


def _meanings(faults: Faults) -> str:
    these = [f"{f'{x:g}' if isinstance(x, float) else repr(x)} {code}" for x, code in faults.these.items()]
    these += [f"below {faults.below[0]:g} {faults.below[1]}"] if faults.below else []
    these += [f"above {faults.above[0]:g} {faults.above[1]}"] if faults.above else []
    return ", ".join(these)


def _examples(profile: Profile) -> Iterator[str]:
    others = sum(example.name not in MANDATORY for example in profile.examples)
    yield f"{len(profile.examples)}, of which {others} beside {', '.join(MANDATORY)}"
    for example in profile.examples:
        if example.place:
            yield f"{example.name}: {example.place}"
    unplaced = [example.name for example in profile.examples if example.name in MANDATORY and not example.place]
    if unplaced:
        yield f"without a place, so by the facts above and not by bytes of a source: {', '.join(unplaced)}"


# --- how lines stand beneath each other


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows with their columns beneath each other."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for cells in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _pairs(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield from table([pair for pair in pairs if pair[1]])


def _indented(lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in lines)
