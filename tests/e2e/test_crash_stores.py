"""Kills the service at the named places while it delivers into a bucket, and asks for what undisturbed runs leave.

The places are those of the landing zone's tests; what is expected is the same, byte for byte. Staged is what the store
calls an upload in progress: none may be left when the janitor has been.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bucket import ALLOWED, Bucket, BucketWatcher, strictest
from offtake import Offtake
from store import Store, StoreWatcher
from table import DeltaTable
from test_crash import APPENDED, LOST_REPLIES, MATRIX, ROWS, SHORT_LEASE, SOON_SWEPT, die, finish, formats
from test_crash import original as original
from test_crash import undisturbed as undisturbed

# Where the bucket is spoken to, or was just before.
PLACES = [
    "after-upload-create=kill",
    "before-handle-save=kill",
    "mid-part=kill",
    "after-seal=kill",
    "after-record=1*off->kill",
    "before-publish-send=kill",
    "after-publish-send=kill",
    "between-publishes=kill",
    "after-point-of-no-return=kill",
    "after-manifest-put=kill",
]
# Where an increment is killed too: the rest of the way is the same.
TWICE = {"mid-part=kill", "after-publish-send=kill"}

SCHEDULERS = "after-run-insert=kill"


def some(every: list[str], now: list[str]) -> list[Any]:
    """All of them, but only these without `--deep`."""
    return [place if place in now else pytest.param(place, marks=pytest.mark.deep) for place in every]


def check_outcome(service: Offtake, store: Store, watcher: StoreWatcher, rows: int, fingerprints: list) -> None:
    """Everything that must hold after the last run has ended."""
    found = store.check(rows)
    assert [it.fingerprint() for it in found] == fingerprints
    watcher.check(found)
    assert watcher.looks
    store.check_swept()


@pytest.mark.parametrize("failpoints", some([place for _, place in MATRIX if place != SCHEDULERS], PLACES))
def test_a_killed_delivery_ends_as_if_nothing_had_happened(
    make: Callable[..., Offtake],
    bucket_on: Callable[[str], Bucket],
    original: DeltaTable,
    undisturbed: Callable[[str, str], list],
    deep: bool,
    failpoints: str,
) -> None:
    for file_type, compression in formats(deep, PLACES.index(failpoints) if failpoints in PLACES else 0):
        bucket = bucket_on(strictest())
        service = make(f"{file_type}-{compression}", **SOON_SWEPT, **ALLOWED)
        table = original.copy(service.data_dir / "lake" / "events")
        service.start()
        dataset = service.add_dataset("events", "lake://default/events")
        flow = service.make_flow(dataset, file_type, compression, to=bucket.destination())
        assert service.terminate() == 0

        with BucketWatcher(bucket) as watcher:
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
        check_outcome(service, bucket, watcher, rows, expected[: 1 if rows == ROWS else 2])
        service.kill()


# What the store did and nobody was told; the other replies are the database's.
LOST = ["after-publish-send", "after-manifest-put", "after-record"]


@pytest.mark.parametrize("place", some(LOST_REPLIES, LOST))
def test_a_lost_reply_is_asked_for_again_by_the_same_service(
    make: Callable[..., Offtake],
    bucket: Bucket,
    original: DeltaTable,
    undisturbed: Callable[[str, str], list],
    place: str,
) -> None:
    service = make(OFFTAKE__DELIVERY__RETRY_SECS="1", **SOON_SWEPT, **SHORT_LEASE, **ALLOWED)
    original.copy(service.data_dir / "lake" / "events")
    service.start(f"{place}=1*error")
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, "PARQUET", "GZIP", to=bucket.destination())
    with BucketWatcher(bucket) as watcher:
        service.wait_for_run(service.start_run(flow))
    check_outcome(service, bucket, watcher, ROWS, undisturbed("PARQUET", "GZIP")[:1])
