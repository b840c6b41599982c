"""Kill -9, again and again, while one flow delivers into one destination: in the middle of an upload, between uploads,
between publishes. Whatever is cut off, no partial file is ever visible, and every row stands once at the end.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from offtake import Offtake
from places import SINKS, trusting
from places import place_of as place_of
from store import Store, StoreWatcher
from table import DeltaTable
from test_crash import SOON_SWEPT, die, finish

MOMENTS = {
    "in an upload": "mid-part=kill",
    "between uploads": "after-record=kill",
    "between publishes": "between-publishes=kill",
}

# How often at each moment; a long test repeats it.
KILLS, KILLS_DEEP = 10, 50

ROWS, FILES = 300, 3

# The dead process's lease is over before its successor looks.
LEASE = {"OFFTAKE__DELIVERY__LEASE_SECS": "1", "OFFTAKE__DELIVERY__RETRY_SECS": "1"}


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_many_kills_leave_every_row_once_and_nothing_partial(
    make: Callable[..., Offtake], place_of: Callable[[str], Store], deep: bool, kind: str, moment: str
) -> None:
    kills = KILLS_DEEP if deep else KILLS
    place = place_of(kind)
    service = make(**SOON_SWEPT, **LEASE, **trusting())
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(ROWS, files=FILES)
    service.start()
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, "PARQUET", "GZIP", to=place.destination())
    service.kill()

    with StoreWatcher(place) as watcher:
        for kill in range(kills):
            if kill:
                table.append(ROWS, files=FILES)
            die(service, MOMENTS[moment], lambda: service.ask_for_run(flow))
            service.start()
            finish(service, flow, kill + 1)
            service.kill()
    service.start()
    place.check_swept()
    found = place.check(kills * ROWS)
    assert len(found) == kills
    watcher.check(found)
    assert watcher.looks
