"""device_profiles/<id>.yaml as pydantic models: the form. What it means is checked in `profilefile`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from gateway import fields as f
from gateway.schema import Row, Version, Word, need

Encoding = Literal["registers", "binary", "text", "json", "named"]


class Sampled(Row):
    burst: Annotated[int, Field(ge=1, le=99)] = 1
    pause: f.Wait = 0.0
    warm_up: f.Wait = 0.0


class Profile(Row):
    version: Version
    id: f.Name = need("acme_us10")
    vendor: f.Text = need("Acme")
    model: f.Text = need("US10")
    source: f.Text = need("unverified")
    encoding: Encoding = need("registers")
    function: Literal["holding", "input"] | None = None
    frame: Any = None
    sampled: Sampled | None = None
    values: Annotated[dict[f.ChannelName, Any], Field(min_length=1)] = need("")
    status: list[Any] = Field(default_factory=list)
    examples: list[Any] = need("")


class BinaryFrame(Row):
    start: f.Hex = b""
    end: f.Hex = b""
    length: Annotated[int, Field(ge=1, le=1024)] | None = None
    checksum: f.Checksum | None = None
    payload: bool = False
    tags: dict[f.Hex, Annotated[int, Field(ge=1, le=255)]] = Field(default_factory=dict)


class TextFrame(Row):
    start: f.Line = ""
    end: f.Line = ""
    length: Annotated[int, Field(ge=1, le=1024)] | None = None
    checksum: f.Checksum | None = None
    separator: f.Line = ""


# --- where a number stands, and what a value says of it


class RegisterAt(Row):
    address: Word = need("0")
    type: f.RegisterType = need("uint16")
    word_order: Literal["big", "little"] = "big"
    bits: f.Bits | None = None


class BinaryAt(Row):
    byte: Annotated[int, Field(ge=-1023, le=1023)] = need("1")
    type: f.ByteType = need("uint16")
    byte_order: Literal["big", "little"] = "big"
    word_order: Literal["big", "little"] = "big"
    bits: f.Bits | None = None
    tag: f.Hex = b""


class TextAt(Row):
    field: Annotated[int, Field(ge=0, le=255)] | None = None
    columns: f.Columns | None = None
    key: f.Line = ""
    after: f.Line = ""
    type: Literal["", "latitude", "longitude"] = ""


class JsonAt(Row):
    path: f.JsonPath = need("level.value")
    absent: float | None = None


class NamedAt(Row):
    input: f.Text = need("in_temp_input")
    times: f.Text | None = None
    factor: float = 1.0


class ValueRow(Row):
    quantity: f.Text | None = None
    unit: f.Text | None = None
    scale: float | None = None
    offset: float | None = None
    points: dict[f.FaultKey, f.Amount] | None = None
    span: f.Span | None = None
    accuracy: f.Amount | None = None
    resolution: f.Amount | None = None
    source: f.Text | None = None
    optional: bool = False
    quality: Any = None
    faults: dict[f.FaultKey, f.Fault] = Field(default_factory=dict)


class _Worded(ValueRow):
    words: dict[f.Text, float] = Field(default_factory=dict)


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
    optional: bool = False
    faults: dict[f.FaultKey, f.Fault] = Field(default_factory=dict)
    bit_faults: dict[int, f.Fault] = Field(default_factory=dict)
    values: Annotated[list[f.ChannelName], Field(min_length=1)] | None = None


class RegisterStatus(StatusRow, RegisterAt):
    pass


class BinaryStatus(StatusRow, BinaryAt):
    pass


class TextStatus(StatusRow, TextAt):
    holds: f.Line = ""


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
    name: f.Text = need("normal")
    registers: dict[Word, Annotated[list[Word], Field(min_length=1)]] | None = None
    hex: f.Hex | None = None
    text: f.Line | None = None
    json_text: f.Text | None = Field(default=None, alias="json")
    named: dict[f.Text, float] | None = None
    place: f.Text | None = None
    derived: bool = False
    expect: Annotated[dict[f.Text, f.Expected], Field(min_length=1)] = need("{water_level: 1.234 m}")
