"""Deliveries to a real SFTP server by every way to log in, and what is said when it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bed import need
from offtake import FLOWS, Offtake, error_codes, until
from oracle import row_ids
from places import Remote, trusting, with_key, with_password
from table import DeltaTable

SOON = {"OFFTAKE__DELIVERY__RETRY_SECS": "1"}


@pytest.fixture
def remote_by(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], Remote]]:
    """Makes folders on the server that are looked at no longer than the test."""
    made: list[Remote] = []

    def one(auth: dict[str, Any]) -> Remote:
        made.append(Remote(tmp_path, auth))
        return made[-1]

    yield one
    for remote in made:
        remote.remove()


@pytest.fixture
def remote(remote_by: Callable[[dict[str, Any]], Remote]) -> Remote:
    """A folder reached by password."""
    return remote_by(with_password())


@pytest.fixture
def service(make: Callable[..., Offtake]) -> Offtake:
    """A running service that may speak to the bed."""
    return make(**SOON, **trusting()).start()


@pytest.mark.parametrize(
    ("auth", "form"),
    [
        (with_password, ("JSON", "NONE")),
        (with_password, ("PARQUET", "GZIP")),
        (lambda: with_key("ED25519"), ("JSON", "GZIP")),
        (lambda: with_key("RSA_PEM"), ("PARQUET", "NONE")),
        (lambda: with_key("ECDSA"), ("JSON", "NONE")),
    ],
    ids=["password-json", "password-parquet-gzip", "ed25519-json-gzip", "rsa-parquet", "ecdsa-json"],
)
def test_rows_arrive_once_by_every_way_to_log_in(
    service: Offtake,
    table: DeltaTable,
    remote_by: Callable[[dict[str, Any]], Remote],
    auth: Callable[[], dict[str, Any]],
    form: tuple[str, str],
) -> None:
    remote = remote_by(auth())
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, *form, path="daily", to=remote.destination())
    service.wait_for_run(service.start_run(flow))
    appended = table.append(77)
    service.wait_for_run(service.start_run(flow))

    found = remote.check(table.next_row)
    assert [it.body["mode"] for it in found] == ["full", "incremental"]
    assert sorted(row_ids(found[1])) == list(appended)
    assert remote.staged() == []
    assert need("SFTP_PASSWORD") not in service.logs()


def test_an_unknown_host_key_waits_for_a_person_and_shows_the_fingerprint(
    service: Offtake, table: DeltaTable, remote: Remote
) -> None:
    dataset = service.add_dataset("events", "lake://default/events")
    run = service.start_run(service.make_flow(dataset, to=remote.destination(hostKeys=None)))
    for _ in until(30):
        if "HOST_KEY_UNKNOWN" in error_codes(service.run(run)) or "HOST_KEY_UNKNOWN" in service.logs():
            break
    said = error_codes(service.run(run)) + service.logs()
    assert "HOST_KEY_UNKNOWN" in said and "SHA256:" in said
    assert need("SFTP_PASSWORD") not in said


def test_a_changed_host_key_fails_the_run(service: Offtake, table: DeltaTable, remote: Remote) -> None:
    dataset = service.add_dataset("events", "lake://default/events")
    wrong = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    flow = service.make_flow(dataset, to=remote.destination(hostKeys=[wrong]))
    run = service.wait_for_run(service.start_run(flow), expect="failed")
    assert "HOST_KEY_CHANGED" in error_codes(run)


def test_secrets_are_masked_when_read_back(service: Offtake, remote: Remote) -> None:
    base = service.create_base(remote.destination())
    answer = service.call("GET", f"{FLOWS}/connections/{base}")
    assert need("SFTP_PASSWORD") not in answer.text
