"""Batches of files become rows of managed datasets, and flows deliver them."""

from __future__ import annotations

import io
import json
import random
import threading
import time
from pathlib import Path

import aepp
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aepp import configs
from aepp.catalog import Catalog
from aepp.dataaccess import DataAccess
from aepp.ingestion import DataIngestion

from ingest import (
    EXPORT,
    IMPORT,
    act,
    batch_of,
    file_path,
    ingest,
    lines,
    new_batch,
    new_dataset,
    preview,
    put,
    send,
    wait,
)
from offtake import CATALOG, Offtake, until
from oracle import manifests, relation

ORDERS = [
    {"id": 1, "price": 2, "open": True, "who": {"name": "Zoë", "age": None}, "tags": ["a", "b"]},
    {"id": 2, "price": 2.5, "open": None, "who": None, "tags": [], "note": "late"},
]


def exported(service: Offtake) -> list[tuple]:
    """Rows of all deliveries, by id."""
    paths = [path for found in manifests(service.zone) for path in found.files()]
    return sorted(relation(paths).project("id").fetchall()) if paths else []


def uploads_are_removed(service: Offtake) -> None:
    """The uploads of a batch go soon after it says `success`."""
    folder = service.data_dir / "uploads"
    for _ in until(10):
        if not list(folder.glob("*/*/*")):
            return
    raise AssertionError(f"uploads are left: {list(folder.glob('*/*/*'))}")


def test_a_json_batch_is_delivered_and_the_next_one_alone(service: Offtake) -> None:
    dataset = new_dataset(service)
    batch = ingest(service, dataset, {"orders.json": lines(ORDERS)})
    metrics = batch_of(service, batch)["metrics"]
    assert (metrics["inputRecordCount"], metrics["outputRecordCount"], metrics["failedRecordCount"]) == (2, 2, 0)
    flow = service.make_flow(dataset)
    service.wait_for_run(service.start_run(flow))
    assert exported(service) == [(1,), (2,)]

    ingest(service, dataset, {"more.json": json.dumps([{"id": 3, "new": {"a": 1}}])})
    service.wait_for_run(service.start_run(flow))
    assert exported(service) == [(1,), (2,), (3,)]
    assert [found.body["totalRows"] for found in manifests(service.zone)] == [2, 1]


def test_columns_are_inferred_and_widened(service: Offtake) -> None:
    dataset = new_dataset(service)
    ingest(service, dataset, {"a.json": lines(ORDERS)})
    ingest(service, dataset, {"b.json": lines([{"id": 3, "who": {"city": "Köln"}, "when": {"at": 1}}])})
    rows = {row["id"]: row for row in preview(service, dataset)}
    assert rows[1]["price"] == 2.0 and rows[1]["who"] == {"name": "Zoë"}
    assert rows[2]["note"] == "late" and rows[2]["tags"] == []
    assert rows[3] == {"id": 3, "who": {"city": "Köln"}, "when": {"at": 1}}


def test_bad_rows_fail_the_batch_and_are_named(service: Offtake) -> None:
    dataset = new_dataset(service)
    ingest(service, dataset, {"a.json": lines(ORDERS)})
    bad = '{"id":3}\n{"id":"four"}\n\n{"id":5\n{"id":6,"who":1}\n'
    batch = ingest(service, dataset, {"b.json": bad}, expect="failed")
    seen = batch_of(service, batch)
    (error,) = seen["errors"]
    assert error["code"] == "BATCH_ROWS_INVALID"
    assert [row["line"] for row in error["rows"]] == [2, 4, 5]
    assert error["rows"][0]["reason"] == "column `id`: text where the dataset has long"
    assert "four" not in json.dumps(seen)
    assert seen["metrics"]["failedRecordCount"] == 3
    assert len(preview(service, dataset)) == 2


