"""Secrets: written once, sealed at rest, never seen again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from offtake import FLOWS, S3, Offtake

SECRET = "cAnArY0123456789" + "x" * 24
BAD_SECRET = "CaNaRy-with-a-character-the-pattern-refuses!"
KEY = "AKIAIOSFODNN7EXAMPLE"


def post_connection(service: Offtake, secret: str):
    body = {
        "name": "bucket",
        "auth": {"specName": "Access Key", "params": {"s3AccessKey": KEY, "s3SecretKey": secret}},
        "connectionSpec": {"id": S3, "version": "1.0"},
    }
    return service.call("POST", f"{FLOWS}/connections", body)


def own_files(data_dir: Path) -> list[Path]:
    """The service's own files: not the lake and not the zone, which belong to others too."""
    return [
        path
        for path in data_dir.rglob("*")
        if path.is_file() and path.relative_to(data_dir).parts[0] not in ("lake", "landing-zone")
    ]


def test_a_secret_never_comes_back(make: Callable[..., Offtake]) -> None:
    service = make(OFFTAKE_LOG="trace").start()
    created = post_connection(service, SECRET)
    assert created.status == 201, created.text
    one = service.call("GET", f"{FLOWS}/connections/{created.body['id']}")
    assert one.body["items"][0]["auth"]["params"]["s3SecretKey"] == "****"
    assert one.body["items"][0]["auth"]["params"]["s3AccessKey"] == KEY
    refused = post_connection(service, BAD_SECRET)
    assert refused.status == 400, refused.text

    said = [created.text, one.text, refused.text, service.call("GET", f"{FLOWS}/connections").text]
    assert service.terminate() == 0
    for canary in (SECRET, BAD_SECRET):
        assert not any(canary in text for text in said)
        assert canary not in service.logs()
        for path in own_files(service.data_dir):
            assert canary.encode() not in path.read_bytes(), path


def test_the_clients_secret_is_kept_as_a_digest_and_printed_once(make: Callable[..., Offtake]) -> None:
    service = make(OFFTAKE_LOG="trace").start()
    known = service.credentials()
    token = service.headers()["Authorization"].removeprefix("Bearer ")
    assert service.call("GET", f"{FLOWS}/flows").status == 200
    assert service.terminate() == 0
    assert service.logs().count(known["clientSecret"]) == 1
    assert token not in service.logs()

    service.start()
    assert service.terminate() == 0
    assert service.logs().count(known["clientSecret"]) == 1, "the second start does not print it"
    for path in own_files(service.data_dir):
        if path.name != "credentials.json":
            assert known["clientSecret"].encode() not in path.read_bytes(), path


def test_only_the_owner_may_look_into_the_data_directory(make: Callable[..., Offtake]) -> None:
    before = os.umask(0o022)
    try:
        service = make().start()
    finally:
        os.umask(before)
    post_connection(service, SECRET)
    assert service.data_dir.stat().st_mode & 0o077 == 0, "the data directory"
    for path in own_files(service.data_dir):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_second_service_over_the_same_data_directory_is_refused(service: Offtake) -> None:
    second = service.command("serve", "--listen", "127.0.0.1:0", check=False)
    assert second.returncode != 0
    assert service.call("GET", f"{FLOWS}/flows").status == 200
