"""Kill -9 at every named point of a delivery: whatever died, the outcome is that of a run nobody disturbed.

Each failpoint stands for a row of the delivery protocol's crash matrix. A service is started so that it kills itself
there, asked for a run, found dead, started again, and must finish that run: the same files by task, rows and digest,
every row once, nothing partial visible at any moment. Once for a first, full delivery and once for an increment.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from offtake import FLOWS, Offtake, error_codes, until
from oracle import (
    Delivered,
    Watcher,
    check_exactly_once,
    check_files,
    check_folder,
    check_tiled,
    manifests,
    staged,
    visible,
)
from table import DeltaTable

ROWS, FILES, APPENDED = 40_000, 4, 9_000

# Row of the matrix, and the place. `2*off->kill` lets the place be passed twice before.
MATRIX = [
    ("01", "after-run-insert=kill"),
    ("02", "after-claim=kill"),
    ("02", "before-plan-save=kill"),
    ("03", "after-plan-save=kill"),
    ("04", "after-attempt-row=kill"),
    ("05", "after-upload-create=kill"),
    ("05", "before-handle-save=kill"),
    ("06", "mid-part=kill"),
    ("07", "after-seal=kill"),
    ("07", "before-record=kill"),
    ("08", "after-record=kill"),
    ("08", "after-record=1*off->kill"),
    ("08", "before-freeze=kill"),
    ("09", "after-freeze=kill"),
    ("09", "before-publish-send=kill"),
    ("10", "after-publish-send=kill"),
    ("10", "after-publish-send=1*off->kill"),
    ("10", "between-publishes=kill"),
    ("11", "before-point-of-no-return=kill"),
    ("12", "after-point-of-no-return=kill"),
    ("12", "before-manifest-put=kill"),
    ("13", "after-manifest-put=kill"),
    ("14", "before-commit-tx=kill"),
    ("15", "commit-tx-sent=kill"),
]

# An ended delivery's leftovers are removed at once, and a failed journal is waited out for two seconds only.
SOON_SWEPT = {"OFFTAKE__DELIVERY__LEFTOVER_GRACE_SECS": "1"}
SHORT_LEASE = {"OFFTAKE__DELIVERY__LEASE_SECS": "2"}

FORMATS = [("JSON", "GZIP"), ("JSON", "NONE"), ("PARQUET", "NONE"), ("PARQUET", "GZIP")]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> DeltaTable:
    """The table that every service here gets a copy of."""
    table = DeltaTable(tmp_path_factory.mktemp("original") / "events")
    table.append(ROWS, files=FILES)
    return table


@pytest.fixture(scope="module")
def undisturbed(
    original: DeltaTable, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], list[list[tuple[int, int, str]]]]:
    """What two runs deliver when nobody dies, by file type and compression."""
    known: dict[tuple[str, str], list[list[tuple[int, int, str]]]] = {}

    def of(file_type: str, compression: str) -> list[list[tuple[int, int, str]]]:
        if (file_type, compression) not in known:
            service = Offtake(tmp_path_factory.mktemp("undisturbed") / "data")
            table = original.copy(service.data_dir / "lake" / "events")
            try:
                service.start()
                flow = service.make_flow(service.add_dataset("events", "lake://default/events"), file_type, compression)
                service.wait_for_run(service.start_run(flow))
                table.append(APPENDED, files=2)
                service.wait_for_run(service.start_run(flow))
            finally:
                service.kill()
            known[file_type, compression] = [it.fingerprint() for it in manifests(service.zone)]
        return known[file_type, compression]

    return of


def formats(deep: bool, ordinal: int) -> list[tuple[str, str]]:
    """All formats in a long test; otherwise they take turns."""
    return FORMATS if deep else [FORMATS[ordinal % len(FORMATS)]]


def some(every: list[str], now: list[str]) -> list[Any]:
    """All of them, but only these without `--deep`."""
    return [place if place in now else pytest.param(place, marks=pytest.mark.deep) for place in every]


def die(service: Offtake, failpoints: str, request: Callable[[], None]) -> None:
    """Starts the service with the failpoints, sends the request, and wants the service dead by its own hand."""
    service.start(failpoints)
    request()
    try:
        code = service.wait_for_death(30)
    except subprocess.TimeoutExpired:
        code = None
    assert code == -signal.SIGKILL, f"{failpoints} was not reached (exit {code}):\n{service.logs()[-6000:]}"


def check_outcome(service: Offtake, watcher: Watcher, rows: int, fingerprints: list) -> list[Delivered]:
    """Everything that must hold after the last run has ended."""
    found = manifests(service.zone)
    assert [it.fingerprint() for it in found] == fingerprints
    for delivered in found:
        check_files(delivered)
    check_exactly_once(found, range(rows))
    check_tiled(found)
    check_folder(service.zone, found)
    watcher.check(found)
    check_swept(service)
    return found


def check_swept(service: Offtake) -> None:
    """The janitor leaves nothing of the attempts that were cut off."""
    for _ in until(20):
        if not staged(service.zone):
            return
    raise AssertionError(f"still staged: {staged(service.zone)}\n{service.logs()[-4000:]}")


@pytest.mark.parametrize(
    ("ordinal", "row", "failpoints"),
    [(ordinal, row, failpoints) for ordinal, (row, failpoints) in enumerate(MATRIX)],
    ids=[f"row {row}: {failpoints}" for row, failpoints in MATRIX],
)
def test_a_killed_delivery_ends_as_if_nothing_had_happened(
    make: Callable[..., Offtake],
    original: DeltaTable,
    undisturbed: Callable[[str, str], list],
    deep: bool,
    ordinal: int,
    row: str,
    failpoints: str,
) -> None:
    for file_type, compression in formats(deep, ordinal):
        service = make(f"{file_type}-{compression}", **SOON_SWEPT)
        table = original.copy(service.data_dir / "lake" / "events")
        service.start()
        dataset = service.add_dataset("events", "lake://default/events")
        # Row 1 is the scheduler's: the run that is due at once when a flow is enabled.
        scheduled = row == "01"
        past = {"interval": 3, "timeUnit": "hour", "startTime": int(time.time()) - 60}
        flow = service.make_flow(dataset, file_type, compression, schedule=past if scheduled else None)
        if scheduled:
            service.wait_for_run(service.first_run(flow))
            check_rows_of_schedule(service, table, flow, failpoints)
            service.kill()
            continue
        assert service.terminate() == 0

        with Watcher(service.zone) as watcher:
            die(service, failpoints, lambda: service.ask_for_run(flow))
            service.start()
            finish(service, flow, 1)

            table.append(APPENDED, files=2)
            assert service.terminate() == 0
            die(service, failpoints, lambda: service.ask_for_run(flow))
            service.start()
            finish(service, flow, 2)

        check_outcome(service, watcher, ROWS + APPENDED, undisturbed(file_type, compression))
        service.kill()


def finish(service: Offtake, flow: str, count: int) -> None:
    """Waits until the flow has this many runs and all have succeeded."""
    runs = service.runs(flow)
    assert len(runs) == count, runs
    for run in runs:
        service.wait_for_run(run["id"])


def check_rows_of_schedule(service: Offtake, table: DeltaTable, flow: str, failpoints: str) -> None:
    """A run inserted by the scheduler that then died is the one run, and it is run."""
    table.append(APPENDED, files=2)
    service.act(flow, "disable")
    assert service.terminate() == 0
    die(service, failpoints, lambda: service.act(flow, "enable"))
    service.start()
    finish(service, flow, 2)
    found = manifests(service.zone)
    check_exactly_once(found, range(ROWS + APPENDED))
    check_tiled(found)
    check_folder(service.zone, found)


def test_dying_again_and_again_only_takes_longer(
    make: Callable[..., Offtake], original: DeltaTable, undisturbed: Callable[[str, str], list]
) -> None:
    service = make(**SOON_SWEPT)
    original.copy(service.data_dir / "lake" / "events")
    service.start()
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"), "JSON", "GZIP")
    assert service.terminate() == 0
    with Watcher(service.zone) as watcher:
        die(service, "after-plan-save=kill", lambda: service.ask_for_run(flow))
        for place in (
            "after-record",
            "after-seal",
            "before-freeze",
            "after-publish-send",
            "before-point-of-no-return",
            "after-manifest-put",
            "before-commit-tx",
        ):
            die(service, f"{place}=kill", lambda: None)
        service.start()
        finish(service, flow, 1)
    check_outcome(service, watcher, ROWS, undisturbed("JSON", "GZIP")[:1])


ABORTS = ["after-abort-start=kill", "during-abort=kill", "during-abort=1*off->kill"]


@pytest.mark.parametrize("failpoints", ABORTS)
def test_row_17_an_abort_that_was_killed_is_carried_out(
    make: Callable[..., Offtake], original: DeltaTable, failpoints: str
) -> None:
    service = make()
    table = original.copy(service.data_dir / "lake" / "events")
    last = table.files()[-1]
    whole = last.read_bytes()
    service.start()
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    last.write_bytes(bytes(len(whole)))
    assert service.terminate() == 0

    with Watcher(service.zone) as watcher:
        die(service, failpoints, lambda: service.ask_for_run(flow))
        service.start()
        (run,) = service.runs(flow)
        failed = service.wait_for_run(run["id"], expect="failed")
        assert "SOURCE_CORRUPT" in error_codes(failed)
        assert visible(service.zone) == set() and manifests(service.zone) == []
        assert staged(service.zone) == set()

        last.write_bytes(whole)
        service.wait_for_run(service.start_run(flow))
    found = manifests(service.zone)
    check_exactly_once(found, range(ROWS))
    check_folder(service.zone, found)
    watcher.check(found)


@pytest.mark.parametrize("failpoints", ["during-final-delete=kill", "during-final-delete=1*off->kill"])
def test_row_17_files_made_visible_by_a_delivery_that_then_failed_are_taken_back_and_no_others(
    make: Callable[..., Offtake], original: DeltaTable, failpoints: str
) -> None:
    service = make()
    original.copy(service.data_dir / "lake" / "events")
    service.start()
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    assert service.terminate() == 0

    def run_into_a_stranger() -> None:
        service.ask_for_run(flow)
        put_stranger(service)

    # Publishing waits long enough for somebody else's file to take a name.
    die(service, f"before-publish-send=delay(3000);{failpoints}", run_into_a_stranger)
    service.start()
    (run,) = service.runs(flow)
    failed = service.wait_for_run(run["id"], expect="failed")
    assert "DESTINATION_CONFLICT" in error_codes(failed)
    assert manifests(service.zone) == []
    (left,) = visible(service.zone)
    assert left.read_text() == STRANGER, "a file that is not ours stays"


STRANGER = "somebody else's"


def put_stranger(service: Offtake) -> None:
    """Waits until all files are staged and puts a file at the final name of the last."""
    for _ in until(30, pause=0.01):
        hidden = sorted(path for path in staged(service.zone) if "part-" in path.name)
        if len(hidden) == FILES:
            break
    else:
        raise AssertionError(f"the files were not staged:\n{service.logs()[-4000:]}")
    name = hidden[-1].name
    begin = name.index("part-")
    final = name[begin : name.index(".json", begin) + len(".json")]
    (hidden[-1].parent / final).write_text(STRANGER)


LOST_REPLIES = [
    "after-claim",
    "after-plan-save",
    "after-attempt-row",
    "after-record",
    "after-freeze",
    "after-publish-send",
    "after-point-of-no-return",
    "after-manifest-put",
    "commit-tx-sent",
]


@pytest.mark.parametrize("place", LOST_REPLIES)
def test_a_lost_reply_is_asked_for_again_by_the_same_service(
    make: Callable[..., Offtake], original: DeltaTable, undisturbed: Callable[[str, str], list], place: str
) -> None:
    service = make(OFFTAKE__DELIVERY__RETRY_SECS="1", **SOON_SWEPT, **SHORT_LEASE)
    original.copy(service.data_dir / "lake" / "events")
    service.start(f"{place}=1*error")
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"), "PARQUET", "GZIP")
    with Watcher(service.zone) as watcher:
        service.wait_for_run(service.start_run(flow))
    check_outcome(service, watcher, ROWS, undisturbed("PARQUET", "GZIP")[:1])


def test_a_release_that_was_killed_loses_nothing(
    make: Callable[..., Offtake], original: DeltaTable, undisturbed: Callable[[str, str], list]
) -> None:
    service = make(**SOON_SWEPT)
    original.copy(service.data_dir / "lake" / "events")
    service.start()
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    assert service.terminate() == 0
    with Watcher(service.zone) as watcher:
        service.start("after-record=delay(4000);during-lease-release=kill")
        service.ask_for_run(flow)
        for _ in until(30):
            if staged(service.zone):
                break
        assert service.terminate() == -signal.SIGKILL, service.logs()[-4000:]
        service.start()
        finish(service, flow, 1)
    check_outcome(service, watcher, ROWS, undisturbed("JSON", "NONE")[:1])


def test_deleting_a_flow_before_the_point_of_no_return_leaves_nothing_visible(
    make: Callable[..., Offtake], original: DeltaTable
) -> None:
    service = make(**SHORT_LEASE)
    original.copy(service.data_dir / "lake" / "events")
    service.start("before-freeze=delay(5000)")
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    run = service.start_run(flow)
    for _ in until(30):
        if len(staged(service.zone)) == FILES:
            break
    assert service.call("DELETE", f"{FLOWS}/flows/{flow}").status == 202
    for _ in until(30):
        if not staged(service.zone):
            break
    assert staged(service.zone) == visible(service.zone) == set(), service.logs()[-4000:]
    assert manifests(service.zone) == []
    assert service.call("GET", f"{FLOWS}/flows/{flow}").status == 404
    assert run is not None


def test_no_worker_outlives_its_service(make: Callable[..., Offtake], original: DeltaTable) -> None:
    service = make()
    original.copy(service.data_dir / "lake" / "events")
    service.start()
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    assert service.terminate() == 0
    die(service, "after-upload-create=kill", lambda: service.ask_for_run(flow))
    for _ in until(10):
        if not workers(service.data_dir):
            break
    assert workers(service.data_dir) == []


def workers(data_dir: Path) -> list[str]:
    """Processes with this data directory in their arguments or among their open files."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(data_dir) in arguments:
            found.append(arguments.replace("\0", " "))
    return found
