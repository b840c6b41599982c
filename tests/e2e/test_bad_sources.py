"""Bad input in the lake: the delivery fails with a code and advice, nothing of it is visible, the service stays up."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable

import pytest

from offtake import FLOWS, Offtake, error_codes
from oracle import check_exactly_once, check_folder, manifests, staged, visible
from table import DeltaTable


def garbage(table: DeltaTable) -> None:
    file = table.files()[1]
    file.write_bytes(os.urandom(file.stat().st_size))


def hollow(table: DeltaTable) -> None:
    """A true head and foot around nothing: the footer can be read, the pages can't."""
    file = table.files()[1]
    data = bytearray(file.read_bytes())
    footer = int.from_bytes(data[-8:-4], "little")
    data[4 : len(data) - 8 - footer] = bytes(len(data) - 12 - footer)
    file.write_bytes(data)


def truncated(table: DeltaTable) -> None:
    file = table.files()[1]
    file.write_bytes(file.read_bytes()[:-20])


def bomb(table: DeltaTable) -> None:
    """A footer length far beyond the file."""
    file = table.files()[1]
    data = bytearray(file.read_bytes())
    data[-8:-4] = (0x7FFF_FFFF).to_bytes(4, "little")
    file.write_bytes(data)


def vanished(table: DeltaTable) -> None:
    table.files()[1].unlink()


def broken_log(table: DeltaTable) -> None:
    log = table.path / "_delta_log" / f"{table.version:020}.json"
    log.write_text(log.read_text()[:-40] + "\n")


def missing_table(table: DeltaTable) -> None:
    shutil.rmtree(table.path)


def outside(table: DeltaTable) -> None:
    add = {"path": "file:///etc/passwd", "partitionValues": {}, "size": 100, "modificationTime": 1, "dataChange": True}
    table.commit([{"add": add}])


def upwards(table: DeltaTable) -> None:
    add = {"path": "../../../secret", "partitionValues": {}, "size": 100, "modificationTime": 1, "dataChange": True}
    table.commit([{"add": add}])


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (garbage, "SOURCE_CORRUPT"),
        (hollow, "SOURCE_CORRUPT"),
        (bomb, "SOURCE_CORRUPT"),
        (truncated, "SOURCE_CHANGED"),
        (vanished, "SOURCE_VANISHED"),
        (broken_log, "SOURCE_CORRUPT"),
        (missing_table, "SOURCE_NOT_FOUND"),
        (outside, "SOURCE_OUTSIDE_ROOT"),
        (upwards, "SOURCE_OUTSIDE_ROOT"),
    ],
    ids=lambda it: getattr(it, "__name__", it),
)
@pytest.mark.parametrize("file_type", ["JSON", "PARQUET"])
def test_a_bad_source_fails_its_delivery_and_nothing_else(
    service: Offtake,
    table: DeltaTable,
    file_type: str,
    damage: Callable[[DeltaTable], None],
    code: str,
) -> None:
    good = DeltaTable(service.data_dir / "lake" / "good")
    good.append(20)
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"), file_type, path="bad")
    other = service.make_flow(service.add_dataset("good", "lake://default/good"), file_type, path="good")
    damage(table)

    run = service.wait_for_run(service.start_run(flow), expect="failed")

    said = error_codes(run)
    assert code in said, said
    assert "root:" not in said, "an error carries no content of a file"
    assert visible(service.zone) == set() and manifests(service.zone) == []

    assert service.alive() and service.call("GET", f"{FLOWS}/flows").status == 200
    service.wait_for_run(service.start_run(other))
    found = manifests(service.zone)
    check_exactly_once(found, range(20))
    check_folder(service.zone, found)
    assert staged(service.zone) == set(), "nothing staged is left of the failed delivery"


def test_after_the_repair_the_next_run_sends_everything_once(service: Offtake, table: DeltaTable) -> None:
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    file = table.files()[1]
    whole = file.read_bytes()
    file.write_bytes(os.urandom(len(whole)))
    service.wait_for_run(service.start_run(flow), expect="failed")
    file.write_bytes(whole)
    service.wait_for_run(service.start_run(flow))

    found = manifests(service.zone)
    check_exactly_once(found, range(1000))
    check_folder(service.zone, found)


@pytest.mark.parametrize(
    "location",
    [
        "lake://default/../events",
        "lake://elsewhere/events",
        "/etc",
        "file:///etc",
        "events",
        "lake://default/nothing-here",
        "lake://default/link",
    ],
)
def test_a_location_that_is_no_table_below_a_root_is_refused_and_leaves_no_row(
    service: Offtake, table: DeltaTable, location: str
) -> None:
    (service.data_dir / "lake" / "link").symlink_to("/etc", target_is_directory=True)
    body = {"name": "events", "location": location}
    answer = service.call("POST", "/data/foundation/catalog/dataSets", body)
    assert 400 <= answer.status < 500, answer.text
    assert service.call("GET", "/data/foundation/catalog/dataSets").body == {}
    assert json.loads(service.command("--json", "dataset", "list").stdout) == []
