"""Rows as plain values that compare exactly, whoever read them: from Arrow arrays, and from the text of JSON rows.

Floats are their bits (all NaNs are one value), dates are days and timestamps are units since 1970, decimals keep their
scale, maps keep their order. JSON is read by the type that the source has, under the documented rendering, so that a
value and its text are held against each other without a JSON library's own idea of numbers and times.
"""

from __future__ import annotations

import base64
import datetime
import json
import re
import struct
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.types as is_

DATE = re.compile(r"([+-]?)(\d{4,})-(\d\d)-(\d\d)")
TIMESTAMP = re.compile(r"([+-]?\d{4,}-\d\d-\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3}|\d{6}|\d{9})(Z?)")
PLAIN_FLOAT = re.compile(r"-?\d{1,7}\.\d+")
LARGE_OR_SMALL_FLOAT = re.compile(r"-?\d\.\d+E-?\d+")

DAY_SECS = 86_400
DAYS_PER_400_YEARS = 146_097
UNITS = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


class Text(str):
    """A JSON number as it was spelled."""


def rows_of(table: pa.Table) -> Counter[tuple[Any, ...]]:
    """The rows of the table, columns in the order of their names, and how often each occurs."""
    names = sorted(table.column_names)
    columns = [of_array(table[name].combine_chunks()) for name in names]
    return Counter(zip(*columns, strict=True)) if columns else Counter()


def rows_of_json(lines: Iterable[bytes], schema: pa.Schema) -> Counter[tuple[Any, ...]]:
    """The rows of JSON lines under the schema of their source."""
    names = sorted(schema.names)
    found: Counter[tuple[Any, ...]] = Counter()
    for line in lines:
        row = json.loads(line, parse_int=Text, parse_float=Text, parse_constant=refuse, object_pairs_hook=members)
        unknown = [name for name, _ in row if name not in names]
        assert not unknown, f"{unknown} is no column"
        present = dict(row)
        assert len(present) == len(row), "a column stands twice in a row"
        assert list(present) == [name for name in schema.names if name in present], "columns are out of order"
        found[tuple(of_member(present, schema.field(name)) for name in names)] += 1
    return found


