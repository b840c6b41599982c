"""Backups: taken beside a running service, restored after everything was lost, and reconciled with what was delivered.

Table and destination lie outside the data directory, as they do where they matter: a lost data directory loses neither.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ingest
from azure_stores import KINDS, trusting
from bucket import ALLOWED
from offtake import BINARY, FLOWS, ZONE, Destination, Offtake, status
from oracle import Delivered, check_exactly_once, check_files, check_tiled, manifests
from places import place_of as place_of
from store import Store
from table import DeltaTable
from test_azure import mend
from test_folder_datasets import put, rows

READY = "/health/ready"


class Place:
    """A lake and a landing zone of the test's own, and the services that work with them, one after the other."""

    def __init__(self, folder: Path, make: Callable[..., Offtake]) -> None:
        self.folder, self.make, self.lives = folder, make, 0
        self.zone = folder / "zone"
        self.lake = folder / "lake"
        self.lake.mkdir()
        self.settings = ALLOWED | {
            "OFFTAKE__LANDING_ZONE__PATH": str(self.zone),
            "OFFTAKE__LAKE__ROOTS__OUTSIDE__URL": str(self.lake),
        }

    def service(self) -> Offtake:
        """The next service, over a data directory that does not exist yet."""
        self.lives += 1
        return self.make(f"life{self.lives}", **self.settings)

    def back_up(self, service: Offtake, name: str = "backup", *options: str) -> Path:
        """Takes a backup."""
        service.command("backup", str(self.folder / name), *options)
        return self.folder / name

    def restore(self, service: Offtake, backup: Path) -> Offtake:
        """Loses the service with all that it had and makes another one of the backup."""
        service.kill()
        shutil.rmtree(service.data_dir)
        next_one = self.service()
        next_one.command("restore", str(backup))
        return next_one.start()

    def of(self, flow: str) -> list[Delivered]:
        """The flow's manifests in the landing zone."""
        return [it for it in manifests(self.zone) if it.body["flow"] == flow]


@pytest.fixture
def place(tmp_path: Path, make: Callable[..., Offtake]) -> Place:
    return Place(tmp_path, make)


@pytest.fixture
def table(place: Place) -> DeltaTable:
    """A table of 1,000 rows in the lake."""
    made = DeltaTable(place.lake / "events")
    made.append(1000, files=4)
    return made


def flow_over(service: Offtake, to: Destination = ZONE) -> str:
    """A flow over that table."""
    return service.make_flow(service.add_dataset("events", "lake://outside/events"), to=to)


def deliver(service: Offtake, flow: str) -> dict[str, Any]:
    """Runs the flow and waits for its success."""
    return service.wait_for_run(service.start_run(flow))


