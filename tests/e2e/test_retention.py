"""Old runs are forgotten after `retention.run_days`; what they delivered, and what a flow still needs, stays."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable

from offtake import FLOWS, Offtake, status, until
from oracle import check_exactly_once, check_files, check_folder, check_tiled, manifests
from table import DeltaTable

DAY_MS = 24 * 60 * 60 * 1000
LATER = {"interval": 3, "timeUnit": "hour"}


def age(service: Offtake, days: dict[str, float]) -> None:
    """Makes runs of a service that is down as old as that: nobody waits a year for a test."""
    with sqlite3.connect(service.data_dir / "offtake.db") as db:
        for run, old in days.items():
            done = db.execute("UPDATE run SET created_at = ? WHERE id = ?", (time.time_ns() // 10**6 - old * DAY_MS, run))
            assert done.rowcount == 1, run


def ids(service: Offtake, flow: str) -> list[str]:
    return [run["id"] for run in service.runs(flow)]


def count(service: Offtake, flow: str) -> int:
    return service.call("GET", f"{FLOWS}/runs?count=true&property=flowId=={flow}").body["count"]


def forgotten(service: Offtake) -> int:
    """Waits until the first round of this start is over, and gives how many runs were forgotten by any start."""
    return sum(json.loads(line)["fields"]["runs"] for line in service.logs().splitlines() if "forgot old runs" in line)


def delivered_runs(service: Offtake, table: DeltaTable, flow: str, wanted: int) -> list[str]:
    runs = []
    for _ in range(wanted):
        table.append(10)
        runs.append(service.start_run(flow))
        service.wait_for_run(runs[-1])
    return runs


def test_an_old_run_goes_and_its_delivery_stays(make: Callable[..., Offtake]) -> None:
    service = make(OFFTAKE_LOG_FORMAT="json").start()
    table = DeltaTable(service.data_dir / "lake" / "events")
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset)
    runs = delivered_runs(service, table, flow, 4)
    lone = service.make_flow(dataset, path="lone")
    only = service.start_run(lone)
    service.wait_for_run(only)
    deleted = service.make_flow(dataset, path="deleted")
    orphan = service.start_run(deleted)
    service.wait_for_run(orphan)
    assert service.call("DELETE", f"{FLOWS}/flows/{deleted}").status == 202
    before = manifests(service.zone)
    assert service.terminate() == 0

    ages = {runs[0]: 410, runs[1]: 401, runs[2]: 399, only: 500, orphan: 450}
    age(service, ages)
    service.start()
    for _ in until(20):
        if forgotten(service):
            break
    assert forgotten(service) == 3, "two of the flow, and the one whose flow is gone"
    assert ids(service, flow) == runs[2:], "younger ones stay"
    assert ids(service, lone) == [only], "a flow's newest stays, however old"
    assert (count(service, flow), count(service, lone), count(service, deleted)) == (2, 1, 0)
    listed = service.call("GET", f"{FLOWS}/runs?limit=100").body["items"]
    assert {run["id"] for run in listed} == {*runs[2:], only}
    for run in (runs[0], runs[1], orphan):
        assert service.call("GET", f"{FLOWS}/runs/{run}").status == 404
        for op in ("RE_TRIGGER", "REPLAY"):
            answer = service.call("POST", f"{FLOWS}/runs/{run}/action?op={op}")
            assert answer.status in (400, 404), answer.text
    shown = service.call("GET", f"{FLOWS}/flows/{flow}").body["items"][0]
    assert shown["lastRunDetails"]["id"] == runs[3]

    # What was delivered is as it was, and can be checked without the service's memory.
    after = manifests(service.zone)
    assert [(it.path, it.body) for it in after] == [(it.path, it.body) for it in before]
    for delivered in after:
        check_files(delivered)
        service.command("verify", str(delivered.path))

    # The flow goes on where it was: nothing is sent twice, and no number is given again.
    delivered_runs(service, table, flow, 1)
    ours = [it for it in manifests(service.zone) if it.body["flow"] == flow]
    check_exactly_once(ours, range(table.next_row))
    check_tiled(ours)
    assert len(ours) == 5
    check_folder(service.zone, manifests(service.zone))


def test_a_run_that_is_not_over_stays_however_old(make: Callable[..., Offtake]) -> None:
    service = make(OFFTAKE_LOG_FORMAT="json").start()
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(10)
    dataset = service.add_dataset("events", "lake://default/events")
    org = service.credentials()["org"]
    flow = service.make_flow(dataset)
    old = service.start_run(flow)
    service.wait_for_run(old)
    # Held back: its organisation has had its bytes of today.
    service.command("org", "quota", org, "--bytes-per-day", "0")
    waits = service.make_flow(dataset, path="waits", schedule=LATER | {"startTime": 1_675_901_210})
    waiting = service.first_run(waits)
    # A newer one of the same flow, so that being the newest is not what keeps it.
    service.call("POST", f"{FLOWS}/flows/{waits}/action?op=disable")
    time.sleep(0.01)
    service.call("POST", f"{FLOWS}/flows/{waits}/action?op=enable")
    for _ in until(20):
        if len(service.runs(waits)) == 2:
            break
    newer = [run for run in ids(service, waits) if run != waiting]
    assert len(newer) == 1
    assert service.terminate() == 0

    age(service, {waiting: 1_000, old: 900})
    service.start()
    # The store is looked through at the start; a run that may go is the sign that it was.
    sign = service.make_flow(dataset, path="sign")
    assert sign
    for _ in until(3):
        assert status(service.run(waiting)) in ("waiting", "processing", "inProgress")
    assert forgotten(service) == 0, "one is not over, the other is its flow's newest"
    service.command("org", "quota", org, "--bytes-per-day", "none")
    service.wait_for_run(waiting)


def test_zero_days_keep_runs_for_ever(make: Callable[..., Offtake]) -> None:
    service = make(OFFTAKE_LOG_FORMAT="json", OFFTAKE__RETENTION__RUN_DAYS="0").start()
    table = DeltaTable(service.data_dir / "lake" / "events")
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    runs = delivered_runs(service, table, flow, 3)
    assert service.terminate() == 0
    age(service, {runs[0]: 10_000, runs[1]: 9_000})
    service.start()
    for _ in until(2):
        assert ids(service, flow) == runs
    assert service.terminate() == 0
    # A shorter time set later holds for what is there.
    service.settings["OFFTAKE__RETENTION__RUN_DAYS"] = "9500"
    service.start()
    for _ in until(20):
        if ids(service, flow) == runs[1:]:
            break
    assert ids(service, flow) == runs[1:]
