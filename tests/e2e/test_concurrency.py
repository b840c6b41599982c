"""Many at once, and things that change while they are used: the documented answers hold."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from offtake import CATALOG, FLOWS, LANDING_ZONE, Offtake, error_codes
from oracle import check_exactly_once, manifests
from table import DeltaTable

CLIENTS = 50
FLOWS_OF_A_SANDBOX = 1_000


def later() -> dict[str, Any]:
    """A schedule that makes nothing due for an hour."""
    return {"interval": 3, "timeUnit": "hour", "startTime": int(time.time()) + 3600}


def replace(path: str, value: Any) -> list[dict[str, Any]]:
    """One patch operation."""
    return [{"op": "replace", "path": path, "value": value}]


def read(service: Offtake, flow: str) -> dict[str, Any]:
    """The flow."""
    return service.call("GET", f"{FLOWS}/flows/{flow}").body["items"][0]


def test_of_fifty_clients_with_the_same_etag_one_wins(service: Offtake, table: DeltaTable) -> None:
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    before = read(service, flow)["etag"]

    def rename(number: int) -> tuple[int, int, Any]:
        answer = service.call("PATCH", f"{FLOWS}/flows/{flow}", replace("/name", f"n{number}"), **{"If-Match": before})
        return number, answer.status, answer.body

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(rename, range(CLIENTS)))
    (winner,) = [(number, body) for number, status, body in answers if status == 200]
    after = read(service, flow)
    assert (after["name"], after["etag"]) == (f"n{winner[0]}", winner[1]["etag"])
    for _, status, body in answers:
        assert status in (200, 412), body
        if status == 412:
            assert body["type"].endswith("FLOW-1404-412")
            assert f"version=[{before}]" in body["errorMessage"], body


def test_a_run_delivers_what_its_flow_asked_for_when_it_began(service: Offtake, table: DeltaTable) -> None:
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"), path="before")
    target = read(service, flow)["targetConnectionIds"][0]
    target = service.call("GET", f"{FLOWS}/targetConnections/{target}").body["items"][0]
    body = {
        "name": "after",
        "baseConnectionId": target["baseConnectionId"],
        "params": target["params"] | {"path": "after", "datasetFileType": "PARQUET"},
        "connectionSpec": {"id": LANDING_ZONE, "version": "1.0"},
    }
    other = service.create("targetConnections", body)

    run = service.start_run(flow)
    edit = replace("/targetConnectionIds", [other]) + replace("/name", "renamed")
    edited = service.call("PATCH", f"{FLOWS}/flows/{flow}", edit, **{"If-Match": "*"})
    assert edited.status == 200, edited.text
    service.wait_for_run(run)
    table.append(77)
    service.wait_for_run(service.start_run(flow))

    first, second = manifests(service.zone)
    assert all(file["key"].startswith("before/") and file["key"].endswith(".json") for file in first.body["files"])
    assert all(file["key"].startswith("after/") and file["key"].endswith(".parquet") for file in second.body["files"])
    check_exactly_once([first, second], range(table.next_row))


def test_a_dataset_that_is_deleted_in_use_fails_alone(service: Offtake, table: DeltaTable) -> None:
    other = DeltaTable(service.data_dir / "lake" / "other")
    other.append(50)
    gone = service.add_dataset("events", "lake://default/events")
    kept = service.add_dataset("other", "lake://default/other")
    flow = service.make_flow([gone, kept])

    assert service.call("DELETE", f"{CATALOG}/dataSets/{gone}").status == 200, "the API doesn't ask who uses it"
    run = service.wait_for_run(service.start_run(flow), expect="failed")

    assert "DATASET_DELETED" in error_codes(run) and gone in error_codes(run)
    (delivered,) = manifests(service.zone)
    assert (delivered.body["dataset"], delivered.body["totalRows"]) == (kept, 50)
    assert table.path.exists(), "the table stays where it is"


def test_a_sandbox_with_a_thousand_flows_is_listed_counted_and_searched(service: Offtake, table: DeltaTable) -> None:
    first = service.make_flow(service.add_dataset("events", "lake://default/events"))
    known = read(service, first)
    body = {name: known[name] for name in ("flowSpec", "sourceConnectionIds", "targetConnectionIds")}

    def make(number: int) -> str:
        return service.create("flows", body | {"name": f"f{number}", "scheduleParams": later()})

    with ThreadPoolExecutor(8) as pool:
        made = {first, *pool.map(make, range(1, FLOWS_OF_A_SANDBOX))}

    listed: list[dict[str, Any]] = []
    path = f"{FLOWS}/flows?limit=100"
    while path:
        page = service.call("GET", path).body
        listed += page["items"]
        following = page["_links"].get("next")
        path = following and f"{FLOWS}{following['href']}&limit=100"
    assert len(listed) == FLOWS_OF_A_SANDBOX and {flow["id"] for flow in listed} == made
    ages = [flow["createdAt"] for flow in listed]
    assert ages == sorted(ages, reverse=True)
    assert service.call("GET", f"{FLOWS}/flows?count=true").body == {"count": FLOWS_OF_A_SANDBOX}
    (found,) = service.call("GET", f"{FLOWS}/flows?property=name==f7").body["items"]
    assert found["name"] == "f7"
    search = {"queryString": "property=state==enabled", "limit": 1000, "projectionFields": "id"}
    searched = service.call("POST", f"{FLOWS}/flows/search", search).body["items"]
    assert {flow["id"] for flow in searched} == made and set(searched[0]) == {"id"}
    refused = service.call("DELETE", f"{FLOWS}/sourceConnections/{known['sourceConnectionIds'][0]}")
    assert refused.status == 400 and "used by 1000 flow(s)" in refused.text
