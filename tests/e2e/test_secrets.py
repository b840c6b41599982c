"""Secrets: written once, sealed at rest, never seen again."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path

from bed import need
from bucket import ALLOWED, Bucket
from offtake import FLOWS, S3, Answer, Offtake, until
from table import DeltaTable

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


# Every secret field that a destination has, each with a word that is looked for everywhere else.
S3_CANARY = "CanaryOfS3" + "x" * 30
SECRETS = {
    "s3": (S3, "Access Key", {"s3AccessKey": KEY, "s3SecretKey": S3_CANARY}, S3_CANARY),
    "blob": (
        "6d6b59bf-fb58-4107-9064-4d246c0e5bb2",
        "ConnectionString",
        {
            "connectionString": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=Q2FuYXJ5T2ZCbG9i"
            ";EndpointSuffix=core.windows.net"
        },
        "Q2FuYXJ5T2ZCbG9i",
    ),
    "adls": (
        "be2c3209-53bc-47e7-ab25-145db8b873e1",
        "Azure Service Principal Auth",
        {
            "url": "abfss://exports@a.dfs.core.windows.net",
            "tenant": "11111111-1111-1111-1111-111111111111",
            "servicePrincipalId": "writer",
            "servicePrincipalKey": "canary-of-adls",
        },
        "canary-of-adls",
    ),
    "gcs": (
        "c5d93acb-ea8b-4b14-8f53-02138444ae99",
        "Google Cloud Storage authentication credentials",
        {"accessKeyId": "GOOG1E" + "A" * 55, "secretAccessKey": "canaryOfGcs" + "y" * 29},
        "canaryOfGcs" + "y" * 29,
    ),
    "sftp password": (
        "36965a81-b1c6-401b-99f8-22508f1e6a26",
        "SFTP with Password",
        {"domain": "sftp.example.com", "username": "u", "password": "canary-of-sftp"},
        "canary-of-sftp",
    ),
    "sftp key": (
        "36965a81-b1c6-401b-99f8-22508f1e6a26",
        "SFTP with SSH Key",
        {"domain": "sftp.example.com", "username": "u", "sshKey": "Y2FuYXJ5LW9mLXNzaA=="},
        "Y2FuYXJ5LW9mLXNzaA",
    ),
}


def test_no_secret_field_shows_anywhere(make: Callable[..., Offtake], bucket: Bucket) -> None:
    service = make(OFFTAKE_LOG="trace", OFFTAKE__DELIVERY__RETRY_SECS="1", **ALLOWED).start()
    DeltaTable(service.data_dir / "lake" / "events").append(10)
    dataset = service.add_dataset("events", "lake://default/events")
    said = []

    def call(method: str, path: str, body: object = None, **headers: str) -> Answer:
        answer = service.call(method, f"{FLOWS}/{path}", body, **headers)
        said.append(answer.text)
        return answer

    for name, (spec, auth, params, canary) in SECRETS.items():
        body = {"name": name, "auth": {"specName": auth, "params": params}}
        made = call("POST", "connections", body | {"connectionSpec": {"id": spec, "version": "1.0"}})
        assert made.status == 201, made.text
        one = call("GET", f"connections/{made.body['id']}").body["items"][0]
        change = [{"op": "replace", "path": "/auth/params", "value": params}]
        patched = call("PATCH", f"connections/{made.body['id']}", change, **{"If-Match": one["etag"]})
        assert patched.status == 200, patched.text
        # Refused, with the secret in what is refused.
        wrong = {"specName": auth, "params": params | {"unknown": canary}}
        bad = {"name": name, "auth": wrong, "connectionSpec": {"id": spec, "version": "1.0"}}
        assert call("POST", "connections", bad).status == 400

    # A delivery that uses a secret, and one that is refused with it.
    service.wait_for_run(service.start_run(service.make_flow(dataset, to=bucket.destination())))
    refused = service.start_run(service.make_flow(dataset, to=bucket.destination(s3SecretKey=S3_CANARY)))
    for _ in until(20):
        # moto refuses nobody.
        if any(word in call("GET", f"runs/{refused}").text for word in ("DESTINATION_KEYS_INVALID", "success")):
            break
    for path in ("connections", "targetConnections", "sourceConnections", "flows", "runs"):
        assert call("GET", f"{path}?limit=100").status == 200
    log = service.call("GET", "/offtake/v1/audit?limit=100&collection=connections")
    assert len(log.body["items"]) >= 2 * len(SECRETS), log.text
    said.append(log.text)
    metrics = service.raw("GET", "/metrics", None, {})
    assert metrics.status == 200
    assert service.terminate() == 0

    words = [canary for *_, canary in SECRETS.values()] + [need("S3_SECRET_KEY")]
    kept = {path: path.read_bytes() for path in own_files(service.data_dir)}
    for word in words:
        for spelled in (word, base64.b64encode(word.encode()).decode().rstrip("=")):
            assert not any(spelled in text for text in [*said, metrics.text]), spelled
            assert spelled not in service.logs()
            assert [path for path, data in kept.items() if spelled.encode() in data] == []


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