def test_csv_takes_delimiter_charset_and_header(service: Offtake) -> None:
    dataset = new_dataset(service)
    text = "id;name;zip;score;ok\n1;Zoë;007;1;true\n2;'a;b';12;2.5;\n"
    form = {"format": "csv", "delimiter": ";", "quote": "'", "charset": "ISO-8859-1"}
    ingest(service, dataset, {"a.csv": text.encode("latin-1")}, form)
    assert preview(service, dataset) == [
        {"id": 1, "name": "Zoë", "zip": "007", "score": 1.0, "ok": True},
        {"id": 2, "name": "a;b", "zip": "12", "score": 2.5},
    ]
    batch = ingest(service, dataset, {"b.csv": "id,zip\nx,1\n2,3,4\n"}, {"format": "CSV"}, expect="failed")
    rows = batch_of(service, batch)["errors"][0]["rows"]
    assert [row["line"] for row in rows] == [2, 3]
    empty = ingest(service, dataset, {"c.csv": "\n\n"}, {"format": "csv"}, expect="failed")
    assert batch_of(service, empty)["errors"][0]["code"] == "CSV_HEADER_EMPTY"


def test_parquet_is_taken_over(service: Offtake) -> None:
    dataset = new_dataset(service)
    table = pa.table({"id": pa.array([1, 2], pa.int32()), "at": pa.array([0, None], pa.timestamp("ms")),
                      "who": pa.array([{"a": 1}, None])})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    ingest(service, dataset, {"a.parquet": buffer.getvalue()}, {"format": "parquet"})
    assert preview(service, dataset) == [{"id": 1, "at": "1970-01-01T00:00:00Z", "who": {"a": 1}}, {"id": 2}]
    batch = ingest(service, dataset, {"b.parquet": b"nothing"}, {"format": "parquet"}, expect="failed")
    assert "not a Parquet file" in batch_of(service, batch)["errors"][0]["rows"][0]["reason"]


def test_a_large_file_comes_in_parts_and_survives_a_kill(service: Offtake) -> None:
    dataset = new_dataset(service)
    batch = new_batch(service, dataset)
    data = lines([{"id": number, "text": "x" * 50} for number in range(2000)]).encode()
    path = file_path(batch, dataset, "big.json")
    cut = [0, 30_001, 60_002, len(data)]
    ranges = [f"bytes {a}-{b - 1}/{len(data)}" for a, b in zip(cut, cut[1:])]
    assert send(service, "PATCH", path, b"x", **{"Content-Range": "bytes 0-0/1"}).status == 416
    assert service.call("POST", f"{path}?action=INITIALIZE").status == 201
    first = send(service, "PATCH", path, data[: cut[1]], **{"Content-Range": ranges[0]})
    assert first.body == {"name": "big.json", "sizeInBytes": cut[1]}
    service.kill()
    service.start()
    assert service.call("HEAD", path).headers["range"] == f"bytes=0-{cut[1] - 1}"
    assert service.call("POST", f"{path}?action=INITIALIZE").status == 200
    last = send(service, "PATCH", path, data[cut[2] :], **{"Content-Range": ranges[2]})
    assert last.body["sizeInBytes"] == cut[1]
    gap = service.call("POST", f"{path}?action=COMPLETE")
    assert gap.body["report"]["additionalContext"]["code"] == "UPLOAD_INCOMPLETE"
    assert act(service, batch, "COMPLETE").status == 400
    overlap = send(service, "PATCH", path, data[10 : cut[2]], **{"Content-Range": f"bytes 10-{cut[2] - 1}/{len(data)}"})
    assert overlap.status == 416
    short = send(service, "PATCH", path, b"short", **{"Content-Range": ranges[1]})
    assert short.status == 416
    for _ in range(2):
        assert send(service, "PATCH", path, data[cut[1] : cut[2]], **{"Content-Range": ranges[1]}).status == 200
    assert service.call("POST", f"{path}?action=COMPLETE").body["sizeInBytes"] == len(data)
    assert act(service, batch, "COMPLETE").status == 200
    assert wait(service, batch)["metrics"]["outputRecordCount"] == 2000
    uploads_are_removed(service)