def reconcile(service: Offtake, *options: str, expect: int = 0) -> list[dict[str, Any]]:
    """Reconciles and gives the verdicts."""
    done = service.command("--json", "reconcile", *options, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return json.loads(done.stdout)


def warnings(run: dict[str, Any]) -> str:
    """What the run warns of."""
    return json.dumps(run["metrics"]["recordSummary"].get("warningInfo"))


def held(service: Offtake) -> int:
    """How many flows are held, as probes see it."""
    answer = service.raw("GET", READY, None, {})
    assert answer.status == 200
    assert (answer.body.get("heldFlows", 0) > 0) == answer.body.get("needsReconcile", False)
    metrics = service.raw("GET", "/metrics", None, {}).text
    assert f"offtake_flows_held {answer.body.get('heldFlows', 0)}" in metrics
    return answer.body.get("heldFlows", 0)


def check(found: list[Delivered], expected: int) -> None:
    """Every row once, in deliveries that follow each other, whose files are as their manifests say."""
    for delivered in found:
        check_files(delivered)
    check_exactly_once(found, range(expected))
    check_tiled(found)


@pytest.fixture(params=["folder", "s3", *KINDS])
def elsewhere(request: pytest.FixtureRequest, place: Place) -> Store | None:
    """A store that the service delivers into; none where that is the landing zone."""
    if request.param == "s3":
        return request.getfixturevalue("bucket")
    if request.param in KINDS:
        place.settings |= trusting()
        return request.getfixturevalue("place_of")(request.param)
    return None


def test_after_a_restore_no_row_is_delivered_twice_and_none_is_lost(
    place: Place, table: DeltaTable, elsewhere: Store | None
) -> None:
    service = place.service().start()
    flow = flow_over(service, elsewhere.destination() if elsewhere else ZONE)

    def delivered() -> list[Delivered]:
        return elsewhere.manifests() if elsewhere else place.of(flow)

    deliver(service, flow)
    table.append(100)
    running = service.start_run(flow)
    backup = place.back_up(service)
    service.wait_for_run(running)
    for appended in (50, 60):
        table.append(appended)
        deliver(service, flow)
    table.append(70)
    service.ask_for_run(flow)

    service = place.restore(service, backup)

    assert held(service) == 1
    known = delivered()
    # It waits, or is covered by one that was waiting when the backup was taken.
    waiting = service.start_run(flow)
    time.sleep(1.5)
    assert len(delivered()) == len(known)
    (dry,) = reconcile(service, "--dry-run")
    assert not dry["released"] and held(service) == 1
    (verdict,) = reconcile(service)
    assert verdict["released"] and held(service) == 0
    (dataset,) = verdict["datasets"]
    assert dataset == dry["datasets"][0]
    assert dataset["outcome"] == "caughtUp" and dataset["seqAfter"] == len(known), (dataset, len(known))
    assert "POST /offtake/v1/held-flows/{id}/reconcile" in service.call("GET", "/offtake/v1/audit?limit=5").text
    service.wait_for_run(waiting)
    table.append(30)
    deliver(service, flow)

    check(delivered(), table.next_row)
    taken_over = [run for run in service.runs(flow) if "DELIVERED_BEFORE_RESTORE" in warnings(run)]
    assert len(taken_over) == dataset["deliveries"]
    assert all(status(run) == "success" for run in taken_over)
    assert sum(run["metrics"]["recordSummary"]["outputRecordCount"] for run in taken_over) == dataset["rows"]


def test_the_schedule_does_not_deliver_again_what_it_had_delivered(place: Place, table: DeltaTable) -> None:
    service = place.service().start()
    began = int(time.time()) - 24 * 3600
    every_three_hours = {"interval": 3, "timeUnit": "hour", "startTime": began}
    dataset = service.add_dataset("events", "lake://outside/events")
    service.terminate()
    backup_before = place.back_up(service, "before")
    service.start()
    flow = service.make_flow(dataset, schedule=every_three_hours | {"startTime": int(time.time()) + 3600})
    backup = place.back_up(service)
    shutil.rmtree(backup_before)
    patch = [{"op": "replace", "path": "/scheduleParams", "value": every_three_hours}]
    etag = service.call("GET", f"{FLOWS}/flows/{flow}").body["items"][0]["etag"]
    answer = service.call("PATCH", f"{FLOWS}/flows/{flow}", patch, **{"If-Match": etag})
    assert answer.status == 200, answer.text
    service.wait_for_run(service.first_run(flow))

    service = place.restore(service, backup)
    etag = service.call("GET", f"{FLOWS}/flows/{flow}").body["items"][0]["etag"]
    assert service.call("PATCH", f"{FLOWS}/flows/{flow}", patch, **{"If-Match": etag}).status == 200
    run = service.first_run(flow)
    assert status(service.run(run)) == "waiting"
    reconcile(service)
    service.wait_for_run(run)
    deliver(service, flow)

    check(place.of(flow), table.next_row)


def test_a_flow_whose_manifests_contradict_is_refused_and_the_others_go_on(place: Place, table: DeltaTable) -> None:
    service = place.service().start()
    forked, fine = flow_over(service), flow_over(service)
    for flow in (forked, fine):
        deliver(service, flow)
    backup = place.back_up(service)
    service.kill()
    # A copy made by hand goes on unnoticed, and so does the original.
    copied = place.service()
    shutil.copytree(service.data_dir, copied.data_dir)
    table.append(10)
    for life in (service, copied):
        life.start()
        deliver(life, forked)
        life.kill()

    service = place.restore(copied, backup)

    first, second = sorted(reconcile(service, expect=1), key=lambda it: it["flowId"] == forked)
    assert first["released"] and first["flowId"] == fine
    assert not second["released"]
    assert second["refusal"]["code"] == "DELIVERIES_CONTRADICT"
    assert "two manifests have number 2" in second["refusal"]["message"] and second["refusal"]["advice"]
    assert held(service) == 1
    assert "DELIVERIES_CONTRADICT" in service.call("GET", "/offtake/v1/held-flows").text
    assert not reconcile(service, forked, "--accept", expect=1)[0]["released"]
    run = service.start_run(forked)
    deliver(service, fine)
    assert status(service.run(run)) == "waiting"
    check(place.of(fine), table.next_row)
    before = {path: path.read_bytes() for path in place.zone.rglob("*") if path.is_file() and forked in str(path)}
    assert service.call("DELETE", f"{FLOWS}/flows/{forked}").status == 202
    assert held(service) == 0
    assert {path: path.read_bytes() for path in before} == before


def test_where_manifests_are_taken_away_a_person_must_accept_that_rows_come_twice(
    place: Place, table: DeltaTable
) -> None:
    service = place.service().start()
    flow = flow_over(service)
    deliver(service, flow)
    backup = place.back_up(service)
    table.append(10)
    deliver(service, flow)
    for delivered in place.of(flow):
        delivered.path.unlink()

    service = place.restore(service, backup)

    (refused,) = reconcile(service, expect=1)
    assert refused["refusal"]["code"] == "DELIVERIES_UNPROVEN"
    (accepted,) = reconcile(service, flow, "--accept")
    assert accepted["released"] and held(service) == 0
    run = deliver(service, flow)
    assert run["metrics"]["recordSummary"]["outputRecordCount"] == 10


def test_a_container_that_may_not_be_listed_holds_its_flow_until_it_may(
    place: Place, table: DeltaTable, place_of: Callable[[str], Any]
) -> None:
    container = place_of("blob")
    place.settings |= trusting()
    service = place.service().start()
    flow = flow_over(service, container.destination(connectionString=container.sas_string("rcwd")))
    deliver(service, flow)
    backup = place.back_up(service)
    table.append(10)
    deliver(service, flow)

    service = place.restore(service, backup)

    (refused,) = reconcile(service, expect=1)
    assert refused["refusal"]["code"] == "DESTINATION_DENIED" and held(service) == 1
    mend(service, container.destination(connectionString=container.sas_string("rcwdl")))
    (verdict,) = reconcile(service)
    assert verdict["released"] and verdict["datasets"][0]["outcome"] == "caughtUp"
    table.append(20)
    deliver(service, flow)
    check(container.manifests(), table.next_row)


def test_a_reconcile_that_is_killed_is_finished_by_the_next(place: Place, table: DeltaTable) -> None:
    service = place.service().start()
    flows = [flow_over(service) for _ in range(6)]
    for flow in flows:
        deliver(service, flow)
    backup = place.back_up(service)
    for appended in (10, 20):
        table.append(appended)
        for flow in flows:
            deliver(service, flow)
    service = place.restore(service, backup)

    kills = 0
    for seed in range(40):
        if held(service) == 0:
            break
        command = subprocess.Popen(
            [BINARY, "--data-dir", str(service.data_dir), "reconcile"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=service.environment(),
        )
        # Most of this is the command's own way to the service.
        time.sleep(random.Random(seed).uniform(0.02, 0.25))
        service.kill()
        command.wait(30)
        kills += 1
        service.start()
    reconcile(service)
    assert kills
    assert held(service) == 0
    for flow in flows:
        deliver(service, flow)
        check(place.of(flow), table.next_row)


def test_what_was_sent_in_comes_back_and_folders_know_their_files(place: Place) -> None:
    service = place.service().start()
    managed = ingest.new_dataset(service)
    send(service, managed, range(100))
    folder = place.lake / "days"
    put(folder, "a.parquet", rows(0, 50))
    parts = service.add_dataset("days", "lake://outside/days")
    flows = [service.make_flow(managed), service.make_flow(parts)]
    for flow in flows:
        deliver(service, flow)
    half = ingest.new_batch(service, managed)
    more = ingest.lines([{"row_id": number} for number in range(100, 150)])
    ingest.put(service, half, managed, "half.json", more)
    backup = place.back_up(service)
    put(folder, "c.parquet", rows(50, 25))
    deliver(service, flows[1])
    put(folder, "b.parquet", rows(75, 25))

    service = place.restore(service, backup)

    assert {it["released"] for it in reconcile(service)} == {True}
    assert ingest.act(service, half, "COMPLETE").status == 200
    ingest.wait(service, half)
    send(service, managed, range(150, 200))
    for flow, expected in zip(flows, (200, 100), strict=True):
        deliver(service, flow)
        check(place.of(flow), expected)


def send(service: Offtake, dataset: str, ids: range) -> None:
    """Sends a batch of these rows and waits until they are in."""
    ingest.ingest(service, dataset, {"rows.json": ingest.lines([{"row_id": number} for number in ids])})


def test_a_backup_that_is_not_whole_is_refused(place: Place, table: DeltaTable) -> None:
    service = place.service().start()
    send(service, ingest.new_dataset(service), range(10))
    service.command("keys", "rotate")
    backup = place.back_up(service)
    service.kill()
    fresh = place.service()

    served = Offtake(backup, place.settings)
    refused = served.command("serve", "--listen", "127.0.0.1:0", check=False)
    assert refused.returncode == 1 and "BACKUP_UNUSABLE" in refused.stderr, refused.stderr
    (backup / "offtake.lock").unlink(missing_ok=True)
    assert "is not empty" in service.command("backup", str(backup), check=False).stderr
    occupied = service.command("restore", str(backup), check=False)
    assert occupied.returncode == 1 and "BACKUP_UNUSABLE" in occupied.stderr
    assert "complete" in fresh.command("restore", "--check", str(backup)).stdout
    assert not fresh.data_dir.exists()

    listed = [backup / it["path"] for it in json.loads((backup / "backup.json").read_text())["files"]]
    assert {"offtake.db", "offtake.key", "credentials.json"} <= {path.name for path in listed}
    assert any("managed" in path.parts for path in listed)
    assert any(path.name.startswith("offtake.key.former.") for path in listed)
    for damage in (flip, lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-1])):
        for path in listed:
            kept = path.read_bytes()
            damage(path)
            broken = fresh.command("restore", str(backup), check=False)
            assert broken.returncode == 1 and "BACKUP_UNUSABLE" in broken.stderr, (path, broken.stderr)
            assert not fresh.data_dir.exists(), path
            path.write_bytes(kept)
            path.chmod(0o600)
    listing = backup / "backup.json"
    kept = listing.read_text()
    listing.write_text(kept.replace("offtake.key", "../offtake.key"))
    assert fresh.command("restore", str(backup), check=False).returncode == 1
    listing.write_text(kept)
    fresh.command("restore", str(backup))
    fresh.start()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_restore_that_breaks_off_leaves_nothing_that_a_service_starts_on(place: Place, table: DeltaTable) -> None:
    service = place.service().start()
    deliver(service, flow_over(service))
    backup = place.back_up(service, "backup", "--metadata-only")
    service.kill()
    fresh = place.service()
    fresh.data_dir.mkdir()
    (fresh.data_dir / "offtake.db.restoring").touch()
    refused = fresh.command("serve", "--listen", "127.0.0.1:0", check=False)
    assert refused.returncode == 1 and "BACKUP_UNUSABLE" in refused.stderr
    shutil.rmtree(fresh.data_dir)
    fresh.command("restore", str(backup))
    assert held(fresh.start()) == 1


def test_a_state_directory_of_offtake_run_is_backed_up_alike(place: Place, table: DeltaTable) -> None:
    state = place.service()
    file = place.folder / "orders.yaml"
    file.write_text(
        f"dataset:\n  location: {table.path}\ndestination:\n  type: landing-zone\n  folder: {place.zone}\n"
        "  params:\n    path: exports\n"
    )
    start = ("run", str(file), "--state", str(state.data_dir))
    state.command(*start)
    backup = place.back_up(state)
    table.append(10)
    state.command(*start)
    shutil.rmtree(state.data_dir)
    state.command("restore", str(backup))
    table.append(20)
    state.command(*start)
    check(manifests(place.zone), table.next_row)
