"""A table of every type that a Delta table can have, full of values that readers and writers get wrong."""

from __future__ import annotations

import datetime
import random
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa

NAN, INFINITY = float("nan"), float("inf")

FLOATS = [0.0, -0.0, NAN, INFINITY, -INFINITY, 1.4e-45, 1.17549435e-38, 3.4028234663852886e38, 0.1, 1e-3, 9.99e-4]
FLOATS += [9999999.0, 1e7, 16777217.0, 1e10, -1.5e-10, 3.3e-39, 2e-45, 8.5e-42, 1 / 3]
DOUBLES = [0.0, -0.0, NAN, INFINITY, -INFINITY, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1e-3]
DOUBLES += [9.99e-4, 9999999.999999998, 1e7, 2.0**53 + 2, 1e21, 1e22, 2e23, 9.5e-310, 1.1e-322, 4.35, 2e-3, -1e-7]
TEXTS = ["", " ", "plain", "\"q\" \\ / \b\f\n\r\t", "".join(map(chr, range(32))), "\x7f\x80\x9f", "äöü ß", "日本語"]
TEXTS += ["🦀👩‍👩‍👧", "\u2028\u2029", "\ufeffbom", "\ufffe\uffff", "\U0010ffff", "null", "NaN", "{}", "e\u0301", "a" * 5000]
BYTES = [b"", b"\x00", b"\xff\xfe", bytes(range(256)), b"abc", b"ab", b"a" * 4000]

# Years 1 and 9999, the eve of 1970, both sides of the gap that the Gregorian reform left, a leap day.
DAYS = [0, -1, -719_162, 2_932_896, -141_427, -141_428, 11_016, 10_957, 19_782]
MICROS = [0, -1, 1, -62_135_596_800_000_000, 253_402_300_799_999_999, 1_709_164_800_000_001, -12_219_292_800_000_001]
MICROS += [999, 1_000, 1_000_000, -999_999, -1_000_000, 951_782_400_000_000]

DECIMALS = [(1, 0), (1, 1), (5, 0), (9, 2), (9, 9), (10, 0), (18, 4), (18, 18), (19, 0), (20, 10), (38, 0), (38, 10), (38, 38)]

UTC = pa.timestamp("us", tz="UTC")
INNER = pa.struct([("d", UTC), ("e", pa.list_(pa.float64())), ("f", pa.decimal128(20, 10))])
STRUCT = pa.struct([("a", pa.int32()), ("b", pa.string()), ("c", INNER)])


def table(rows: int, seed: int, first: int = 0) -> pa.Table:
    """That many rows; the same for the same seed."""
    maker = Maker(rows, random.Random(seed))
    columns = {"row_id": pa.array(range(first, first + rows), pa.int64())}
    columns |= maker.plain() | maker.nested() | maker.maps() | maker.odd_names()
    return pa.table(columns)