def test_states_and_retries(service: Offtake) -> None:
    dataset = new_dataset(service)
    batch = new_batch(service, dataset, externalId="day 1")
    assert new_batch(service, dataset, externalId="day 1") == batch
    assert act(service, batch, "COMPLETE").status == 400
    assert put(service, batch, dataset, "a.json", "").body["title"] == "Empty file"
    assert put(service, batch, dataset, "a.json", '{"id":0}').status == 201
    assert put(service, batch, dataset, "a.json", '{"id":1}').status == 200
    for _ in range(2):
        assert act(service, batch, "complete").status == 200
    wait(service, batch)
    assert act(service, batch, "COMPLETE").status == 200
    assert act(service, batch, "ABORT").status == 400
    assert put(service, batch, dataset, "b.json", '{"id":2}').status == 400
    again = service.call("POST", f"{IMPORT}/batches", {"datasetId": dataset, "inputFormat": {"format": "json"},
                                                       "externalId": "day 1"})
    assert (again.status, again.body["id"], again.body["status"]) == (201, batch, "success")

    assert act(service, batch, "REVERT").body["status"] == "inactive"
    assert act(service, batch, "REVERT").status == 200
    assert preview(service, dataset) == []
    other = new_batch(service, dataset, externalId="day 1")
    assert other != batch
    assert act(service, other, "ABORT").body["status"] == "aborted"
    assert act(service, other, "COMPLETE").status == 400
    assert act(service, new_batch(service, dataset), "FAIL").body["status"] == "failed"
    assert act(service, batch, "EXPLODE").status == 400


def test_a_reverted_batch_is_a_rewrite_for_flows(service: Offtake) -> None:
    dataset = new_dataset(service)
    batch = ingest(service, dataset, {"a.json": '{"id":1}'})
    flow = service.make_flow(dataset)
    service.wait_for_run(service.start_run(flow))
    act(service, batch, "REVERT")
    failed = service.wait_for_run(service.start_run(flow), expect="failed")
    assert "SOURCE_REWRITTEN" in json.dumps(failed)


def test_files_are_listed_and_downloaded_by_range(service: Offtake) -> None:
    dataset = new_dataset(service)
    batch = ingest(service, dataset, {"a.json": lines(ORDERS)})
    listed = service.call("GET", f"{EXPORT}/batches/{batch}/files").body
    (file,) = listed["data"]
    assert (file["dataSetFileId"], file["records"], listed["_page"]["count"]) == (f"{batch}-1", "2", 1)
    assert list(service.call("GET", f"{CATALOG}/dataSetFiles?dataSetId={dataset}").body) == [f"{batch}-1"]
    href = file["_links"]["self"]["href"]
    (entry,) = service.call("GET", href).body["data"]
    where = entry["_links"]["self"]["href"]
    size = int(entry["length"])
    head = service.call("HEAD", where)
    assert (head.headers["accept-ranges"], head.headers["content-length"]) == ("bytes", str(size))
    with_range = service.call("GET", where, Range="bytes=0-3")
    assert (with_range.status, with_range.text) == (206, "PAR1")
    assert with_range.headers["content-range"] == f"bytes 0-3/{size}"
    assert service.call("GET", where, Range="bytes=-4").text == "PAR1"
    assert service.call("GET", where, Range=f"bytes={size}-").status == 416
    assert service.call("GET", f"{EXPORT}/files/{batch}-2").status == 404
    assert service.call("GET", where + "x").status == 404


