"""device_profiles/<id>.yaml as pydantic models: the form. What it means is checked in `profilefile`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from gateway import busfields as bf
from gateway import fields as f
from gateway import linefields
from gateway.schema import Row, Version, Word, may, need

Encoding = Literal["registers", "binary", "text", "json", "named"]


class Sampled(Row):
    burst: Annotated[int, Field(ge=1, le=99)] = may("How many readings one sample is the median of", 1)
    pause: f.Wait = may("Between two readings of a burst: '1s'", 0.0)
    warm_up: f.Wait = may("What the sensor says within this time after it got power is no reading: '30s'", 0.0)


class Asked(Row):
    baud: Annotated[int, Field(ge=300, le=1_000_000)] = may("Bits a second of its serial line", 9600)
    format: f.SerialFormat = may("Data bits, parity and stop bits: 8N1, 7E1", "8N1")
    send: f.Line | None = may("Sent before each reading; one that is sent nothing speaks by itself")
    send_hex: f.Hex | None = may("The same in hexadecimal: '01 04'")
    measure: f.Measurement | None = may("By which command an SDI-12 sensor measures: M, or MC with a CRC")
    path: f.UrlPath | None = may("What an HTTP device is asked for: /api/level")
    folder: bf.Pattern | None = may("Where the kernel shows such devices, under /sys: bus/iio/devices/iio:device*")
    device: f.Text | None = may("What the file 'name' in that folder says: bme280")
    gpio: Literal["count", "level"] | None = may("Lines of a GPIO chip: their pulses are counted, or their levels read")
    debounce: linefields.Debounce = may("How long a line's level must stand to count: '5ms'", 0.005)
    between: f.Wait = may("A pulse that comes sooner after the one before is its bounce: '250ms'", 0.0)
    addresses: Annotated[list[bf.I2cAddress], Field(min_length=1)] | None = may(
        "Which addresses the model may have on I2C: [0x44, 0x45]; the first where the sensor says none"
    )
    pause: f.Wait = may("On I2C: how long it measures after what was sent, before it is read: 15ms", 0.0)
    register_hex: f.Hex | None = may("On I2C: the address of the register that is read, one or two bytes: 'F7'")
    repeated_start: bool = may(
        "On I2C: false where a stop must stand between the register's address and the read", True
    )


class Profile(Row):
    version: Version = need("1", "Of the profile format")
    id: f.Name = need("acme_us10", "The file's name without .yaml")
    vendor: f.Text = need("Acme", "Who makes it")
    model: f.Text = need("US10", "As its maker calls it")
    source: f.Text = need("unverified", "The document that the facts are taken from, or the word 'unverified'")
    encoding: Encoding = need("registers", "How numbers stand in what the bus gives")
    function: Literal["holding", "input"] | None = may("Which registers are read: holding (function 3) or input (4)")
    frame: Any = may("What is around the numbers: start, end, length, checksum")
    sampled: Sampled | None = may("How it is read for one sample")
    asked: Asked | None = may("How the model is set and asked on its bus")
    values: Annotated[dict[f.ChannelName, Any], Field(min_length=1)] = need(
        "", "What it measures, by name; a name that is a quantity says so: water_level"
    )
    status: list[Any] = may("Numbers that say how the sensor is: a fault in one is the fault of its values", [])
    examples: list[Any] = need("", "What the bus gave and what it means, executed by every check")


class BinaryFrame(Row):
    start: f.Hex = may("The bytes it begins with: FF", b"")
    end: f.Hex = may("The bytes it ends with: 0D 0A", b"")
    length: Annotated[int, Field(ge=1, le=1024)] | None = may("Of the whole frame in bytes")
    checksum: f.Checksum | None = may("How it is checked, before its end")
    payload: bool = may("A radio says where it ends: neither length nor end mark", False)
    tags: dict[f.Hex, Annotated[int, Field(ge=1, le=255)]] = may(
        "A row of tagged values: each tag and how many bytes stand behind it, {04 82: 2}", {}
    )


class TextFrame(Row):
    start: f.Line = may("The text it begins with: R", "")
    end: f.Line = may('The text it ends with: "\\r\\n"', "")
    length: Annotated[int, Field(ge=1, le=1024)] | None = may("Of the whole line in characters, its end included")
    checksum: f.Checksum | None = may("How it is checked, before its end")
    separator: f.Line = may("What parts the fields: one character, or 'sign' where each has its own + or -", "")


# --- where a number stands, and what a value says of it


class RegisterAt(Row):
    address: Word = need("0", "The first register, counted from 0: a datasheet's 40001 is 0 of the holding registers")
    type: f.RegisterType = need("uint16", "What kind of number; 32 bits are two registers, 64 four")
    word_order: Literal["big", "little"] = may("Of a wide type: big has the higher word at the lower address", "big")
    bits: f.Bits | None = may("A part of the number: one bit, or [lowest, highest], 0 the least significant")


class BinaryAt(Row):
    byte: Annotated[int, Field(ge=-1023, le=1023)] = need(
        "1", "Its first byte, counted from 0 at the frame's start or behind its tag; below 0 from the end"
    )
    type: f.ByteType = need("uint16", "What kind of number")
    byte_order: Literal["big", "little"] = may("big has the higher byte first", "big")
    word_order: Literal["big", "little"] = may("Of a type of 32 or 64 bits: big has the higher word first", "big")
    bits: f.Bits | None = may("A part of the number: one bit, or [lowest, highest], 0 the least significant")
    tag: f.Hex = may("The tag it stands behind: 04 82", b"")


class TextAt(Row):
    field: Annotated[int, Field(ge=0, le=255)] | None = may("Which field between separators, counted from 0")
    columns: f.Columns | None = may("The first and the last character, counted from 0 behind the start: [0, 3]")
    key: f.Line = may('What its field begins with: "Dm="', "")
    after: f.Line = may("What must stand behind its number, a unit: D. Any other text is looked up in faults", "")
    type: Literal["", "latitude", "longitude"] = may(
        "Degrees and minutes, with the letter of the hemisphere in the next field", ""
    )


class JsonAt(Row):
    path: f.JsonPath = need("level.value", "Keys and indexes of lists with dots between them: items.0.level")
    absent: float | None = may("What it means where the last key is left out, as some senders do with 0")


class NamedAt(Row):
    input: f.Text = need("in_temp_input", "Its name on the bus: a file of the driver, 'pulses', 'contact'")
    times: f.Text | None = may("The name of a number to multiply it by: the driver's own scale")
    factor: float = may("A number to multiply it by", 1.0)


class ValueRow(Row):
    quantity: f.Text | None = may("What is measured; left out where the name already says it")
    unit: f.Text | None = may("Of the number after scale and offset")
    scale: float | None = may("The size of one step, in the unit: 0.1 where 123 means 12.3")
    offset: float | None = may("What is added after scaling, in the unit")
    points: dict[f.FaultKey, f.Amount] | None = may(
        "Instead of unit and scale: two numbers and what they mean, {4: 0 m, 20: 5 m}"
    )
    span: f.Span | None = may("What the sensor can measure: [0 m, 10 m]. What lies outside is flagged, never deleted")
    accuracy: f.Amount | None = may("As its maker states it: 5 mm, or 0.5 % of the span")
    resolution: f.Amount | None = may("As its maker states it: 1 mm, or 0.1 % of the span")
    source: f.Text | None = may("Where these facts stand: manual, p. 12")
    optional: bool = may("A message without it says nothing of it, which is no fault; behind a tag or key", False)
    internal: bool = may("It says where people are or what they do: such a channel leaves the house nowhere", False)
    quality: Any = may("Quality tests that belong to the sensor: its noise, its resolution")
    faults: dict[f.FaultKey, f.Fault] = may(
        "What stands for a fault instead of a value, before scaling: 65535: no_echo, '<3.6': sensor_error", {}
    )


class _Worded(ValueRow):
    words: dict[f.Text, float] = may("Texts that mean a number: {ON: 1, OFF: 0}", {})


class RegisterValue(ValueRow, RegisterAt):
    pass


class BinaryValue(ValueRow, BinaryAt):
    pass


class TextValue(_Worded, TextAt):
    pass


class JsonValue(_Worded, JsonAt):
    pass


class NamedValue(ValueRow, NamedAt):
    pass


class StatusRow(Row):
    optional: bool = may("A message without it says nothing of it, which is no fault; behind a tag or key", False)
    faults: dict[f.FaultKey, f.Fault] = may("What the number stands for: {1: sensor_error}", {})
    bit_faults: dict[int, f.Fault] = may("What a bit means that is set, 0 the least significant: {3: warming_up}", {})
    values: Annotated[list[f.ChannelName], Field(min_length=1)] | None = may("Which values it is about; else all")


class RegisterStatus(StatusRow, RegisterAt):
    pass


class BinaryStatus(StatusRow, BinaryAt):
    pass


class TextStatus(StatusRow, TextAt):
    holds: f.Line = may("A text: 1 where it stands anywhere in the line, else 0", "")


class JsonStatus(StatusRow, JsonAt):
    pass


class NamedStatus(StatusRow, NamedAt):
    pass


VALUES: dict[str, type[ValueRow]] = {
    "registers": RegisterValue,
    "binary": BinaryValue,
    "text": TextValue,
    "json": JsonValue,
    "named": NamedValue,
}
STATUS: dict[str, type[StatusRow]] = {
    "registers": RegisterStatus,
    "binary": BinaryStatus,
    "text": TextStatus,
    "json": JsonStatus,
    "named": NamedStatus,
}


# --- examples


class Example(Row):
    name: f.Text = need("normal", "normal, lowest, highest, fault and malformed must be there; others as you like")
    registers: dict[Word, Annotated[list[Word], Field(min_length=1)]] | None = may(
        "What the registers held, by the first address: {0: [0, 17, 1234]}"
    )
    hex: f.Hex | None = may("The bytes of the whole frame: FF 07 A1 A7")
    text: f.Line | None = may('The whole line: "R1234\\r"')
    json_text: f.Text | None = Field(None, alias="json", description="The JSON text: '{\"level\": 123}'")
    named: dict[f.Text, float] | None = may("Numbers by their names: {in_temp_input: 21500}")
    place: f.Text | None = may("Where this was taken from: manual, p. 12; or: read at the sensor, 2026-06-01")
    derived: bool = may("Made by our own encoder, so that it proves nothing of the sensor", False)
    expect: Annotated[dict[f.Text, f.Expected], Field(min_length=1)] = need(
        "{water_level: 1.234 m}", "What each value must decode to; {fault: malformed} is every value's fault"
    )
