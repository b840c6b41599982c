"""Folders of Parquet files as datasets: every row exactly once, read back by DuckDB, value by value."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offtake import Offtake, error_codes
from oracle import Delivered, check_files, check_tiled, manifests
from table import DeltaTable

FORMATS = [("JSON", "GZIP"), ("PARQUET", "NONE")]


def rows(first: int, count: int, **more: Any) -> pa.Table:
    """Rows with a column of each common type; `more` are further columns of one value."""
    numbers = range(first, first + count)
    day = datetime.datetime(1969, 12, 30, 23, 59, 59, 999_999, tzinfo=datetime.UTC)
    columns = {
        "row_id": pa.array(numbers, pa.int64()),
        "small": pa.array([n % 100 for n in numbers], pa.int8()),
        "name": pa.array([None if n % 7 == 0 else f"näme {n}" for n in numbers]),
        "amount": pa.array([n / 3 for n in numbers], pa.float64()),
        "price": pa.array([Decimal(n) / 100 for n in numbers], pa.decimal128(38, 9)),
        "at": pa.array([day + datetime.timedelta(hours=n) for n in numbers], pa.timestamp("us", tz="UTC")),
        "day": pa.array([datetime.date(2000, 1, 1) + datetime.timedelta(days=n) for n in numbers]),
        "tags": pa.array([[f"t{n}", None][: n % 3] for n in numbers], pa.list_(pa.string())),
        "where": pa.array([{"city": f"c{n}", "zip": n} for n in numbers]),
    }
    for name, value in more.items():
        columns[name] = pa.array([value] * count)
    return pa.table(columns)


def put(folder: Path, name: str, table: pa.Table) -> Path:
    """Puts a whole file in place at once, as writers should."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.parent / f".{path.name}.tmp"
    pq.write_table(table, unfinished)
    unfinished.rename(path)
    return path


def digest(files: list[Path], hive: bool, columns: list[str]) -> tuple[int, int]:
    """Rows, and a hash of every column that doesn't depend on their order, as DuckDB reads them."""
    if not files:
        return 0, 0
    names = [str(path) for path in files]
    if names[0].endswith(".json.gz"):
        found = duckdb.read_json(names, format="newline_delimited")
    else:
        found = duckdb.read_parquet(names, hive_partitioning=hive, union_by_name=True)
    texts = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in columns)
    return found.query("t", f"SELECT count(*), coalesce(bit_xor(hash({texts})), 0) FROM t").fetchone()


class Folder:
    """A folder in the default lake root with a flow that delivers Parquet, and one that delivers JSON."""

    def __init__(self, service: Offtake, name: str = "events", **params: Any) -> None:
        self.service = service
        self.path = service.data_dir / "lake" / name
        self.params = params
        self.flows: list[str] = []

    def register(self) -> Folder:
        dataset = self.service.add_dataset("events", f"lake://default/{self.path.name}")
        self.flows = [self.service.make_flow(dataset, kind, packed, **self.params) for kind, packed in FORMATS]
        return self

    def deliver(self, mode: str) -> list[Delivered]:
        """Runs each flow once; every delivery has that mode."""
        found = []
        for run in [self.service.start_run(flow) for flow in self.flows]:
            self.service.wait_for_run(run)
        for flow in self.flows:
            latest = [it for it in manifests(self.service.zone) if it.body["flow"] == flow][-1]
            assert latest.body["mode"] == mode
            check_files(latest)
            found.append(latest)
        return found

    def fail(self, code: str, word: str) -> None:
        """Runs the first flow once; it ends with that code and says that word."""
        run = self.service.wait_for_run(self.service.start_run(self.flows[0]), expect="failed")
        assert code in error_codes(run)
        assert word in error_codes(run)

    def check(self, delivered: list[Delivered], sources: list[Path], columns: list[str]) -> None:
        """What was delivered as Parquet is those source files, value by value; as JSON, row by row."""
        packed, parquet = delivered
        assert digest(parquet.files(), False, columns) == digest(sources, True, columns)
        ids = ["row_id", "small", "name"]
        assert digest(packed.files(), False, ids) == digest(sources, True, ids)


