"""A part of a document against its model, with every mistake told as people need it: what stands there, what would
be right, at its line and column. No wording of pydantic's reaches anybody.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic import Field, ValidationError, create_model

from gateway import units
from gateway.fields import did_you_mean, instead, show
from gateway.schema import Row
from gateway.yamlfile import Document, Path

R = TypeVar("R", bound=Row)
_Context = dict[str, Any]


def validate(model: type[R], document: Document, path: Path = ()) -> R | None:
    """The part of the document at `path` as `model`; None after noting a problem for every mistake in it."""
    value = document.at(path)
    if value is None and not path:
        document.add((), "the file is empty. It begins with 'version: 1'")
        return None
    try:
        return model.model_validate(value)
    except ValidationError as e:
        errors = e.errors(include_url=False)
    meant = {_meant(model, tuple(error["loc"])) for error in errors if error["type"] == "extra_forbidden"}
    for error in errors:
        unknown = error["type"] == "extra_forbidden"  # which may be called "[key]"; else that is pydantic's word
        loc: Path = tuple(part for part in error["loc"] if unknown or part != "[key]")
        if error["type"] == "extra_forbidden":
            document.add(path + loc, _unknown_key(model, loc), at_key=True)
        elif error["type"] == "missing":
            if loc not in meant:  # a misspelt key is told once, not also as missing
                document.add(path + loc[:-1], _missing(model, loc), at_key=True)
        else:
            say = _SENTENCES.get(error["type"], _misfit)
            sentence = say(error["input"], error.get("ctx", {}), _type_at(model, loc))
            document.add(path + loc, sentence, at_key="[key]" in error["loc"])
    return None


def loosely(model: type[R], document: Document, path: Path) -> R | None:
    """What is right of a part that is not right as a whole, so that the rest of it can be judged too: whatever has a
    mistake or is missing is None. For judging only: the caller returns None in the end."""
    value = document.mapping(path)
    try:
        return model.model_validate(value)
    except ValidationError as e:
        bad = {error["loc"][0] for error in e.errors(include_url=False, include_input=False)}
    return cast(R, _optional(model).model_validate({key: part for key, part in value.items() if key not in bad}))


@cache
def _optional(model: type[Row]) -> type[Row]:
    """The model with every key optional."""
    fields: dict[str, Any] = {
        name: (field.rebuild_annotation() | None, Field(default=None, alias=field.alias))
        for name, field in model.model_fields.items()
    }
    return create_model(model.__name__, __base__=Row, **fields)


# --- values whose meaning depends on a quantity


def quantity_of(document: Document, path: Path, stated: str | None, name: str) -> str | None:
    """The quantity of a channel or value: as stated, else its name where that is one."""
    quantity = stated or name
    if quantity in units.QUANTITIES:
        return quantity
    if "quantity" not in document.mapping(path):
        message = f"'quantity' is missing and '{name}' is not the name of one. Add for example 'quantity: water_level'"
        document.add(path, message, at_key=True)
    elif stated:
        document.add((*path, "quantity"), f"unknown quantity '{quantity}'{instead(quantity, units.QUANTITIES)}")
    return None


def unit_of(document: Document, path: Path, unit: str | None, quantity: str) -> units.Scale | None:
    """The scale of the unit, which the quantity must accept."""
    accepts = units.QUANTITIES[quantity].accepts
    if unit is not None and unit not in accepts:
        document.add((*path, "unit"), units.unknown(unit, accepts, quantity))
    return accepts.get(unit or units.QUANTITIES[quantity].unit)


def amount_of(
    document: Document, path: Path, text: str, quantity: str, parse: Callable[[str, str], float] = units.parse
) -> float | None:
    """The amount in canonical unit; None after noting what is wrong with it."""
    try:
        return parse(text, quantity)
    except ValueError as e:
        document.add(path, str(e))
        return None


def span_of(document: Document, path: Path, pair: tuple[str, str] | None, quantity: str) -> tuple[float, float] | None:
    """A span in canonical unit, the lower value first."""
    if pair is None:
        return None
    low = amount_of(document, (*path, 0), pair[0], quantity)
    high = amount_of(document, (*path, 1), pair[1], quantity)
    if low is None or high is None:
        return None
    if low >= high:
        document.add(path, f"{pair[0]} is not below {pair[1]}. Write the lower value first")
        return None
    return low, high


# --- which keys and choices a model has


def _keys(model: Any, loc: Path) -> list[str]:
    """The keys that may stand in the mapping at `loc`."""
    row = _type_at(model, loc)
    return [field.alias or name for name, field in row.model_fields.items()]


def _meant(model: Any, loc: Path) -> Path:
    near = did_you_mean(loc[-1], _keys(model, loc[:-1]))
    return (*loc[:-1], near.split("'")[1]) if near else ()


def _unknown_key(model: Any, loc: Path) -> str:
    keys = _keys(model, loc[:-1])
    return f"unknown key '{loc[-1]}'{instead(loc[-1], keys)}"


def _missing(model: Any, loc: Path) -> str:
    key = str(loc[-1])
    row = _type_at(model, loc[:-1])
    field = next((f for name, f in row.model_fields.items() if (f.alias or name) == key), None)
    example = field.examples[0] if field and field.examples else ""
    return f"'{key}' is missing. Add " + (f"for example '{key}: {example}'" if example else f"a section '{key}:'")


def _type_at(model: Any, loc: Path) -> Any:
    """The annotation at `loc` of a model, free of Annotated and None."""
    wanted = _bare(model)
    for step in loc:
        if isinstance(wanted, type) and issubclass(wanted, Row):
            fields = wanted.model_fields.items()
            wanted = next((f.annotation for name, f in fields if step in (name, f.alias)), None)
        else:
            wanted = (get_args(wanted) or (None,))[-1]  # the values of a mapping, the items of a list
        wanted = _bare(wanted)
    return wanted


def _bare(annotation: Any) -> Any:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _bare(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return _bare(next(arg for arg in get_args(annotation) if arg is not type(None)))
    return annotation


# --- a sentence for each type of error: (what stands there, pydantic's context, what is wanted)


def _own(value: Any, ctx: _Context, wanted: Any) -> str:
    return str(ctx["error"])


def _misfit(value: Any, ctx: _Context, wanted: Any) -> str:
    """For what no sentence is made of, such as an integer beyond 64 bits."""
    if get_origin(wanted) is Literal:
        return _choice(value, ctx, wanted)
    return _number(value, ctx, wanted) if wanted in (int, float) else f"{show(value)} does not belong here"


def _choice(value: Any, ctx: _Context, wanted: Any) -> str:
    choices = [str(choice) for choice in get_args(wanted)] if get_origin(wanted) is Literal else []
    return f"{show(value)} is not known{instead(value, choices)}"


def _number(value: Any, ctx: _Context, wanted: Any) -> str:
    whole = "whole number" if wanted is int else "number"
    bare = value.strip() if isinstance(value, str) else ""
    if bare.lstrip("+-").replace(".", "", 1).isdecimal() and bare.isascii():
        return f"{show(value)} is text. Write the {whole} {bare} without quotes"
    return f"{show(value)} is not a {whole}"


def _truth(value: Any, ctx: _Context, wanted: Any) -> str:
    low = str(value).lower()
    meant = "true" if low in ("on", "yes", "y", "1") else "false" if low in ("off", "no", "n", "0") else ""
    return f"{show(value)} is neither true nor false" + (f". Did you mean '{meant}'?" if meant else "")


def _mapping(value: Any, ctx: _Context, wanted: Any) -> str:
    keys = [f.alias or name for name, f in wanted.model_fields.items()] if hasattr(wanted, "model_fields") else []
    return f"{show(value)} stands where a mapping is expected" + (f" (keys: {', '.join(keys)})" if keys else "")


def _listing(value: Any, ctx: _Context, wanted: Any) -> str:
    return f"{show(value)} stands where a list is expected"


def _above(value: Any, ctx: _Context, wanted: Any) -> str:
    return f"{show(value)} is above {ctx.get('le', ctx.get('lt')):g}"


def _below(value: Any, ctx: _Context, wanted: Any) -> str:
    return f"{show(value)} is below {ctx.get('ge', ctx.get('gt')):g}"


def _empty(value: Any, ctx: _Context, wanted: Any) -> str:
    return "nothing stands in it. Add at least one entry"


_SENTENCES: dict[str, Callable[[Any, _Context, Any], str]] = {
    "value_error": _own,
    "literal_error": _choice,
    "int_type": _number,
    "int_from_float": _number,
    "float_type": _number,
    "finite_number": _number,
    "bool_type": _truth,
    "dict_type": _mapping,
    "model_type": _mapping,
    "model_attributes_type": _mapping,
    "list_type": _listing,
    "less_than_equal": _above,
    "greater_than_equal": _below,
    "too_short": _empty,
}
