"""Exports over the HTTP API: what arrives, what does not, and what the run says of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

import table as tables
from offtake import FLOWS, Offtake, error_codes, status
from oracle import check_exactly_once, check_files, check_folder, check_tiled, manifests, relation, row_ids, visible
from table import DeltaTable


@pytest.mark.parametrize("compression", ["NONE", "GZIP"])
@pytest.mark.parametrize("file_type", ["JSON", "PARQUET"])
def test_rows_arrive_once_and_an_increment_holds_only_what_was_appended(
    service: Offtake, table: DeltaTable, file_type: str, compression: str
) -> None:
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, file_type, compression)

    first = service.wait_for_run(service.start_run(flow))
    appended = table.append(77)
    second = service.wait_for_run(service.start_run(flow))

    found = manifests(service.zone)
    assert [it.body["mode"] for it in found] == ["full", "incremental"]
    assert sorted(row_ids(found[1])) == list(appended)
    for delivered in found:
        check_files(delivered)
    check_exactly_once(found, range(table.next_row))
    check_tiled(found)
    check_folder(service.zone, found)
    for run, delivered in zip((first, second), found, strict=True):
        records = run["metrics"]["recordSummary"]
        assert records["inputRecordCount"] == records["outputRecordCount"] == delivered.body["totalRows"]
        assert run["metrics"]["sizeSummary"]["outputBytes"] == delivered.body["totalBytes"]
        assert run["metrics"]["fileSummary"]["outputFileCount"] == len(delivered.body["files"])


@pytest.mark.parametrize("file_type", ["JSON", "PARQUET"])
def test_values_survive_the_way(service: Offtake, table: DeltaTable, file_type: str) -> None:
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"), file_type)
    service.wait_for_run(service.start_run(flow))

    (delivered,) = manifests(service.zone)
    columns = "row_id, name, amount, epoch_ms(made_at::timestamptz) ms, tags, address.city city, address.zip zip"
    rows = relation(delivered.files()).select(columns).order("row_id").fetchall()
    for number, (row_id, name, amount, millis, tags, city, code) in enumerate(rows):
        expected = tables.row(number, 1)
        assert (row_id, name, amount, city) == (number, expected["name"], expected["amount"], expected["address"]["city"])
        assert code == expected["address"]["zip"]
        assert millis == round(expected["made_at"].timestamp() * 1000)
        assert tags == expected["tags"]


def test_a_delivery_without_rows_succeeds_with_a_manifest_and_no_data_folder(
    service: Offtake, table: DeltaTable
) -> None:
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    service.wait_for_run(service.start_run(flow))
    before = visible(service.zone)

    run = service.wait_for_run(service.start_run(flow))

    assert run["metrics"]["recordSummary"]["outputRecordCount"] == 0
    assert visible(service.zone) == before
    assert [len(it.body["files"]) for it in manifests(service.zone)][1] == 0


def test_a_compaction_is_not_exported_again(service: Offtake, table: DeltaTable) -> None:
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    service.wait_for_run(service.start_run(flow))
    table.compact()
    table.append(10)
    service.wait_for_run(service.start_run(flow))

    found = manifests(service.zone)
    assert [it.body["totalRows"] for it in found] == [1000, 10]
    check_exactly_once(found, range(1010))


def test_deleted_rows_end_an_increment_with_advice_and_a_full_run_starts_over(
    service: Offtake, table: DeltaTable
) -> None:
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    service.wait_for_run(service.start_run(flow))
    table.remove_first_file()

    failed = service.wait_for_run(service.start_run(flow), expect="failed")
    assert "SOURCE_REWRITTEN" in error_codes(failed) or "onRewrite" in error_codes(failed)
    assert len(manifests(service.zone)) == 1

    service.wait_for_run(service.start_run(flow, full=True))
    last = manifests(service.zone)[-1]
    assert last.body["mode"] == "full-resync"
    assert sorted(row_ids(last)) == list(range(250, 1000))


def test_on_rewrite_full_sends_the_whole_snapshot_and_says_so(service: Offtake, table: DeltaTable) -> None:
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, onRewrite="full")
    service.wait_for_run(service.start_run(flow))
    table.remove_first_file()
    service.wait_for_run(service.start_run(flow))

    last = manifests(service.zone)[-1]
    assert last.body["mode"] == "full-after-rewrite"
    assert sorted(row_ids(last)) == list(range(250, 1000))


def test_one_bad_dataset_does_not_hold_back_the_others(service: Offtake, table: DeltaTable) -> None:
    other = DeltaTable(service.data_dir / "lake" / "other")
    other.append(50)
    good = service.add_dataset("events", "lake://default/events")
    bad = service.add_dataset("other", "lake://default/other")
    flow = service.make_flow([good, bad])
    other.files()[0].write_bytes(b"PAR1 not really PAR1")

    service.wait_for_run(service.start_run(flow), expect="failed")

    found = manifests(service.zone)
    assert [it.body["dataset"] for it in found] == [good]
    check_exactly_once(found, range(1000))
    check_folder(service.zone, found)


def test_small_files_of_the_source_stay_files_of_their_own(service: Offtake, table: DeltaTable) -> None:
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    service.wait_for_run(service.start_run(flow))

    (delivered,) = manifests(service.zone)
    assert [file["rows"] for file in delivered.body["files"]] == [250] * 4
    check_exactly_once([delivered], range(1000))


def test_a_start_in_the_past_runs_at_once(service: Offtake, table: DeltaTable) -> None:
    schedule = {"interval": 3, "timeUnit": "hour", "startTime": int(time.time()) - 7200}
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"), schedule=schedule)
    service.wait_for_run(service.first_run(flow))
    check_exactly_once(manifests(service.zone), range(1000))
    assert len(service.runs(flow)) == 1


def test_a_disabled_flow_refuses_to_run_until_it_is_enabled(service: Offtake, table: DeltaTable) -> None:
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    assert service.call("POST", f"{FLOWS}/flows/{flow}/action?op=disable").status == 200
    refused = service.call("POST", f"{FLOWS}/runs", {"flowId": flow})
    assert refused.status == 400, refused.text
    assert service.runs(flow) == []
    assert service.call("POST", f"{FLOWS}/flows/{flow}/action?op=enable").status == 200
    service.wait_for_run(service.start_run(flow))


def test_two_flows_over_one_dataset_keep_their_own_place(service: Offtake, table: DeltaTable) -> None:
    dataset = service.add_dataset("events", "lake://default/events")
    one = service.make_flow(dataset, path="one")
    service.wait_for_run(service.start_run(one))
    table.append(10)
    two = service.make_flow(dataset, "PARQUET", "GZIP", path="two")
    service.wait_for_run(service.start_run(one))
    service.wait_for_run(service.start_run(two))

    found = manifests(service.zone)
    check_exactly_once([it for it in found if it.body["flow"] == one], range(1010))
    check_exactly_once([it for it in found if it.body["flow"] == two], range(1010))


def test_the_command_line_does_the_same(make: Callable[..., Offtake]) -> None:
    service = make().start()
    made = DeltaTable(service.data_dir / "lake" / "events")
    made.append(100)
    added = json.loads(service.command("--json", "dataset", "add", "events", "lake://default/events").stdout)
    listed = json.loads(service.command("--json", "dataset", "list").stdout)
    assert [it["id"] for it in listed] == [added["id"]]

    flow = service.make_flow(added["id"])
    assert [it["id"] for it in json.loads(service.command("--json", "flows", "list").stdout)] == [flow]
    ran = json.loads(service.command("--json", "flows", "run", flow).stdout)
    assert status(ran) == "success"
    full = json.loads(service.command("--json", "flows", "run", flow, "--full").stdout)
    assert full["metrics"]["recordSummary"]["outputRecordCount"] == 100
    assert len(json.loads(service.command("--json", "runs", flow).stdout)) == 2
    assert service.command("flows", "run", "no such flow", check=False).returncode != 0
