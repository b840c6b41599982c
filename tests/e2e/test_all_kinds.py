"""One flow over datasets of every kind, and datasets that share a folder."""

from __future__ import annotations

import json
import time

import pytest

import ingest
from offtake import Offtake, error_codes
from oracle import check_exactly_once, check_files, check_tiled, manifests
from table import DeltaTable
from test_folder_datasets import put, rows


@pytest.mark.parametrize("broken", ["table", "folder", "ingested"])
def test_one_broken_dataset_leaves_the_others_alone_and_the_next_run_sends_only_what_is_missing(
    service: Offtake, table: DeltaTable, broken: str
) -> None:
    lake = service.data_dir / "lake"
    in_folder = put(lake / "days", "a.parquet", rows(0, 50))
    ingested = ingest.new_dataset(service)
    ingest.ingest(service, ingested, {"rows.json": ingest.lines([{"row_id": number} for number in range(70)])})
    datasets = {
        "table": service.add_dataset("events", "lake://default/events"),
        "folder": service.add_dataset("days", "lake://default/days"),
        "ingested": ingested,
    }
    expected = {"table": 1000, "folder": 50, "ingested": 70}
    harmed = {
        "table": table.files()[1],
        "folder": in_folder,
        "ingested": next(path for path in (service.data_dir / "managed").rglob("*.parquet")),
    }[broken]
    whole = harmed.read_bytes()
    harmed.write_bytes(whole[:-9] + b"\0" * 9)
    flow = service.make_flow(list(datasets.values()))

    run = service.wait_for_run(service.start_run(flow), expect="failed")

    assert "SOURCE_CORRUPT" in error_codes(run) and harmed.name in error_codes(run), error_codes(run)
    delivered = {it.body["dataset"] for it in manifests(service.zone)}
    assert delivered == set(datasets.values()) - {datasets[broken]}

    harmed.write_bytes(whole)
    run = service.wait_for_run(service.start_run(flow))

    assert run["metrics"]["recordSummary"]["outputRecordCount"] == expected[broken]
    for kind, dataset in datasets.items():
        found = [it for it in manifests(service.zone) if it.body["dataset"] == dataset]
        for it in found:
            check_files(it)
        check_exactly_once(found, range(expected[kind]))
        check_tiled(found)
        assert len(found) == (1 if kind == broken else 2)


def test_datasets_that_share_a_folder_have_documented_manifests_of_their_own(
    service: Offtake, table: DeltaTable
) -> None:
    other = DeltaTable(service.data_dir / "lake" / "others")
    other.append(30, files=2)
    datasets = [service.add_dataset(name, f"lake://default/{name}") for name in ("events", "others")]
    soon = {"interval": 3, "timeUnit": "hour", "startTime": int(time.time()) + 3600}
    flow = service.make_flow(
        datasets, schedule=soon | {"foldernameTemplate": "all/%DATETIME(yyyy)%"}, includeFileManifest=True
    )
    run = service.wait_for_run(service.start_run(flow))

    ours = {it.body["dataset"]: it for it in manifests(service.zone)}
    (folder,) = {path.parent for it in ours.values() for path in it.files()}
    documented = {path.name: json.loads(path.read_text()) for path in folder.glob("manifest-*.json")}
    assert set(documented) == {f"manifest-{flow}-{run['id']}-{dataset}.json" for dataset in datasets}
    for dataset in datasets:
        listed = documented[f"manifest-{flow}-{run['id']}-{dataset}.json"]
        assert listed["flowRunId"] == run["id"]
        assert {it["name"] for it in listed["exportResults"]} == {path.name for path in ours[dataset].files()}
        for it in listed["exportResults"]:
            assert (folder / it["name"]).stat().st_size == it["size"]


def test_a_preview_shows_where_files_will_lie_and_what_may_surprise(service: Offtake, table: DeltaTable) -> None:
    datasets = [service.add_dataset(name, "lake://default/events") for name in ("one", "EU/two")]
    flow = service.make_flow(datasets)
    run = service.run(service.start_run(flow))

    shown = service.command("--json", "flows", "preview", flow, "--at", str(run["occurrence"] // 1000))
    shown = json.loads(shown.stdout)

    service.wait_for_run(run["id"])
    found_of = {it.body["dataset"]: it for it in manifests(service.zone)}
    assert [it["dataSetId"] for it in shown["datasets"]] == datasets
    for dataset in shown["datasets"]:
        found = found_of[dataset["dataSetId"]]
        assert {key.rsplit("/", 1)[0] for key in (file["key"] for file in found.body["files"])} == {dataset["folder"]}
        assert str(found.path.parent).endswith(dataset["manifests"])
    asked = {"dataSetIds": datasets, "foldernameTemplate": "_x/%DATETIME(yyyy)%", "occurrence": 1_675_901_210}
    answer = service.call("POST", "/offtake/v1/folder-previews", asked)
    assert answer.status == 200, answer.text
    assert {it["folder"] for it in answer.body["datasets"]} == {"_x/2023"}
    assert sum("same at the next" in it or "`_x`" in it or "share" in it for it in answer.body["warnings"]) == 3
    for wrong in ({}, {"dataSetIds": []}, {"dataSetIds": ["no"]}, asked | {"foldernameTemplate": "%WHAT%"}, {"what": 1}):
        assert service.call("POST", "/offtake/v1/folder-previews", wrong).status == 400, wrong
