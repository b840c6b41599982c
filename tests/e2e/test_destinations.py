"""The documented requests for every destination: each value arrives in every format, read by programs that are not ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from deltalake import write_deltalake

import values
import wide
from offtake import Offtake
from oracle import check_files, row_ids
from places import PLACES, trusting
from places import place_of as place_of
from store import Store, StoreWatcher
from table import DeltaTable
from test_interop import FORMATS, rows_of


@pytest.mark.parametrize("kind", PLACES)
def test_every_value_arrives_in_every_format_and_increments_are_exact(
    make: Callable[..., Offtake], place_of: Callable[[str], Store], kind: str
) -> None:
    place = place_of(kind)
    service = make(**trusting()).start()
    lake = service.data_dir / "lake" / "wide"
    first, second = wide.table(300, 1), wide.table(40, 2, 300)
    write_deltalake(lake, first)
    dataset = service.add_dataset("wide", "lake://default/wide")
    to = place.destination()
    flows = [service.make_flow(dataset, form, packed, f"{form}-{packed}", to=to) for form, packed in FORMATS]

    for expected, mode in ((first, "full"), (second, "incremental")):
        if mode == "incremental":
            write_deltalake(lake, second, mode="append")
        for run in [service.start_run(flow) for flow in flows]:
            service.wait_for_run(run)
        found = place.manifests()
        for flow in flows:
            delivered = [it for it in found if it.body["flow"] == flow][-1]
            assert delivered.body["mode"] == mode
            check_files(delivered)
            unlike = values.differences(rows_of(delivered, expected.schema), values.rows_of(expected))
            assert not unlike, f"{delivered.body['files']}: {unlike}"
    place.check_swept()


@pytest.mark.parametrize("kind", PLACES)
def test_rows_arrive_once_whole_and_under_the_eyes_of_a_watcher(
    make: Callable[..., Offtake], place_of: Callable[[str], Store], kind: str
) -> None:
    place = place_of(kind)
    service = make(**trusting()).start()
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(1000, files=4)
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, "JSON", "GZIP", to=place.destination(), includeFileManifest=True)
    with StoreWatcher(place) as watcher:
        first = service.wait_for_run(service.start_run(flow))
        appended = table.append(77)
        second = service.wait_for_run(service.start_run(flow))

    found = place.check(table.next_row)
    assert [it.body["mode"] for it in found] == ["full", "incremental"]
    assert sorted(row_ids(found[1])) == list(appended)
    watcher.check(found)
    assert watcher.looks > 2 and watcher.sizes
    assert place.staged() == []
    for run, delivered in zip((first, second), found, strict=True):
        assert run["metrics"]["recordSummary"]["outputRecordCount"] == delivered.body["totalRows"]
        assert run["metrics"]["sizeSummary"]["outputBytes"] == delivered.body["totalBytes"]
        assert run["metrics"]["fileSummary"]["outputFileCount"] == len(delivered.body["files"])
