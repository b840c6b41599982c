"""Kills the service at the named places while it delivers to another machine, and asks for what undisturbed runs leave.

The places are those of the landing zone's tests; what is expected is the same, byte for byte. Nothing staged may be left
when the janitor has been.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from offtake import FLOWS, Offtake, until
from places import SINKS, trusting
from places import place_of as place_of
from store import Store, StoreWatcher
from table import DeltaTable
from test_crash import APPENDED, FILES, LOST_REPLIES, MATRIX, ROWS, SHORT_LEASE, SOON_SWEPT, die, finish, formats, some
from test_crash import original as original
from test_crash import undisturbed as undisturbed

KINDS = [kind for kind in SINKS if kind != "zone"]

SCHEDULERS = "after-run-insert=kill"

# Where a store is spoken to, or was just before; the rest of the matrix is for long tests.
PLACES_NOW = [
    "before-handle-save=kill",
    "mid-part=kill",
    "after-record=1*off->kill",
    "after-publish-send=kill",
    "after-manifest-put=kill",
]
# Where an increment is killed too: the rest of the way is the same.
TWICE = {"after-publish-send=kill"}
# What the store did and nobody was told; the other replies are the database's.
LOST = ["after-publish-send", "after-manifest-put"]


def check_outcome(service: Offtake, store: Store, watcher: StoreWatcher, rows: int, fingerprints: list) -> None:
    """Everything that must hold after the last run has ended."""
    found = store.check(rows)
    assert [it.fingerprint() for it in found] == fingerprints
    watcher.check(found)
    assert watcher.looks
    store.check_swept()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("failpoints", some([place for _, place in MATRIX if place != SCHEDULERS], PLACES_NOW))
def test_a_killed_delivery_ends_as_if_nothing_had_happened(
    make: Callable[..., Offtake],
    place_of: Callable[[str], Store],
    original: DeltaTable,
    undisturbed: Callable[[str, str], list],
    deep: bool,
    failpoints: str,
    kind: str,
) -> None:
    for file_type, compression in formats(deep, PLACES_NOW.index(failpoints) if failpoints in PLACES_NOW else 0):
        store = place_of(kind)
        service = make(f"{file_type}-{compression}", **SOON_SWEPT, **trusting())
        table = original.copy(service.data_dir / "lake" / "events")
        service.start()
        dataset = service.add_dataset("events", "lake://default/events")
        flow = service.make_flow(dataset, file_type, compression, to=store.destination())
        assert service.terminate() == 0

        with StoreWatcher(store) as watcher:
            die(service, failpoints, lambda: service.ask_for_run(flow))
            service.start()
            finish(service, flow, 1)
            rows = ROWS
            if deep or failpoints in TWICE:
                table.append(APPENDED, files=2)
                rows += APPENDED
                assert service.terminate() == 0
                die(service, failpoints, lambda: service.ask_for_run(flow))
                service.start()
                finish(service, flow, 2)

        expected = undisturbed(file_type, compression)
        check_outcome(service, store, watcher, rows, expected[: 1 if rows == ROWS else 2])
        service.kill()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", some(LOST_REPLIES, LOST))
def test_a_lost_reply_is_asked_for_again_by_the_same_service(
    make: Callable[..., Offtake],
    place_of: Callable[[str], Store],
    original: DeltaTable,
    undisturbed: Callable[[str, str], list],
    kind: str,
    place: str,
) -> None:
    store = place_of(kind)
    service = make(OFFTAKE__DELIVERY__RETRY_SECS="1", **SOON_SWEPT, **SHORT_LEASE, **trusting())
    original.copy(service.data_dir / "lake" / "events")
    service.start(f"{place}=1*error")
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, "PARQUET", "GZIP", to=store.destination())
    with StoreWatcher(store) as watcher:
        service.wait_for_run(service.start_run(flow))
    check_outcome(service, store, watcher, ROWS, undisturbed("PARQUET", "GZIP")[:1])


# One file is visible and the others are not yet, and all are.
AMIDST = ["before-publish-send=1*off->delay(4000)", "between-publishes=delay(4000)"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("failpoints", AMIDST)
def test_a_run_that_is_cancelled_while_it_publishes_leaves_nothing_visible(
    make: Callable[..., Offtake],
    place_of: Callable[[str], Store],
    original: DeltaTable,
    kind: str,
    failpoints: str,
) -> None:
    store = place_of(kind)
    service = make(**SOON_SWEPT, **SHORT_LEASE, **trusting())
    original.copy(service.data_dir / "lake" / "events")
    service.start(failpoints)
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"), to=store.destination())
    service.start_run(flow)
    some_wait = failpoints == AMIDST[0]
    for _ in until(30):
        if len(store.objects()) >= (1 if some_wait else FILES):
            break
    shown = store.objects()
    assert shown and not any(key.endswith(".manifest") for key in shown), shown
    assert (len(shown) < FILES) == some_wait, shown

    assert service.call("DELETE", f"{FLOWS}/flows/{flow}").status == 202

    for _ in until(30):
        if not store.objects() and not store.staged():
            break
    assert store.objects() == {} and store.staged() == [], service.logs()[-4000:]
    assert service.call("GET", f"{FLOWS}/flows/{flow}").status == 404
    # What was on its way then has arrived or never will.
    assert service.terminate() == 0
    service.start()
    assert store.objects() == {} and store.staged() == []