def test_only_managed_datasets_take_batches(service: Offtake, table) -> None:
    dataset = service.add_dataset("events", "lake://default/events")
    answer = service.call("POST", f"{IMPORT}/batches", {"datasetId": dataset, "inputFormat": {"format": "json"}})
    assert (answer.status, answer.body["report"]["additionalContext"]["code"]) == (400, "DATASET_NOT_MANAGED")
    managed = new_dataset(service)
    where = service.call("GET", f"{CATALOG}/dataSets/{managed}").body[managed]["location"]
    stolen = service.call("POST", f"{CATALOG}/dataSets", {"name": "x", "location": where})
    assert stolen.status == 400, stolen.text
    batch = new_batch(service, managed)
    path = file_path(batch, managed, "a.json")
    assert send(service, "PUT", path, b"{}", **{"Content-Type": "multipart/form-data"}).status == 415
    assert send(service, "PUT", file_path(batch, managed, "n" * 2100), b"{}").status == 414
    wrong = service.call("POST", f"{IMPORT}/batches", {"datasetId": managed, "inputFormat": {"format": "avro"}})
    assert wrong.status == 400
    listed = service.call("GET", f"{CATALOG}/batches?dataSet={managed}&status=loading").body
    assert list(listed) == [batch]


# A client that others wrote, unmodified.


def point(service: Offtake) -> None:
    known = service.credentials()
    configs.configure(org_id=known["org"], client_id=known["clientId"], secret=known["clientSecret"],
                      sandbox=known["sandbox"], scopes="openid", retry=0)
    aepp.config.endpoints["global"] = service.url
    aepp.config.config_object["oauthTokenEndpointV2"] = f"{service.url}/ims/token/v3"


def test_the_client_ingests_looks_and_reverts(service: Offtake, tmp_path: Path) -> None:
    point(service)
    catalog, ingestion, access = Catalog(), DataIngestion(), DataAccess()
    (made,) = catalog.createDataSet({"name": "orders"})
    dataset = made.removeprefix("@/dataSets/")
    batch = ingestion.createBatch(dataset, format="json")["id"]
    ingestion.uploadSmallFile(batch, dataset, filePath="orders.json", data=[{"id": 1}, {"id": 2}])
    ingestion.uploadSmallFileFinish(batch)
    wait(service, batch)
    assert catalog.getDataSet(dataset)[dataset]["lastBatchId"] == batch
    assert [*catalog.getBatches()] == [batch]
    (file,) = access.getBatchFiles(batch)
    assert (file["dataSetFileId"], file["records"]) == (f"{batch}-1", "2")
    assert preview(service, dataset) == [{"id": 1}, {"id": 2}]
    ingestion.uploadSmallFileFinish(batch, action="REVERT")
    assert batch_of(service, batch)["status"] == "inactive"


def test_the_clients_paging_of_datasets_ends(service: Offtake) -> None:
    point(service)
    for number in range(5):
        new_dataset(service, f"orders {number}")
    # It skips the first one, as it does everywhere, and stops at an empty page.
    assert len(Catalog().getDataSets(limit=2)) >= 4


# Large inputs.

GIGABYTE = 1_000_000_000
PART = 256 * 1024 * 1024


def grow(path: Path, size: int, row) -> int:
    """Writes rows until the file is that large; gives their number."""
    dice = random.Random(1)
    number = written = 0
    with path.open("w") as file:
        while written < size:
            text = "".join(row(number + at, dice) for at in range(10_000))
            written += file.write(text)
            number += 10_000
    return number


