"""device_profiles/<id>.yaml -> a profile: scales compiled, places and faults checked, every example executed.

An example is documentation, test and contract in one block, so a profile whose examples fail is not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gateway import examplefile, profiles, profileschema, qualityfile, units
from gateway.encodings import binary, frames, jsonpath, named, numbers, registers, text
from gateway.encodings.frames import Frame
from gateway.errors import FaultCode, Problem
from gateway.fields import fault_key, show
from gateway.profiles import Asked, At, EncodingName, Faults, Profile, Sampled, Status, Value
from gateway.profileschema import StatusRow, ValueRow
from gateway.validation import amount_of, loosely, quantity_of, span_of, unit_of, validate
from gateway.yamlfile import Document, Path

LAST_REGISTER = 65535
HARMLESS = ("examples", "id", "values.", "asked", "sampled")  # what is wrong here changes no other value
TEXTS = ("text", "json")  # encodings in which words may stand


def profile(document: Document, stem: str) -> Profile | None:
    """The profile, its examples executed, or None where the document has problems. `stem` is the file's name without
    `.yaml`."""
    result = _built(document, stem)
    if result is None or not all(x.path.startswith(HARMLESS) for x in document.problems):
        return None  # what the values mean is not known
    if not document.problems:
        examplefile.sourced(document, result)
    for example, sentence in examplefile.failures(_right_of(document, result)):
        place = (example.line, example.col)
        document.problems.append(Problem(document.file, *place, f"example '{example.name}'", sentence))
    return None if document.problems else result


def _right_of(document: Document, found: Profile) -> Profile:
    """The profile without the values that have a mistake, in its examples too: the others can be executed."""
    wrong = {x.path.split(".")[1].partition("[")[0] for x in document.problems if x.path.startswith("values.")}
    values = tuple(value for value in found.values if value.name not in wrong)
    names = {value.name for value in values}
    examples = (replace(e, expect={n: x for n, x in e.expect.items() if n in names}) for e in found.examples)
    return replace(found, values=values, examples=tuple(examples))


def compiled(document: Document, stem: str, *, with_examples: bool = True) -> Profile | None:
    """The profile before its examples are executed; or one of which they are not written yet."""
    found = _built(document, stem, with_examples=with_examples)
    return None if document.problems else found


def _built(document: Document, stem: str, *, with_examples: bool = True) -> Profile | None:
    """Of what is right in the document: of use where nothing else is wrong with it than examples."""
    head = validate(profileschema.Profile, document)
    if head is not None and head.id != stem:
        document.add(("id",), f"'{head.id}' is not the file's name. Did you mean '{stem}'?")
    stated = document.mapping(()).get("encoding")
    encoding: EncodingName = next((x for x in profiles.ENCODINGS if x == stated), "registers")
    if head is not None and encoding != "registers" and head.function is not None:
        document.add(("function",), "function is for registers only. Leave it out", at_key=True)
    frame = _frame(document, encoding)
    names = [str(name) for name in document.mapping(("values",))]
    found = [_value(document, ("values", name), encoding) for name in document.mapping(("values",))]
    values = tuple(value for value in found if value)
    status = tuple(x for x in (_status(document, i, encoding, names) for i in _listed(document, "status")) if x)
    _apart(document, encoding, values, frame)
    with_fault = bool(status) or any(v.faults for v in values)
    examples = examplefile.examples(document, encoding, values, with_fault) if with_examples else ()
    if head is None:
        return None
    return Profile(
        id=head.id,
        vendor=head.vendor,
        model=head.model,
        source=head.source,
        encoding=head.encoding,
        values=values,
        examples=examples,
        function=head.function or "holding",
        digest=document.digest,
        frame=frame,
        status=status,
        sampled=_sampled(head.sampled),
        asked=_asked(document, head.asked),
    )


def _sampled(row: profileschema.Sampled | None) -> Sampled:
    return Sampled() if row is None else Sampled(row.burst, row.pause, row.warm_up)


def _asked(document: Document, row: profileschema.Asked | None) -> Asked:
    if row is None:
        return Asked()
    if row.send is not None and row.send_hex is not None:
        document.add(("asked", "send_hex"), "'send' already says what is sent. Keep one of them", at_key=True)
    send = (row.send or "").encode() or row.send_hex or b""
    if row.device is not None and row.folder is None and "folder" not in document.mapping(("asked",)):
        example = '"bus/iio/devices/iio:device*"'
        document.add(("asked", "device"), f"'folder' is missing. Add for example 'folder: {example}'", at_key=True)
    _asked_of_i2c(document, row)
    return Asked(
        baud=row.baud,
        format=row.format,
        send=send,
        path=row.path or "",
        measure=row.measure or "",
        folder=row.folder or "",
        device=row.device or "",
        gpio=row.gpio or "",
        debounce_s=row.debounce,
        between_s=row.between,
        addresses=tuple(row.addresses or ()),
        register=row.register_hex or b"",
        stop=not row.repeated_start,
        pause_s=row.pause,
    )


def _asked_of_i2c(document: Document, row: profileschema.Asked) -> None:
    stated = document.mapping(("asked",))
    for key in ("pause", "register_hex", "repeated_start"):
        if key in stated and "addresses" not in stated:
            message = f"{key} is of a sensor on I2C. Add for example 'addresses: [0x44]', or leave it out"
            document.add(("asked", key), message, at_key=True)
    if row.register_hex is not None and len(row.register_hex) not in (1, 2):
        document.add(("asked", "register_hex"), "the address of a register is one or two bytes: 'F7', '01 00'")
    if "pause" in stated and not (row.send or row.send_hex):
        document.add(("asked", "pause"), "nothing is sent before it. Add for example 'send_hex: 24 00'", at_key=True)


def _listed(document: Document, key: str) -> Iterator[int]:
    found = document.mapping(()).get(key)
    yield from range(len(found) if isinstance(found, list) else 0)


def _frame(document: Document, encoding: EncodingName) -> Frame | None:
    path: Path = ("frame",)
    if "frame" not in document.mapping(()):
        return None
    if encoding not in ("binary", "text"):
        document.add(path, f"a frame belongs to binary and text, not to {encoding}. Leave it out", at_key=True)
        return None
    if encoding == "binary":
        row = validate(profileschema.BinaryFrame, document, path)
        if row is None:
            return None
        if not (row.length or row.end or row.payload or row.tags):
            message = "nothing says where it ends. Add for example 'length: 4', or 'payload: true' for one of a radio"
            document.add(path, message, at_key=True)
        inside = (row.length or 0) - len(row.start) - len(row.end)
        if row.checksum == frames.IN_WORDS and (inside % 3 or not row.length):
            message = "words of two bytes with a CRC each are 3, 6, 9, … bytes between start and end. Write 'length'"
            document.add((*path, "checksum"), message)
        return Frame(row.start, row.end, row.length or 0, row.checksum or "", tags=tuple(row.tags.items()))
    line = validate(profileschema.TextFrame, document, path)
    if line is None:
        return None
    if line.checksum == frames.IN_WORDS:
        document.add((*path, "checksum"), f"{frames.IN_WORDS} belongs to binary frames, not to lines of text")
    if not line.length and not line.end:
        document.add(path, """nothing says where it ends. Add for example 'end: "\\r\\n"'""", at_key=True)
    if line.separator != text.SIGN and len(line.separator) > 1:
        document.add((*path, "separator"), f"{show(line.separator)} is not one character, nor the word 'sign'")
    return Frame(line.start.encode(), line.end.encode(), line.length or 0, line.checksum or "", line.separator)


# --- values


def _value(document: Document, path: Path, encoding: EncodingName) -> Value | None:
    before = len(document.problems)
    model = profileschema.VALUES[encoding]
    row: ValueRow | None = validate(model, document, path)
    judged = row or loosely(model, document, path)
    quantity = quantity_of(document, path, judged.quantity if judged else None, str(path[-1]))
    if judged is None or quantity is None:
        return None
    scale, offset = _scale(document, path, judged, quantity)
    faults = _faults(document, path, judged.faults, encoding)
    span = span_of(document, (*path, "span"), judged.span, quantity)
    facts = {
        name: _fact(document, (*path, name), getattr(judged, name), quantity, span)
        for name in ("accuracy", "resolution")
    }
    value = Value(
        name=str(path[-1]),
        quantity=quantity,
        unit=judged.unit or "",
        scale=scale,
        offset=offset,
        at=_at(document, path, row, encoding) if row else registers.At(),
        span=span,
        tests=qualityfile.of_sensor(document, path, quantity),
        faults=faults,
        words=getattr(judged, "words", None) or {},
        accuracy=facts["accuracy"],
        resolution=facts["resolution"],
        source=judged.source or "",
        optional=judged.optional or False,
        internal=judged.internal or False,
    )
    if row is not None:
        _may_be_absent(document, path, row, value.at)
        _faults_fit(document, path, value, encoding)
    return None if row is None or len(document.problems) > before else value


def _scale(document: Document, path: Path, row: ValueRow, quantity: str) -> tuple[float, float]:
    """Scale and offset to the canonical unit: of a unit with scale and offset of its own, or through two points."""
    if row.points is not None:
        return _through(document, path, row, quantity)
    if row.unit is None and "unit" not in document.mapping(path):
        document.add(path, "'unit' is missing. Add for example 'unit: mm'", at_key=True)
    if row.scale == 0:
        document.add((*path, "scale"), "0 would make every number the same. Write the size of one step")
    scale, offset = (unit_of(document, path, row.unit, quantity) if row.unit else None) or (1.0, 0.0)
    return (row.scale or 1.0) * scale, (row.offset or 0.0) * scale + offset


def _through(document: Document, path: Path, row: ValueRow, quantity: str) -> tuple[float, float]:
    """The line through two points, of which each is a number on the bus and the amount that it means."""
    where = (*path, "points")
    for key in ("scale", "offset"):
        if getattr(row, key) is not None:
            document.add((*path, key), f"the points already say it. Leave {key} out", at_key=True)
    points = row.points or {}
    if len(points) != 2 or not all(isinstance(x, float) for x in points):
        document.add(where, "these are not two points. Write them like {4: 0 m, 20: 5 m}", at_key=True)
        return 1.0, 0.0
    (x1, a), (x2, b) = ((float(x), amount) for x, amount in points.items() if isinstance(x, float))
    keys = list(document.mapping(where))
    y1 = amount_of(document, (*where, keys[0]), a, quantity)
    y2 = amount_of(document, (*where, keys[1]), b, quantity)
    if y1 is None or y2 is None:
        return 1.0, 0.0
    if y1 == y2:
        document.add(where, "both points mean the same amount. Write two different ones", at_key=True)
        return 1.0, 0.0
    scale = (y2 - y1) / (x2 - x1)
    return scale, y1 - scale * x1


def _fact(
    document: Document, path: Path, stated: str | None, quantity: str, span: tuple[float, float] | None
) -> float | None:
    """An accuracy or resolution in canonical unit: an amount, or a share of the span, as makers state both."""
    if stated is None:
        return None
    share = stated.removesuffix("%").strip()
    if stated.endswith("%") and units.QUANTITIES[quantity].unit not in ("%RH", "%EL"):
        try:
            part = float(share)
        except ValueError:
            document.add(path, f"'{stated}' is no share. Write for example '0.5 %'")
            return None
        if span is None:
            document.add(path, "a share of the span needs 'span' beside it", at_key=True)
            return None
        return round(part / 100 * (span[1] - span[0]), 9)
    return amount_of(document, path, stated, quantity, units.parse_difference)


# --- where a number stands


def _at(document: Document, path: Path, row: Any, encoding: EncodingName) -> At:
    """Of a value or status; what cannot be is a problem of the document."""
    match encoding:
        case "registers":
            at = registers.At(row.address, row.type, row.word_order, row.bits)
            if at.address + at.length - 1 > LAST_REGISTER:
                message = f"a {row.type} at {row.address} ends above {LAST_REGISTER}, the last register"
                document.add((*path, "address"), message)
            _bits_fit(document, path, row)
            return at
        case "binary":
            _bits_fit(document, path, row)
            if row.word_order == "little" and numbers.size(row.type) % 2:
                document.add((*path, "word_order"), f"a {row.type} has no words of two bytes. Leave it out")
            return binary.At(row.byte, row.type, row.byte_order, row.bits, row.tag, row.word_order)
        case "text":
            holds = getattr(row, "holds", "")
            if [row.field is None, row.columns is None, not row.key, not holds].count(False) != 1:
                message = "it stands in a field or at columns. Write one of them: 'field: 0', 'key: Acc' or "
                document.add(path, message + "'columns: [1, 4]'", at_key=True)
            if row.type and row.field is None:
                document.add(
                    (*path, "type"), f"a {row.type} of degrees and minutes stands in a field. Write 'field: 2'"
                )
            return text.At(row.field, row.columns, row.key, row.after, row.type, holds)
        case "json":
            return jsonpath.At(row.path, row.absent)
        case "named":
            return named.At(row.input, row.times or "", row.factor)


def _may_be_absent(document: Document, path: Path, row: ValueRow | StatusRow, at: At) -> None:
    if row.optional and not (isinstance(at, binary.At) and at.tag) and not (isinstance(at, text.At) and at.key):
        message = "only what stands behind a tag or a key can be left out of a message. Leave optional out"
        document.add((*path, "optional"), message, at_key=True)


def _bits_fit(document: Document, path: Path, row: Any) -> None:
    if row.bits is None:
        return
    if not row.type.startswith("u"):
        document.add((*path, "bits"), f"bits of type {row.type} are no number. Write an unsigned type", at_key=True)
    elif row.bits[1] >= numbers.size(row.type) * 8:
        document.add(
            (*path, "bits"), f"a {row.type} has no bit {row.bits[1]}: its last is {numbers.size(row.type) * 8 - 1}"
        )


def _apart(document: Document, encoding: EncodingName, values: tuple[Value, ...], frame: Frame | None) -> None:
    """No two values may claim the same place in a way that nothing can serve."""
    if encoding == "registers":
        _no_overlap(document, values)
    elif encoding == "json":
        _no_shared_path(document, values)
    elif encoding == "binary":
        for value in values:
            if isinstance(value.at, binary.At):
                _within(document, ("values", value.name), value.at, frame or Frame())


def _within(document: Document, path: Path, at: binary.At, frame: Frame) -> None:
    """A number of a binary frame stands inside it, or inside the data behind its tag."""
    lengths = dict(frame.tags)
    if bool(at.tag) != bool(lengths) or (at.tag and at.tag not in lengths):
        known = ", ".join(tag.hex(" ").upper() for tag in lengths)
        remedy = (
            f"Write one of its tags: {known}" if lengths else "Write 'tags: {03 82: 2}' there: bytes behind each tag"
        )
        document.add(path, f"the frame has no tag '{at.tag.hex(' ').upper()}'. {remedy}", at_key=True)
        return
    length = lengths[at.tag] if at.tag else frame.length - frames.tail(frame) if frame.length else None
    if at.byte < 0 and (-at.byte < at.size or (length is not None and -at.byte > length)):
        document.add((*path, "byte"), f"a {at.type} does not stand at byte {at.byte}, counted from the end")
    elif length is not None and at.byte >= 0 and at.end > length:
        document.add((*path, "byte"), f"a {at.type} at byte {at.byte} ends behind byte {length - 1}, the last")
    elif frame.checksum == frames.IN_WORDS and (at.byte - len(frame.start)) % 3 + at.size > 2:
        document.add((*path, "byte"), f"a {at.type} at byte {at.byte} stands on a CRC, which is every third byte")


def _no_overlap(document: Document, values: tuple[Value, ...]) -> None:
    taken: dict[int, Value] = {}
    for value in values:
        assert isinstance(value.at, registers.At)
        mine = range(value.at.address, value.at.address + value.at.length)
        others = (taken[a] for a in mine if a in taken)
        other = next((x for x in others if not _share_bits(value.at, x.at)), None)
        if other is not None:
            message = f"registers {mine[0]} to {mine[-1]} overlap those of '{other.name}'"
            document.add(("values", value.name, "address"), message)
        taken.update((a, value) for a in mine if a not in taken)


def _share_bits(a: At, b: At) -> bool:
    return isinstance(a, registers.At) and isinstance(b, registers.At) and a.bits is not None and b.bits is not None


def _no_shared_path(document: Document, values: tuple[Value, ...]) -> None:
    """Two paths part at some step, by two keys or two indexes: a number, a mapping and a list exclude each other."""
    paths = [(value.name, value.at.path) for value in values if isinstance(value.at, jsonpath.At)]
    for i, (name, path) in enumerate(paths):
        for other, another in paths[:i]:
            parting = next(((a, b) for a, b in zip(path, another, strict=False) if a != b), None)
            if parting is None or type(parting[0]) is not type(parting[1]):
                message = f"no text can have a number here and at the path of '{other}'"
                document.add(("values", name, "path"), message)


# --- faults and status


def _faults(document: Document, path: Path, stated: Any, encoding: EncodingName) -> Faults:
    these: dict[float | str, FaultCode] = {}
    limits: dict[str, tuple[float, FaultCode]] = {}
    keys = list(document.mapping((*path, "faults")))
    for key, (meant, code) in zip(keys, (stated or {}).items(), strict=False):
        if isinstance(meant, tuple):
            if meant[0] in limits:
                document.add((*path, "faults", key), f"a second limit of '{meant[0]}'. Keep one of them", at_key=True)
            limits[meant[0]] = (meant[1], code)
        elif isinstance(meant, str) and encoding not in TEXTS:
            document.add((*path, "faults", key), f"{show(key)} is not a number. Write 'number: fault'", at_key=True)
        else:
            these[meant] = code
    return Faults(these, limits.get("<"), limits.get(">"))


def _faults_fit(document: Document, path: Path, value: Value, encoding: EncodingName) -> None:
    """A number that can never stand there is a misprint."""
    if not isinstance(value.at, (registers.At, binary.At)) or value.at.type not in numbers.TYPES:
        return
    for key in document.mapping((*path, "faults")):
        meant = fault_key(key)
        if isinstance(meant, float) and not _holds(value, meant, encoding):
            document.add((*path, "faults", key), f"{key} can never stand in {_range(value.at)}", at_key=True)


def _holds(value: Value, number: float, encoding: EncodingName) -> bool:
    """Whether the value's place can say exactly this number."""
    fault = FaultCode.SENSOR_ERROR
    alone = Profile("", "", "", "", encoding, (replace(value, faults=Faults({number: fault})),))
    try:
        return profiles.decode(alone, profiles.encode(alone, {value.name: fault})) == {value.name: fault}
    except ValueError:
        return False


def _range(at: registers.At | binary.At) -> str:
    if numbers.is_float(at.type):
        return f"a {at.type}" + (" (seven digits)" if at.type == "float32" else "")
    low, high = numbers.span(at.type, at.bits)
    return f"the type {at.type} (whole numbers from {low} to {high})"


def _status(document: Document, i: int, encoding: EncodingName, names: list[str]) -> Status | None:
    path: Path = ("status", i)
    before = len(document.problems)
    row: StatusRow | None = validate(profileschema.STATUS[encoding], document, path)
    if row is None:
        return None
    faults = _faults(document, path, row.faults, encoding)
    if not faults and not row.bit_faults:
        example = "'faults: {1: sensor_error}' or 'bit_faults: {3: sensor_error}'"
        document.add(path, f"it says nothing. Add {example}", at_key=True)
    for k, name in enumerate(row.values or ()):
        if name not in names:
            document.add((*path, "values", k), f"the profile has no value '{name}'")
    at = _at(document, path, row, encoding)
    _may_be_absent(document, path, row, at)
    found = Status(at, faults, row.bit_faults, tuple(row.values or names), row.optional)
    return None if len(document.problems) > before else found
