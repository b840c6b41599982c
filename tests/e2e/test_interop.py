"""Tables that other writers made, delivered in every format, and read back by other readers, value by value."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

import values
import wide
from crafted import Crafted, column, inline
from offtake import Offtake, error_codes
from oracle import Delivered, check_exactly_once, check_files, check_folder, check_tiled, manifests

FORMATS = [("JSON", "NONE"), ("JSON", "GZIP"), ("PARQUET", "NONE"), ("PARQUET", "GZIP")]

ODD_TEXTS = ["a b", "a/b", "a%b", "%20", "ä", "日本", "🦀", "..", ".", "a:b", "x=y", "a?b#c", "\n", "\x01", "\x7f", '"q"', "'"]
ODD_TEXTS += ["\\", "+", "&", "{b}", "[c]", "~", "*", "|", " lead", "trail ", "null", None]


class Exports:
    """One dataset with a flow for each format."""

    def __init__(self, service: Offtake, name: str, location: str | None = None, **params: Any) -> None:
        self.service = service
        dataset = service.add_dataset(name, location or f"lake://default/{name}")
        self.flows = [service.make_flow(dataset, kind, packed, f"{kind}-{packed}", **params) for kind, packed in FORMATS]

    def deliver(self, expected: pa.Table, mode: str) -> None:
        """Runs every flow once, and demands that just those rows come, in that mode."""
        for delivered in self.run():
            assert delivered.body["mode"] == mode
            check_files(delivered)
            self.service.command("verify", str(delivered.path))
            unlike = values.differences(rows_of(delivered, expected.schema), values.rows_of(expected))
            assert not unlike, f"{delivered.body['files']}: {unlike}"
        if mode == "incremental":
            check_tiled(manifests(self.service.zone))

    def fail(self, code: str) -> None:
        """Runs every flow once, and demands that it ends with that code and delivers nothing."""
        before = len(manifests(self.service.zone))
        for run in [self.service.start_run(flow) for flow in self.flows]:
            assert code in error_codes(self.service.wait_for_run(run, expect="failed"))
        assert len(manifests(self.service.zone)) == before

    def run(self) -> Iterator[Delivered]:
        for run in [self.service.start_run(flow) for flow in self.flows]:
            self.service.wait_for_run(run)
        found = manifests(self.service.zone)
        check_folder(self.service.zone, found)
        for flow in self.flows:
            yield [it for it in found if it.body["flow"] == flow][-1]


def rows_of(delivered: Delivered, schema: pa.Schema) -> values.Counter[Any]:
    """The delivered rows; columns have the order and the types of the source."""
    found: values.Counter[Any] = values.Counter()
    for path in delivered.files():
        data = path.read_bytes()
        if data.startswith(b"PAR1"):
            rows = pq.read_table(pa.BufferReader(data))
            assert rows.schema.names == schema.names
            found += values.rows_of(rows.cast(schema))
            assert [str(kind) for kind in rows.schema.types] == [str(kind) for kind in as_parquet_has_it(schema).types]
        else:
            text = gzip.decompress(data) if path.name.endswith(".gz") else data
            found += values.rows_of_json(values.lines(path, text), schema)
    return found


def as_parquet_has_it(schema: pa.Schema) -> pa.Schema:
    """The schema after a way through a Parquet file, which renames the elements of lists."""
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink, store_schema=False)
    return pq.read_schema(pa.BufferReader(sink.getvalue()))


@pytest.mark.parametrize("properties", [{}, {"delta.enableDeletionVectors": "true"}, {"delta.columnMapping.mode": "name"}])
def test_every_type_survives_and_increments_are_exact(service: Offtake, properties: dict[str, str]) -> None:
    place = service.data_dir / "lake" / "wide"
    first, second, third = wide.table(500, 1), wide.table(60, 2, 500), wide.table(40, 3, 560)
    assert first.num_columns >= 40
    write_deltalake(place, first, configuration=properties)
    exports = Exports(service, "wide")
    exports.deliver(first, "full")

    write_deltalake(place, second, mode="append")
    write_deltalake(place, third, mode="append")
    exports.deliver(pa.concat_tables([second, third]), "incremental")

    DeltaTable(place).optimize.compact()
    DeltaTable(place).create_checkpoint()
    exports.deliver(first.slice(0, 0), "incremental")

    DeltaTable(place).delete("row_id % 7 = 3")
    exports.fail("SOURCE_REWRITTEN")


def test_columns_that_come_later_are_null_in_earlier_files(service: Offtake) -> None:
    place = service.data_dir / "lake" / "grown"
    first, second = wide.table(50, 1), wide.table(20, 2, 50)
    second = second.append_column("later", wide.table(20, 3)["structs"])
    write_deltalake(place, first)
    grown = Exports(service, "grown")
    grown.deliver(first, "full")
    write_deltalake(place, second, mode="append", schema_mode="merge")
    grown.deliver(second, "incremental")

    whole = DeltaTable(place).to_pyarrow_table().cast(second.schema)
    assert values.rows_of(whole) == values.rows_of(pa.concat_tables([first, second], promote_options="default"))
    Exports(service, "grown").deliver(whole, "full")


def test_rewrites_send_what_the_writer_itself_reads_when_asked_to(service: Offtake) -> None:
    place = service.data_dir / "lake" / "rewritten"
    write_deltalake(place, wide.table(100, 1))
    exports = Exports(service, "rewritten", onRewrite="full")
    exports.deliver(wide.table(100, 1), "full")
    schema = wide.table(0, 1).schema
    for change in (
        lambda: DeltaTable(place).update(predicate="row_id = 5", updates={"text": "'changed'"}),
        lambda: DeltaTable(place).delete("row_id > 90"),
        lambda: DeltaTable(place).restore(0),
        lambda: write_deltalake(place, wide.table(7, 9), mode="overwrite"),
    ):
        change()
        exports.deliver(DeltaTable(place).to_pyarrow_table().cast(schema), "full-after-rewrite")


@pytest.mark.parametrize("name", ["p", "sp ace", "ü/x", "ns:day"])
def test_odd_partition_texts_are_found_and_restored(service: Offtake, name: str) -> None:
    rows = pa.table({"row_id": pa.array(range(len(ODD_TEXTS)), pa.int64()), name: ODD_TEXTS})
    write_deltalake(service.data_dir / "lake" / "odd", rows, partition_by=[name])
    Exports(service, "odd").deliver(rows, "full")


def test_partition_values_of_every_type_are_restored(service: Offtake) -> None:
    def decimals(precision: int, scale: int, *texts: str) -> pa.Array:
        return pa.array([Decimal(text) for text in texts] + [None], pa.decimal128(precision, scale))

    days = pa.array([-719_162, -1, 2_932_896, None], pa.int32()).cast(pa.date32())
    micros = pa.array([-62_135_596_800_000_000, -1, 253_402_300_799_999_999, None], pa.int64())
    columns = {
        "tiny": pa.array([-128, 0, 127, None], pa.int8()),
        "small": pa.array([-(2**15), 0, 2**15 - 1, None], pa.int16()),
        "int": pa.array([-(2**31), 0, 2**31 - 1, None], pa.int32()),
        "long": pa.array([-(2**63), 0, 2**63 - 1, None], pa.int64()),
        "flag": pa.array([True, False, True, None]),
        "float": pa.array([1.5, float("nan"), float("-inf"), 1e-45], pa.float32()),
        "fine": decimals(38, 38, "0." + "9" * 38, "1E-38", "0"),
        "coarse": decimals(38, 0, "9" * 38, "-" + "9" * 38, "0"),
        "day": days,
        "instant": micros.cast(pa.timestamp("us", tz="UTC")),
        "wall": micros.cast(pa.timestamp("us")),
    }
    rows = pa.table({"row_id": pa.array(range(4), pa.int64())} | columns)
    write_deltalake(service.data_dir / "lake" / "typed", rows, partition_by=list(columns))
    Exports(service, "typed").deliver(rows, "full")


def test_partition_values_are_understood_as_the_jvm_spells_them(service: Offtake) -> None:
    spelled = {
        "float": (["NaN", "-Infinity", "1.4E-45", "1.0E10"], [float("nan"), float("-inf"), 1e-45, 1e10], pa.float32()),
        "double": (["Infinity", "-0.0", "4.9E-324", ""], [float("inf"), -0.0, 5e-324, None], pa.float64()),
        "decimal(20,10)": (["0E-10", "-1.2E-9", "12345", None], ["0E-10", "-1.2E-9", "12345", None], pa.decimal128(20, 10)),
        "date": (["0001-01-01", "+10000-01-01", "-0001-12-31", ""], [-719_162, 2_932_897, -719_529, None], pa.date32()),
        "timestamp": (
            ["1970-01-01 00:00:00", "1970-01-01T00:00:00.000001Z", "1969-12-31 23:59:59.999999", None],
            [0, 1, -1, None],
            pa.timestamp("us", tz="UTC"),
        ),
    }
    kinds = list(spelled)
    columns = [column("row_id", "long"), *(column(kind, kind) for kind in kinds)]
    table = Crafted(service.data_dir / "lake" / "spelled", columns, tuple(kinds))
    ids = [pa.table({"row_id": pa.array([row], pa.int64())}) for row in range(4)]
    table.commit(*(table.file(f"{row}", ids[row], {kind: spelled[kind][0][row] for kind in kinds}) for row in range(4)))

    def meant(items: list[Any], kind: pa.DataType) -> pa.Array:
        if pa.types.is_decimal(kind):
            return pa.array([item and Decimal(item) for item in items], kind)
        if pa.types.is_temporal(kind):
            return pa.array(items, pa.int32() if pa.types.is_date(kind) else pa.int64()).cast(kind)
        return pa.array(items, kind)

    expected = {kind: meant(items, arrow) for kind, (_, items, arrow) in spelled.items()}
    rows = pa.table({"row_id": pa.array(range(4), pa.int64())} | expected)
    Exports(service, "spelled").deliver(rows, "full")


def test_deleted_rows_stay_away_whatever_form_their_vector_has(service: Offtake) -> None:
    table = Crafted(service.data_dir / "lake" / "vectors", [column("row_id", "long")])
    removed = [[0, 9], sorted({*range(65_530, 75_000), *range(0, 70_000, 3)}), [1], list(range(5)), []]
    sizes = [10, 80_000, 70_000, 5, 8]
    rows = [pa.table({"row_id": pa.array(range(nth * 10**6, nth * 10**6 + size))}) for nth, size in enumerate(sizes)]
    stored = table.vectors([3], removed[1], removed[2])
    vectors = [inline(removed[0]), stored[1], stored[2], inline(removed[3]), None]
    added = [
        table.file(f"{nth}", rows[nth], vector=vectors[nth], row_group_size=7_000) for nth in range(len(rows))
    ]
    table.commit(*added)
    exports = Exports(service, "vectors")

    kept = [
        number
        for nth, gone in enumerate(map(set, removed))
        for ordinal, number in enumerate(rows[nth]["row_id"].to_pylist())
        if ordinal not in gone
    ]
    for delivered in exports.run():
        check_files(delivered)
        check_exactly_once([delivered], kept)

    again = added[0]["add"] | {"deletionVector": inline([0, 5, 9])}
    gone = {"path": "0", "dataChange": True, "deletionTimestamp": 0, "deletionVector": vectors[0]}
    table.commit({"remove": gone}, {"add": again})
    exports.fail("SOURCE_REWRITTEN")


@pytest.mark.parametrize("mode", ["name", "id"])
def test_mapped_columns_are_found_in_the_files(service: Offtake, mode: str) -> None:
    def mapped(name: str, number: int, kind: Any) -> dict[str, Any]:
        return column(name, kind, **{"delta.columnMapping.id": number, "delta.columnMapping.physicalName": f"col-{number}"})

    def found(number: int, kind: pa.DataType) -> pa.Field:
        # By id the name in the file means nothing.
        name = "other" * number if mode == "id" else f"col-{number}"
        return pa.field(name, kind, metadata={"PARQUET:field_id": str(number)})

    inner = {"type": "struct", "fields": [mapped("b", 3, "string")]}
    element = {"type": "struct", "fields": [mapped("b", 6, "string")]}
    items = {"type": "array", "elementType": element, "containsNull": True}
    columns = [mapped("row_id", 1, "long"), mapped("s", 2, inner), mapped("l", 4, items), mapped("day", 5, "string")]
    table = Crafted(service.data_dir / "lake" / "mapped", columns, ("day",), delta_columnMapping_mode=mode)
    b, b_of_items = found(3, pa.string()), found(6, pa.string())
    schema = pa.schema([found(4, pa.list_(pa.struct([b_of_items]))), found(2, pa.struct([b])), found(1, pa.int64())])
    lists = [[{b_of_items.name: "x"}, None], [], None]
    structs = [{b.name: "y"}, None, {b.name: None}]
    contents = zip((lists, structs, [1, 2, 3]), schema.types, strict=True)
    data = pa.Table.from_arrays([pa.array(items, kind) for items, kind in contents], schema=schema)
    table.commit(table.file("a", data, {"col-5": "monday"}))

    read = pa.struct([("b", pa.string())])
    rows = pa.table(
        {
            "row_id": pa.array([1, 2, 3], pa.int64()),
            "s": pa.array([{"b": "y"}, None, {"b": None}], read),
            "l": pa.array([[{"b": "x"}, None], [], None], pa.list_(read)),
            "day": ["monday"] * 3,
        }
    )
    Exports(service, "mapped").deliver(rows, "full")


@pytest.mark.parametrize(
    ("kind", "found", "meant", "how"),
    [
        ("timestamp", pa.array([-1_000, 1_000], pa.timestamp("ns")), [-1, 1], {"use_deprecated_int96_timestamps": True}),
        ("timestamp", pa.array([-1, 1], pa.timestamp("ms", tz="UTC")), [-1_000, 1_000], {}),
        ("binary", pa.array([b"ab", None], pa.binary(2)), [b"ab", None], {}),
        ("string", pa.nulls(2), [None, None], {}),
        ("string", pa.array(["a", None]).dictionary_encode(), ["a", None], {"compression": "zstd"}),
        ("decimal(9,2)", pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)), [Decimal("1.50"), None], {"store_decimal_as_integer": True}),
        ("long", pa.array([1, None], pa.int64()), [1, None], {"data_page_version": "2.0", "compression": "lz4"}),
    ],
)  # fmt: skip
def test_what_parquet_may_write_in_several_ways_is_read_alike(
    service: Offtake, kind: str, found: pa.Array, meant: list[Any], how: dict[str, Any]
) -> None:
    table = Crafted(service.data_dir / "lake" / "ways", [column("v", kind)])
    table.commit(table.file("a", pa.table({"v": found}), **how))
    types = {
        "timestamp": pa.timestamp("us", tz="UTC"),
        "binary": pa.binary(),
        "string": pa.string(),
        "decimal(9,2)": pa.decimal128(9, 2),
        "long": pa.int64(),
    }
    Exports(service, "ways").deliver(pa.table({"v": pa.array(meant, types[kind])}), "full")


def test_a_feature_for_a_type_that_no_column_has_is_no_obstacle(service: Offtake) -> None:
    place = service.data_dir / "lake" / "declared"
    rows = pa.table({"row_id": pa.array([1, 2], pa.int64())})
    write_deltalake(place, rows, configuration={"delta.enableDeletionVectors": "true"})
    log = [json.loads(line) for line in (place / "_delta_log" / f"{0:020}.json").read_text().splitlines()]
    declared = [line["protocol"]["readerFeatures"] for line in log if "protocol" in line]
    assert "variantType" in declared[0]
    Exports(service, "declared").deliver(rows, "full")