def of_array(array: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The values of an array, hashable."""
    if isinstance(array, pa.ChunkedArray):
        return [value for chunk in array.chunks for value in of_array(chunk)]
    kind = array.type
    if is_.is_dictionary(kind):
        return of_array(array.dictionary_decode())
    if is_.is_struct(kind):
        members = [of_array(array.field(nth)) for nth in range(kind.num_fields)]
        rows = zip(*members, strict=True) if members else ((),) * len(array)
        return [row if valid else None for row, valid in zip(rows, array.is_valid().to_pylist(), strict=True)]
    if is_.is_map(kind):
        entries = list(zip(of_array(array.keys), of_array(array.items), strict=True))
        return spans(array, array.offsets, entries)
    if is_.is_list(kind) or is_.is_large_list(kind):
        return spans(array, array.offsets, of_array(array.values))
    if is_.is_timestamp(kind):
        return array.cast(pa.int64()).to_pylist()
    if is_.is_date32(kind):
        return array.cast(pa.int32()).to_pylist()
    if is_.is_floating(kind):
        return [bits(value, kind.bit_width) for value in array.to_pylist()]
    if is_.is_decimal(kind):
        return [None if value is None else value.as_tuple() for value in array.to_pylist()]
    return array.to_pylist()


def spans(array: pa.Array, offsets: pa.Array, values: list[Any]) -> list[Any]:
    """The lists that lie between the offsets."""
    ends = offsets.to_pylist()
    valid = array.is_valid().to_pylist()
    return [tuple(values[ends[nth] : ends[nth + 1]]) if valid[nth] else None for nth in range(len(array))]


def bits(value: float | None, width: int) -> Any:
    """A float that compares with itself, and minus zero not with zero."""
    if value is None:
        return None
    return "NaN" if value != value else struct.pack(">f" if width == 32 else ">d", value)


def refuse(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


def members(pairs: list[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    """Objects stay what was written: pairs in their order."""
    return tuple(pairs)


def of_member(present: dict[str, Any], field: pa.Field) -> Any:
    """The value of an object's member; a null one must not be there."""
    if field.name not in present:
        return None
    assert present[field.name] is not None, f"{field.name} is null and written"
    return of_json(present[field.name], field.type)


def of_json(value: Any, kind: pa.DataType) -> Any:
    """The value that the JSON text means for a column of that type."""
    if value is None:
        return None
    if is_.is_struct(kind):
        fields = [kind.field(nth) for nth in range(kind.num_fields)]
        assert {name for name, _ in value} <= {field.name for field in fields}
        return tuple(of_member(dict(value), field) for field in fields)
    if is_.is_map(kind):
        return tuple((of_key(name, kind.key_type), of_json(item, kind.item_type)) for name, item in value)
    if is_.is_list(kind) or is_.is_large_list(kind):
        return tuple(of_json(item, kind.value_type) for item in value)
    if is_.is_boolean(kind):
        assert isinstance(value, bool)
        return value
    if is_.is_integer(kind) or is_.is_decimal(kind):
        assert isinstance(value, Text), value
    if is_.is_floating(kind):
        assert isinstance(value, Text) or value in ("NaN", "Infinity", "-Infinity"), value
    return of_text(value, kind)


def of_key(name: str, kind: pa.DataType) -> Any:
    """The key of a map, which JSON has as text whatever it is."""
    if is_.is_boolean(kind):
        return {"true": True, "false": False}[name]
    return of_text(name, kind)


def of_text(text: str, kind: pa.DataType) -> Any:
    """The value of a number or of quoted text."""
    if is_.is_integer(kind):
        return int(text)
    if is_.is_decimal(kind):
        found = Decimal(text).as_tuple()
        assert found.exponent == -kind.scale, f"{text} has another scale than {kind}"
        return found
    if is_.is_floating(kind):
        return of_float(text, kind.bit_width)
    if is_.is_date(kind):
        return days(text)
    if is_.is_timestamp(kind):
        return instant(text, kind)
    if is_.is_binary(kind) or is_.is_large_binary(kind):
        return base64.b64decode(text, validate=True)
    assert not isinstance(text, Text), f"{text} is a number where {kind} was expected"
    return str(text)


def of_float(text: str, width: int) -> Any:
    """A float in Java's notation."""
    value = float(text)
    if value == value and abs(value) != float("inf"):
        plain = value == 0 or 1e-3 <= abs(value) < 1e7
        assert (PLAIN_FLOAT if plain else LARGE_OR_SMALL_FLOAT).fullmatch(text), text
    return bits(value, width)


def days(text: str) -> int:
    """Days since 1970 in the proleptic Gregorian calendar, for years beyond what Python has too."""
    found = DATE.fullmatch(text)
    assert found, text
    sign, year, month, day = found.groups()
    assert (sign == "+") == (sign != "-" and int(year) > 9_999), text
    cycles, within = divmod(int(year) * (-1 if sign == "-" else 1), 400)
    known = datetime.date(within + 2_000, int(month), int(day))
    return (known - datetime.date(1970, 1, 1)).days + (cycles - 5) * DAYS_PER_400_YEARS


def instant(text: str, kind: pa.DataType) -> int:
    """Units since 1970."""
    found = TIMESTAMP.fullmatch(text)
    assert found, text
    day, hour, minute, second, fraction, zone = found.groups()
    assert (zone == "Z") == (kind.tz is not None), text
    assert len(fraction) == 3 or fraction[-3:] != "000", f"{text} has digits that it does not need"
    seconds = days(day) * DAY_SECS + int(hour) * 3_600 + int(minute) * 60 + int(second)
    return seconds * UNITS[kind.unit] + int(fraction.ljust(9, "0")) // (1_000_000_000 // UNITS[kind.unit])


def differences(found: Counter[Any], expected: Counter[Any], limit: int = 3) -> str:
    """What one side has and the other lacks."""
    lacking, foreign = expected - found, found - expected
    if not lacking and not foreign:
        return ""
    shown = [*list(lacking)[:limit], "| found instead:", *list(foreign)[:limit]]
    return f"{lacking.total()} rows lacking, {foreign.total()} foreign: {shown}"


def lines(path: Path, data: bytes) -> list[bytes]:
    """The lines of a file, each ended."""
    assert data.endswith(b"\n") or not data, path
    return data.split(b"\n")[:-1]