PLAIN = ["row_id", "small", "name", "amount", "price", "at", "day", "tags", "where"]


def test_appended_files_come_exactly_once_and_late_ones_too(service: Offtake) -> None:
    folder = Folder(service)
    first = [put(folder.path, f"b/{n}.parquet", rows(n * 100, 100)) for n in range(5)]
    folder.register()
    folder.check(folder.deliver("full"), first, PLAIN)
    for turn in range(3):
        # Their names sort before everything that was delivered.
        late = [put(folder.path, f"a{turn}/{n}.parquet", rows(10_000 + turn * 1_000 + n * 10, 10)) for n in range(3)]
        (folder.path / "_SUCCESS").touch()
        (folder.path / "unfinished.parquet.tmp").write_bytes(b"half")
        folder.check(folder.deliver("incremental"), late, PLAIN)
    for delivered in folder.deliver("incremental"):
        assert delivered.body["totalRows"] == 0
        assert delivered.body["to"]["kind"] == "folder"
    check_tiled(manifests(service.zone))


def test_partitions_become_typed_columns(service: Offtake) -> None:
    folder = Folder(service)
    sources = [
        put(folder.path, f"on={day}/hour={hour}/name2=a%20b%2F{hour}/x.parquet", rows(at * 100 + hour, 1))
        for at, day in enumerate(["2026-11-01", "2026-11-02", "__HIVE_DEFAULT_PARTITION__"])
        for hour in (0, 7, 23)
    ]
    folder.register()
    packed, parquet = folder.deliver("full")
    columns = [*PLAIN, "on", "hour", "name2"]
    assert digest(parquet.files(), False, columns) == digest(sources, True, columns)
    types = {it["name"]: it["type"] for it in parquet.body["schema"]["fields"]}
    assert (types["on"], types["hour"], types["name2"]) == ("date", "int64", "utf8")
    assert packed.body["totalRows"] == 9
    more = [put(folder.path, "on=2026-11-03/hour=1/name2=x/y.parquet", rows(5_000, 10))]
    _, parquet = folder.deliver("incremental")
    assert digest(parquet.files(), False, columns) == digest(more, True, columns)
    put(folder.path, "on=tomorrow/hour=1/name2=x/z.parquet", rows(6_000, 10))
    folder.fail("SOURCE_SCHEMA_CONFLICT", "on=tomorrow/hour=1/name2=x/z.parquet")


def test_columns_are_added_and_widened_and_a_clash_names_the_file(service: Offtake) -> None:
    folder = Folder(service)
    put(folder.path, "a.parquet", rows(0, 10))
    folder.register()
    folder.deliver("full")
    wide = rows(10, 10, extra="new").set_column(1, "small", pa.array(range(10), pa.int32()))
    source = put(folder.path, "b.parquet", wide)
    folder.check(folder.deliver("incremental"), [source], [*PLAIN, "extra"])
    put(folder.path, "c.parquet", rows(20, 10).set_column(1, "small", pa.array(["x"] * 10)))
    folder.fail("SOURCE_SCHEMA_CONFLICT", "c.parquet")
    (folder.path / "c.parquet").unlink()
    folder.deliver("incremental")


@pytest.mark.parametrize("how", ["rewritten", "removed"])
def test_a_rewrite_fails_until_a_full_resync_and_then_goes_on(service: Offtake, how: str) -> None:
    folder = Folder(service)
    kept = put(folder.path, "a.parquet", rows(0, 10))
    changed = put(folder.path, "b.parquet", rows(10, 10))
    folder.register()
    folder.deliver("full")
    if how == "removed":
        changed.unlink()
        left = [kept]
    else:
        put(folder.path, "b.parquet", rows(20, 10))
        left = [kept, changed]
    folder.fail("SOURCE_REWRITTEN", "b.parquet")
    for flow in folder.flows:
        service.wait_for_run(service.start_run(flow, full=True))
    for flow in folder.flows:
        latest = [it for it in manifests(service.zone) if it.body["flow"] == flow][-1]
        assert (latest.body["mode"], latest.body["totalRows"]) == ("full-resync", 10 * len(left))
    more = put(folder.path, "c.parquet", rows(30, 10))
    folder.check(folder.deliver("incremental"), [more], PLAIN)


