"""Deliveries to a real SFTP server, read back by OpenSSH's own client, and what is said when one refuses."""

from __future__ import annotations

import base64
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bed import need
from offtake import DATA_LAKE, FLOWS, Offtake, error_codes, until
from oracle import check_exactly_once, check_files, check_tiled, manifests, row_ids
from table import DeltaTable
from test_crash import SOON_SWEPT, die

SFTP = "36965a81-b1c6-401b-99f8-22508f1e6a26"
SFTP_FLOW = "354d6aad-4754-46e4-a576-1b384561c440"

ON_LOOPBACK = {"OFFTAKE__NETWORK__ALLOW": '["127.0.0.0/8"]', "OFFTAKE__DELIVERY__RETRY_SECS": "1"}


def password(**changed: Any) -> dict[str, Any]:
    """The first documented way to authenticate."""
    params = account() | {"password": need("SFTP_PASSWORD")} | changed
    given = {name: value for name, value in params.items() if value is not None}
    return {"specName": "SFTP with Password", "params": given}


def ssh_key(kind: str) -> dict[str, Any]:
    """The second one."""
    key = base64.b64encode(Path(need(f"SFTP_KEY_{kind}")).read_bytes()).decode()
    return {"specName": "SFTP with SSH Key", "params": account() | {"sshKey": key}}


def account() -> dict[str, Any]:
    """Where and who, with the server's key pinned."""
    return {
        "domain": need("SFTP_HOST"),
        "port": int(need("SFTP_PORT")),
        "username": need("SFTP_USER"),
        "hostKeys": [need("SFTP_HOST_FINGERPRINT")],
    }


def make_flow(service: Offtake, dataset: str, auth: dict[str, Any], path: str, form: tuple[str, str]) -> str:
    """The documented requests."""
    source = service.create(
        "sourceConnections",
        {
            "name": "source",
            "connectionSpec": {"id": DATA_LAKE, "version": "1.0"},
            "params": {"datasets": [{"dataSetId": dataset}]},
        },
    )
    spec = {"id": SFTP, "version": "1.0"}
    base = service.create("connections", {"name": "sftp", "connectionSpec": spec, "auth": auth})
    params = {"remotePath": path, "datasetFileType": form[0], "compression": form[1]}
    target = service.create(
        "targetConnections", {"name": "target", "baseConnectionId": base, "params": params, "connectionSpec": spec}
    )
    return service.create(
        "flows",
        {
            "name": "flow",
            "flowSpec": {"id": SFTP_FLOW, "version": "1.0"},
            "sourceConnectionIds": [source],
            "targetConnectionIds": [target],
            "transformations": [],
            "scheduleParams": {"interval": 3, "timeUnit": "hour", "startTime": int(time.time()) + 3600},
        },
    )


def fetch(path: str, to: Path) -> Path:
    """What OpenSSH's client finds below the path, hidden files too."""
    to.mkdir(parents=True)
    options = [
        f"-oPort={need('SFTP_PORT')}",
        f"-oIdentityFile={need('SFTP_KEY_ED25519')}",
        f"-oUserKnownHostsFile={need('SFTP_KNOWN_HOSTS')}",
    ]
    subprocess.run(
        ["sftp", "-q", "-b", "-", *options, f"{need('SFTP_USER')}@{need('SFTP_HOST')}"],
        input=f"get -r {path} {to}\n",
        text=True,
        check=True,
        capture_output=True,
        timeout=60,
    )
    return to


def hidden(place: Path) -> list[str]:
    """Files that readers are not to see."""
    return [path.name for path in place.rglob("*") if path.name.startswith(".")]


@pytest.fixture
def remote() -> str:
    """A folder on the server that no other test uses."""
    return f"e2e-{uuid.uuid4().hex}"


@pytest.fixture
def reaching(make: Callable[..., Offtake]) -> Offtake:
    """A running service that may speak to loopback."""
    return make(**ON_LOOPBACK).start()


def add_table(service: Offtake) -> tuple[str, DeltaTable]:
    """A dataset of 1,000 rows in four files."""
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(1000, files=4)
    return service.add_dataset("events", "lake://default/events"), table