class Maker:
    def __init__(self, rows: int, chance: random.Random) -> None:
        self.rows = rows
        self.chance = chance

    def of(self, values: list[Any], kind: pa.DataType) -> pa.Array:
        """Each of the values in turn, then by chance, and nulls between them."""
        picked = [values[row] if row < len(values) else self.chance.choice(values) for row in range(self.rows)]
        return pa.array([None if self.chance.random() < 0.2 else value for value in picked], kind)

    def each(self, one: Callable[[], Any], kind: pa.DataType) -> pa.Array:
        return pa.array([one() for _ in range(self.rows)], kind)

    def plain(self) -> dict[str, pa.Array]:
        bits = self.chance.getrandbits
        made = {"flag": self.of([True, False], pa.bool_())}
        for width in (8, 16, 32, 64):
            half = 2 ** (width - 1)
            integers = [0, 1, -1, -half, half - 1] + [bits(width) - half for _ in range(20)]
            made[f"int{width}"] = self.of(integers, pa.type_for_alias(f"int{width}"))
        floats = [struct.unpack("<f", struct.pack("<I", bits(32)))[0] for _ in range(200)]
        doubles = [struct.unpack("<d", struct.pack("<Q", bits(64)))[0] for _ in range(200)]
        made["float"] = self.of(FLOATS + floats, pa.float32())
        made["double"] = self.of(DOUBLES + doubles, pa.float64())
        for precision, scale in DECIMALS:
            edges = [(0, (9,) * precision), (1, (9,) * precision), (0, (0,)), (0, (1,)), (1, (1,))]
            values = [Decimal((sign, digits, -scale)) for sign, digits in edges]
            made[f"decimal_{precision}_{scale}"] = self.of(values, pa.decimal128(precision, scale))
        made["text"] = self.of(TEXTS, pa.string())
        made["bytes"] = self.of(BYTES, pa.binary())
        made["day"] = self.of(DAYS, pa.int32()).cast(pa.date32())
        made["instant"] = self.of(MICROS, pa.int64()).cast(UTC)
        made["wall"] = self.of(MICROS, pa.int64()).cast(pa.timestamp("us"))
        made["no_text"] = pa.nulls(self.rows, pa.string())
        made["no_struct"] = pa.nulls(self.rows, pa.struct([("a", pa.int32())]))
        made["no_list"] = pa.nulls(self.rows, pa.list_(pa.int32()))
        return made

    def nested(self) -> dict[str, pa.Array]:
        pick = self.chance.choice
        made = {"struct": self.each(self.struct, STRUCT)}
        elements = {
            "ints": (pa.int32(), lambda: pick([None, 1, -1])),
            "texts": (pa.string(), lambda: pick([None, *TEXTS])),
            "structs": (STRUCT, self.struct),
            "lists": (pa.list_(pa.int64()), lambda: self.list(lambda: pick([None, 2**62]))),
            "decimals": (pa.decimal128(20, 10), lambda: pick([None, Decimal("0E-10"), Decimal("1.5000000000")])),
            "byte_strings": (pa.binary(), lambda: pick([None, *BYTES[:5]])),
            "days": (pa.date32(), lambda: pick([None, datetime.date(1, 1, 1)])),
        }
        for name, (kind, element) in elements.items():
            made[name] = self.each(lambda element=element: self.list(element), pa.list_(kind))
        leaf = pa.struct([("x", pa.list_(STRUCT))])
        deep = pa.list_(pa.map_(pa.string(), pa.list_(leaf)))

        def leaves() -> Any:
            return self.list(lambda: {"x": self.list(self.struct)})

        made["deep"] = self.each(lambda: self.list(lambda: self.map(TEXTS, leaves)), deep)
        return made

    def maps(self) -> dict[str, pa.Array]:
        pick = self.chance.choice
        instants = [datetime.datetime(1, 1, 1, tzinfo=datetime.UTC), datetime.datetime(2024, 2, 29, 1, 2, 3, 4, datetime.UTC)]
        kinds: dict[str, tuple[pa.DataType, list[Any], pa.DataType, Callable[[], Any]]] = {
            "by_text": (pa.string(), TEXTS, pa.string(), lambda: pick([None, *TEXTS])),
            "by_int": (pa.int32(), [0, -(2**31), 2**31 - 1], pa.float64(), lambda: pick([None, *DOUBLES])),
            "structs_by_text": (pa.string(), TEXTS, STRUCT, self.struct),
            "lists_by_text": (pa.string(), TEXTS, pa.list_(pa.bool_()), lambda: self.list(lambda: pick([None, True]))),
            "by_day": (pa.date32(), [datetime.date(1, 1, 1), datetime.date.max], pa.binary(), lambda: pick([None, b"\xff"])),
            "by_instant": (UTC, instants, pa.decimal128(9, 2), lambda: pick([None, Decimal("1.00")])),
            "by_flag": (pa.bool_(), [True, False], pa.int8(), lambda: pick([None, 1])),
            "by_decimal": (pa.decimal128(20, 10), [Decimal("1.5"), Decimal("-0.25")], pa.int16(), lambda: pick([None, 1])),
            "by_double": (pa.float64(), [1e10, -0.5, INFINITY], pa.float32(), lambda: pick([None, 1.5])),
        }
        return {
            name: self.each(lambda keys=keys, value=value: self.map(keys, value), pa.map_(key_kind, value_kind))
            for name, (key_kind, keys, value_kind, value) in kinds.items()
        }

    def odd_names(self) -> dict[str, pa.Array]:
        names = ['odd "näme"\n\\.a', "Ünï cödé 🦀", "a.b", "`tick`", "UPPER", "a:b"]
        return {name: self.of([1, 2], pa.int32()) for name in names}

    def struct(self) -> Any:
        pick = self.chance.choice
        if self.chance.random() < 0.2:
            return None
        eve = datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, datetime.UTC)
        doubles = pick([[], [None], [NAN, -0.0, None, 1e300]])
        inner = pick([None, {"d": None, "e": None, "f": None}, {"d": eve, "e": doubles, "f": Decimal("-1E-10")}])
        return {"a": pick([None, 1]), "b": pick([None, "x", '"']), "c": inner}

    def list(self, element: Callable[[], Any]) -> Any:
        if self.chance.random() < 0.2:
            return None
        return [element() for _ in range(self.chance.choice([0, 0, 1, 2, 5]))]

    def map(self, keys: list[Any], value: Callable[[], Any]) -> Any:
        if self.chance.random() < 0.2:
            return None
        return [(key, value()) for key in self.chance.sample(keys, self.chance.choice([0, 1, 2]))]