def test_on_rewrite_full_sends_what_lies_there_now(service: Offtake) -> None:
    folder = Folder(service, onRewrite="full")
    put(folder.path, "a.parquet", rows(0, 10))
    folder.register()
    folder.deliver("full")
    source = put(folder.path, "a.parquet", rows(50, 7))
    folder.check(folder.deliver("full-after-rewrite"), [source], PLAIN)
    for delivered in folder.deliver("incremental"):
        assert delivered.body["totalRows"] == 0


def test_a_folder_is_told_by_looking_and_a_broken_file_is_named(service: Offtake) -> None:
    lake = service.data_dir / "lake"
    (lake / "nothing").mkdir()
    (lake / "nothing" / "_SUCCESS").touch()
    refused = service.command("dataset", "add", "nothing", "lake://default/nothing", check=False)
    assert refused.returncode != 0
    assert "Parquet" in refused.stderr + refused.stdout
    folder = Folder(service)
    put(folder.path, "a.parquet", rows(0, 10))
    folder.register()
    folder.deliver("full")
    (folder.path / "b.parquet").write_bytes(b"PAR1 this is no Parquet file PAR1")
    folder.fail("SOURCE_CORRUPT", "b.parquet")


@pytest.mark.parametrize("point", ["after-record", "before-manifest-put", "before-commit-tx", "commit-tx-sent"])
def test_a_kill_on_the_way_neither_loses_nor_repeats_a_file(make: Any, point: str) -> None:
    service = make().start()
    folder = Folder(service)
    put(folder.path, "a.parquet", rows(0, 10))
    folder.register()
    folder.deliver("full")
    put(folder.path, "b.parquet", rows(10, 10))
    service.kill()
    service.start(failpoints=f"{point}=kill")
    service.ask_for_run(folder.flows[1])
    service.wait_for_death()
    put(folder.path, "c.parquet", rows(20, 10))
    service.start()
    for run in service.runs(folder.flows[1]):
        service.wait_for_run(run["id"])
    service.wait_for_run(service.start_run(folder.flows[1]))
    mine = [it for it in manifests(service.zone) if it.body["flow"] == folder.flows[1]]
    ids = sorted(
        row for it in mine for path in it.files() for row in pq.read_table(path)["row_id"].to_pylist()
    )
    assert ids == list(range(30))


def test_a_broken_dataset_leaves_the_others_of_its_flow_alone(service: Offtake) -> None:
    folder = Folder(service)
    put(folder.path, "a.parquet", rows(0, 10))
    broken = Folder(service, "broken")
    put(broken.path, "a.parquet", rows(0, 10))
    table = DeltaTable(service.data_dir / "lake" / "table")
    table.append(100, files=2)
    datasets = [service.add_dataset(name, f"lake://default/{name}") for name in ("events", "broken", "table")]
    flow = service.make_flow(datasets, "PARQUET")
    service.wait_for_run(service.start_run(flow))
    put(folder.path, "b.parquet", rows(10, 5))
    table.append(50, files=1)
    damaged = put(broken.path, "b.parquet", rows(10, 3))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-20])
    run = service.wait_for_run(service.start_run(flow), expect="failed")
    assert "SOURCE_CORRUPT" in error_codes(run)
    assert counts(service) == {datasets[0]: [10, 5], datasets[1]: [10], datasets[2]: [100, 50]}
    damaged.write_bytes(whole)
    service.wait_for_run(service.start_run(flow))
    assert counts(service) == {datasets[0]: [10, 5, 0], datasets[1]: [10, 3], datasets[2]: [100, 50, 0]}


def counts(service: Offtake) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for delivered in manifests(service.zone):
        found.setdefault(delivered.body["dataset"], []).append(delivered.body["totalRows"])
    return found