@pytest.mark.parametrize(
    ("auth", "form"),
    [
        (password, ("JSON", "NONE")),
        (password, ("PARQUET", "GZIP")),
        (lambda: ssh_key("ED25519"), ("JSON", "GZIP")),
        (lambda: ssh_key("RSA_PEM"), ("PARQUET", "NONE")),
        (lambda: ssh_key("ECDSA"), ("JSON", "NONE")),
    ],
    ids=["password-json", "password-parquet-gzip", "ed25519-json-gzip", "rsa-parquet", "ecdsa-json"],
)
def test_rows_arrive_once_by_every_way_to_log_in(
    reaching: Offtake, remote: str, tmp_path: Path, auth: Callable[[], dict[str, Any]], form: tuple[str, str]
) -> None:
    dataset, table = add_table(reaching)
    flow = make_flow(reaching, dataset, auth(), f"{remote}/daily", form)
    reaching.wait_for_run(reaching.start_run(flow))
    appended = table.append(77)
    reaching.wait_for_run(reaching.start_run(flow))

    place = fetch(remote, tmp_path / "read")
    found = manifests(place)
    assert [it.body["mode"] for it in found] == ["full", "incremental"]
    for delivered in found:
        check_files(delivered)
    assert sorted(row_ids(found[1])) == list(appended)
    check_exactly_once(found, range(table.next_row))
    check_tiled(found)
    assert hidden(place) == []
    assert need("SFTP_PASSWORD") not in reaching.logs()


@pytest.mark.parametrize("place", ["after-seal", "before-freeze", "after-publish-send", "after-manifest-put"])
def test_a_killed_delivery_ends_as_if_nothing_had_happened(
    make: Callable[..., Offtake], remote: str, tmp_path: Path, place: str
) -> None:
    service = make(**(SOON_SWEPT | ON_LOOPBACK)).start()
    dataset, table = add_table(service)
    flow = make_flow(service, dataset, password(), remote, ("JSON", "GZIP"))
    assert service.terminate() == 0
    die(service, f"{place}=kill", lambda: service.ask_for_run(flow))
    service.start()
    (run,) = service.runs(flow)
    service.wait_for_run(run["id"])

    found = manifests(fetch(remote, tmp_path / "read"))
    assert len(found) == 1
    check_files(found[0])
    check_exactly_once(found, range(table.next_row))
    named = {Path(file["key"]).name for file in found[0].body["files"]}
    shown = {path.name for path in (tmp_path / "read").rglob("part-*")}
    assert shown == named


def test_an_unknown_host_key_waits_for_a_person_and_shows_the_fingerprint(reaching: Offtake, remote: str) -> None:
    dataset, _ = add_table(reaching)
    flow = make_flow(reaching, dataset, password(hostKeys=None), remote, ("JSON", "NONE"))
    run = reaching.start_run(flow)
    for _ in until(30):
        if "HOST_KEY_UNKNOWN" in error_codes(reaching.run(run)) or "HOST_KEY_UNKNOWN" in reaching.logs():
            break
    said = error_codes(reaching.run(run)) + reaching.logs()
    assert "HOST_KEY_UNKNOWN" in said and "SHA256:" in said
    assert need("SFTP_PASSWORD") not in said


def test_a_changed_host_key_fails_the_run(reaching: Offtake, remote: str) -> None:
    dataset, _ = add_table(reaching)
    wrong = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    flow = make_flow(reaching, dataset, password(hostKeys=[wrong]), remote, ("JSON", "NONE"))
    run = reaching.wait_for_run(reaching.start_run(flow), expect="failed")
    assert "HOST_KEY_CHANGED" in error_codes(run)


def test_secrets_are_masked_when_read_back(reaching: Offtake) -> None:
    spec = {"id": SFTP, "version": "1.0"}
    base = reaching.create("connections", {"name": "sftp", "connectionSpec": spec, "auth": password()})
    answer = reaching.call("GET", f"{FLOWS}/connections/{base}")
    assert need("SFTP_PASSWORD") not in answer.text
