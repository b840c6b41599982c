"""Datasets in a lake root that is a bucket: tables written there by another implementation, and read back from it."""

from __future__ import annotations

import io
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

import values
import wide
from bed import need
from bucket import ALLOWED, SERVERS, Bucket
from offtake import Offtake, error_codes
from test_interop import Exports

PREFIX = "the lake/é"


@pytest.fixture(params=SERVERS)
def lake(request: pytest.FixtureRequest, bucket_on: Callable[[str], Bucket]) -> Bucket:
    """A bucket on each server, to be the lake root `bucket`."""
    return bucket_on(request.param)


@pytest.fixture
def service(make: Callable[..., Offtake], lake: Bucket) -> Offtake:
    """A service with that root. The keys are named in the configuration, never written there."""
    root = "OFFTAKE__LAKE__ROOTS__BUCKET__"
    settings = {
        f"{root}URL": f"s3://{lake.name}/{PREFIX}",
        f"{root}ENDPOINT": lake.endpoint,
        f"{root}REGION": need("S3_REGION"),
        f"{root}ACCESS_KEY_ID": "env:LAKE_KEY_ID",
        f"{root}SECRET_ACCESS_KEY": "env:LAKE_SECRET",
        "LAKE_KEY_ID": need("S3_ACCESS_KEY"),
        "LAKE_SECRET": need("S3_SECRET_KEY"),
    }
    return make(**settings, **ALLOWED).start()


def options(lake: Bucket) -> dict[str, str]:
    """How the other implementation writes there."""
    return {
        "AWS_ENDPOINT_URL": lake.endpoint,
        "AWS_ACCESS_KEY_ID": need("S3_ACCESS_KEY"),
        "AWS_SECRET_ACCESS_KEY": need("S3_SECRET_KEY"),
        "AWS_REGION": need("S3_REGION"),
        "AWS_ALLOW_HTTP": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        "aws_conditional_put": "etag",
    }


def test_a_table_in_a_bucket_is_delivered_whole_then_what_was_appended(service: Offtake, lake: Bucket) -> None:
    place, store = f"s3://{lake.name}/{PREFIX}/wide", options(lake)
    first, second = wide.table(300, 1), wide.table(40, 2, 300)
    write_deltalake(place, first, storage_options=store)
    exports = Exports(service, "wide", location="lake://bucket/wide")
    read = DeltaTable(place, storage_options=store).to_pyarrow_table()
    assert values.rows_of(read) == values.rows_of(first), "the other implementation reads what it wrote"
    exports.deliver(first, "full")

    write_deltalake(place, second, mode="append", storage_options=store)
    DeltaTable(place, storage_options=store).optimize.compact()
    exports.deliver(second, "incremental")

    DeltaTable(place, storage_options=store).delete("true")
    exports.fail("SOURCE_REWRITTEN")


def test_a_folder_of_files_in_a_bucket_is_delivered_and_a_file_that_changed_is_told(
    service: Offtake, lake: Bucket
) -> None:
    def put(name: str, rows: pa.Table) -> None:
        packed = io.BytesIO()
        pq.write_table(rows, packed)
        lake.client.put_object(Bucket=lake.name, Key=f"{PREFIX}/files/{name}", Body=packed.getvalue())

    first, second = wide.table(50, 1), wide.table(20, 2, 50)
    put("day=1/a.parquet", first)
    lake.client.put_object(Bucket=lake.name, Key=f"{PREFIX}/files/_SUCCESS", Body=b"")
    dataset = service.add_dataset("files", "lake://bucket/files")
    flow = service.make_flow(dataset, "PARQUET", "NONE")
    run = service.wait_for_run(service.start_run(flow))
    assert run["metrics"]["recordSummary"]["outputRecordCount"] == first.num_rows
    put("day=2/b.parquet", second)
    run = service.wait_for_run(service.start_run(flow))
    assert run["metrics"]["recordSummary"]["outputRecordCount"] == second.num_rows
    put("day=1/a.parquet", second)
    run = service.wait_for_run(service.start_run(flow), expect="failed")
    assert "SOURCE_REWRITTEN" in error_codes(run)


def test_a_bucket_that_cannot_be_read_is_told_by_name(
    make: Callable[..., Offtake], lake: Bucket
) -> None:
    root = "OFFTAKE__LAKE__ROOTS__BUCKET__"
    place = {f"{root}URL": f"s3://{lake.name}-missing/x", f"{root}ENDPOINT": lake.endpoint}
    keys = {f"{root}ACCESS_KEY_ID": "env:LAKE_KEY_ID", f"{root}SECRET_ACCESS_KEY": "env:LAKE_SECRET"}
    known = {"LAKE_KEY_ID": need("S3_ACCESS_KEY"), "LAKE_SECRET": need("S3_SECRET_KEY")}
    service = make(**place, **keys, **known, **ALLOWED).start()
    answer = service.call("POST", "/data/foundation/catalog/dataSets", {"name": "x", "location": "lake://bucket/table"})
    assert answer.status >= 400, answer.text
    assert need("S3_SECRET_KEY") not in answer.text
    unallowed = make("guarded", **place, **keys, **known).start()
    answer = unallowed.call("POST", "/data/foundation/catalog/dataSets", {"name": "x", "location": "lake://bucket/table"})
    assert answer.body["report"]["additionalContext"]["code"] == "NETWORK_REFUSED", answer.text