class Watch(threading.Thread):
    """Notes the largest resident memory of a service and what it started, over all its starts."""

    def __init__(self, service: Offtake) -> None:
        super().__init__(daemon=True)
        self.service, self.peak, self.over = service, 0, False

    def run(self) -> None:
        while not self.over:
            process = self.service.process
            try:
                text = Path(f"/proc/{process.pid}/status").read_text()
                self.peak = max(self.peak, int(text.split("VmHWM:")[1].split()[0]) // 1024)
            except (OSError, IndexError):
                pass
            time.sleep(0.1)


def patient(service: Offtake, path: str, data: bytes, at: int, total: int) -> bool:
    """Sends a part; false when the service was killed over it."""
    try:
        span = f"bytes {at}-{at + len(data) - 1}/{total}"
        return send(service, "PATCH", path, data, **{"Content-Range": span}).status == 200
    except OSError:
        return False


def upload_with_a_kill(service: Offtake, path: str, file: Path, kill_at: int) -> None:
    """Sends a file in parts; while part `kill_at` is under way the service is killed and started again."""
    total = file.stat().st_size
    assert service.call("POST", f"{path}?action=INITIALIZE").status == 201
    killed = False
    with file.open("rb") as source:
        while True:
            header = service.call("HEAD", path).headers.get("range", "bytes=0--1")
            at = int(header.removeprefix("bytes=0-")) + 1
            if at == total:
                break
            source.seek(at)
            data = source.read(PART)
            if at // PART == kill_at and not killed:
                killed = True
                killer = threading.Timer(0.15, service.kill)
                killer.start()
                patient(service, path, data, at, total)
                killer.join()
                service.start()
            else:
                assert patient(service, path, data, at, total)
    assert service.call("POST", f"{path}?action=COMPLETE").body["sizeInBytes"] == total


def test_a_gigabyte_each_of_json_and_csv_is_taken_with_two_kills(service: Offtake, deep: bool, tmp_path: Path) -> None:
    if not deep:
        pytest.skip("only with --deep")
    json_file, csv_file = tmp_path / "a.json", tmp_path / "b.csv"
    json_rows = grow(json_file, GIGABYTE, lambda n, dice: (
        f'{{"id":{n},"name":"row {n} é","score":{dice.random()!r},"ok":{"true" if n % 3 else "null"},'
        f'"tags":["a","{n % 7}"],"who":{{"city":"Köln","zip":{n % 99999}}}}}\n'))
    with csv_file.open("w") as file:
        file.write("id,name,score,ok\n")
    body = tmp_path / "body.csv"
    csv_rows = grow(body, GIGABYTE, lambda n, dice: (
        f'{json_rows + n},"row ""{n}"", é and some more text to make the row longer",{dice.random()!r},{"true" if n % 3 else ""}\n'))
    with csv_file.open("ab") as file, body.open("rb") as rest:
        while chunk := rest.read(1 << 24):
            file.write(chunk)
    body.unlink()

    watch = Watch(service)
    watch.start()
    dataset = new_dataset(service)
    began = time.monotonic()
    took = {}
    for name, file, kill_at in (("json", json_file, 1), ("csv", csv_file, 2)):
        batch = new_batch(service, dataset, {"format": name})
        upload_with_a_kill(service, file_path(batch, dataset, file.name), file, kill_at)
        assert act(service, batch, "COMPLETE").status == 200
        if name == "csv":
            # Once more, in the middle of the promotion.
            for _ in until(60):
                if batch_of(service, batch)["status"] == "staging":
                    break
            time.sleep(3)
            service.kill()
            service.start()
        wait(service, batch, timeout=600)
        took[name] = round(time.monotonic() - began)
    watch.over = True
    files = list((service.data_dir / "managed").rglob("*.parquet"))
    uploads_are_removed(service)

    def digest(source: str, columns: str) -> tuple:
        return duckdb.sql(f"SELECT count(*), sum(hash({columns})::HUGEINT), min(id), max(id) FROM {source}").fetchone()

    where = f"read_parquet({[str(path) for path in files]})"
    plain = "id, name, score, ok"
    ours = digest(f"(SELECT * FROM {where} WHERE id < {json_rows})", f"{plain}, tags, who")
    kinds = "columns={id:'BIGINT',name:'VARCHAR',score:'DOUBLE',ok:'BOOLEAN',tags:'VARCHAR[]',who:'STRUCT(city VARCHAR, zip BIGINT)'}"
    assert ours == digest(f"read_json('{json_file}', format='newline_delimited', {kinds})", f"{plain}, tags, who")
    ours = digest(f"(SELECT * FROM {where} WHERE id >= {json_rows})", plain)
    kinds = "columns={id:'BIGINT',name:'VARCHAR',score:'DOUBLE',ok:'BOOLEAN'}"
    assert ours == digest(f"read_csv('{csv_file}', header=true, {kinds})", plain)
    print(f"rows {json_rows} + {csv_rows}, {len(files)} files, seconds {took}, peak memory {watch.peak} MiB")
    assert watch.peak <= 300
