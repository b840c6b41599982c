"""The landing zone as receivers see it: signed addresses for plain clients and for the vendor's SDK, zones in
a bucket and in an Azure account, and retention.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import signal
import sqlite3
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobServiceClient, ContainerClient

from azure_stores import trusting
from bed import need
from bucket import ALLOWED, Bucket
from offtake import FLOWS, Answer, Offtake, until
from oracle import check_exactly_once, check_files, manifests
from table import DeltaTable

ZONE = "/data/foundation/connectors/landingzone"
SANDBOXES = "/data/foundation/sandbox-management/sandboxes"
CREDENTIALS = f"{ZONE}/credentials?type=dlz_destination"
ROWS = 1000
DAY = 86_400_000


def deliver(service: Offtake, **params: Any) -> str:
    """Delivers the table once and gives the flow's id."""
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, **params)
    service.wait_for_run(service.start_run(flow))
    return flow


def signed(service: Offtake, method: str = "GET", more: str = "") -> dict[str, Any]:
    """Credentials of the zone."""
    answer = service.call(method, CREDENTIALS + more)
    assert answer.status == 200, answer.text
    return answer.body


def fetch(url: str, **headers: str) -> Answer:
    """What a client without anything but the address gets."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            data, status = reply.read(), reply.status
            return Answer(status, dict(reply.headers), json_or_none(data), data.decode(errors="replace"))
    except urllib.error.HTTPError as refused:
        data = refused.read()
        return Answer(refused.code, dict(refused.headers), json_or_none(data), data.decode(errors="replace"))


def json_or_none(data: bytes) -> Any:
    """The body, parsed when it is JSON."""
    try:
        return json.loads(data)
    except ValueError:
        return None


def blob_url(uri: str, key: str) -> str:
    """The address of a file, made from the container's."""
    base, query = uri.split("?", 1)
    return f"{base}/{urllib.parse.quote(key)}?{query}"


def download_all(uri: str, into: Path) -> Path:
    """Fetches everything that the address lists, page by page, with nothing but HTTP."""
    marker = ""
    while marker is not None:
        page = fetch(f"{uri}&maxresults=3&marker={urllib.parse.quote(marker)}").body
        for file in page["files"]:
            path = into / file["name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            with urllib.request.urlopen(blob_url(uri, file["name"]), timeout=30) as reply:
                path.write_bytes(reply.read())
            assert path.stat().st_size == file["size"]
        marker = page.get("nextMarker")
    return into


def test_a_plain_client_gets_every_row_with_the_signed_address_alone(
    service: Offtake, table: DeltaTable, tmp_path: Path
) -> None:
    deliver(service, file_type="PARQUET")
    found = manifests(download_all(signed(service)["SASUri"], tmp_path / "received"))
    for delivered in found:
        check_files(delivered)
    check_exactly_once(found, range(ROWS))


def test_the_vendors_sdk_takes_the_signed_address_as_it_is(
    service: Offtake, table: DeltaTable, tmp_path: Path
) -> None:
    deliver(service, path="exports/a b+é", maxRowsPerFile=100)
    given = signed(service)
    with ContainerClient.from_container_url(given["SASUri"]) as container:
        assert container.container_name == given["containerName"] == "dlz-destination"
        blobs = {blob.name: blob for blob in container.list_blobs(results_per_page=4)}
        assert len(blobs) == 13 and all(name.startswith("exports/a b+é/") for name in blobs)
        (top,) = container.walk_blobs()
        assert top.name == "exports/"
        some = [name for name in blobs if name.endswith(".json")]
        assert [blob.name for blob in container.list_blobs(name_starts_with=some[0])] == some[:1]

        received = tmp_path / "received"
        for name, blob in blobs.items():
            data = container.download_blob(name).readall()
            assert len(data) == blob.size
            (received / name).parent.mkdir(parents=True, exist_ok=True)
            (received / name).write_bytes(data)
        check_exactly_once(manifests(received), range(ROWS))

        # In pieces, which the SDK holds together by the tag.
        whole = container.download_blob(some[0]).readall()
        pieces = container.get_blob_client(some[0])
        small = BlobClient.from_blob_url(pieces.url, max_single_get_size=100, max_chunk_get_size=100)
        assert small.download_blob(max_concurrency=2).readall() == whole
        assert container.download_blob(some[0], offset=3, length=5).readall() == whole[3:8]
        properties = pieces.get_blob_properties()
        assert (properties.size, properties.etag.strip('"')) == (len(whole), blobs[some[0]].etag.strip('"'))
        assert pieces.exists() and not container.get_blob_client("missing").exists()

        with pytest.raises(ResourceNotFoundError):
            container.download_blob("exports/missing")
        with pytest.raises(HttpResponseError):
            container.upload_blob("mine", b"x")
        with pytest.raises(HttpResponseError):
            container.delete_blob(some[0])
        assert container.download_blob(some[0]).readall() == whole


def test_an_empty_file_is_downloaded_by_the_sdk(service: Offtake, table: DeltaTable) -> None:
    deliver(service)
    (zone,) = service.zone.glob("*/prod")
    (zone / "empty").touch()
    with ContainerClient.from_container_url(signed(service)["SASUri"]) as container:
        assert container.download_blob("empty").readall() == b""


def test_a_changed_or_withdrawn_address_opens_nothing(service: Offtake, table: DeltaTable) -> None:
    deliver(service)
    uri = signed(service)["SASUri"]
    assert fetch(uri).status == 200
    parts = dict(urllib.parse.parse_qsl(uri.split("?", 1)[1]))
    for name, value in parts.items():
        changed = fetch(uri.replace(f"{name}={value}", f"{name}={value[:-1]}{'1' if value[-1] != '1' else '2'}"))
        assert changed.status == 403 and "SIGNATURE_INVALID" in changed.text, name
    with ContainerClient.from_container_url(uri.replace("sp=rl", "sp=rwl")) as container:
        with pytest.raises(ClientAuthenticationError):
            list(container.list_blobs())
    other = service.call("POST", "/offtake/v1/organisations", {"name": "other"})
    assert other.status == 201, other.text
    theirs = other.body["id"]
    ours = service.credentials()["org"]
    moved = uri.replace(ours.removesuffix("@AdobeOrg"), theirs.removesuffix("@AdobeOrg"))
    assert moved != uri and fetch(moved).status == 403
    for escape in ("../prod/x", "..%2f..%2f..%2fkey", "%2e%2e/%2e%2e/offtake.db"):
        base, query = uri.split("?", 1)
        assert fetch(f"{base}/{escape}?{query}").status in (400, 403, 404)
    renewed = signed(service, "POST", "&action=refresh")["SASUri"]
    assert fetch(uri).status == 403 and fetch(renewed).status == 200


def test_an_address_ends_by_itself(make: Callable[..., Offtake]) -> None:
    settings = {"OFFTAKE__LANDING_ZONE__CREDENTIALS_SECS": "2", "OFFTAKE__SERVER__PUBLIC_URL": "https://zone.example"}
    service = make(**settings).start()
    given = signed(service)
    assert given["SASUri"].startswith("https://zone.example/offtake/v1/landing-zone/")
    uri = service.url + given["SASUri"].removeprefix("https://zone.example")
    assert fetch(uri).status == 200
    for _ in until(10):
        late = fetch(uri)
        if late.status != 200:
            break
    assert late.status == 403 and "SIGNATURE_EXPIRED" in late.text
    assert time.time() >= given["expiryTime"]


# Retention.


def age(service: Offtake, days: int) -> None:
    """Lets everything that was delivered have happened earlier. The service must not run."""
    with sqlite3.connect(service.data_dir / "offtake.db") as db:
        db.execute("UPDATE delivery SET completed_at = completed_at - ?", (days * DAY,))
    db.close()


def visible(service: Offtake) -> set[str]:
    """Every file in the zones."""
    return {path.name for path in service.zone.rglob("*") if path.is_file()}


def test_what_is_old_is_taken_away_and_nothing_else(
    make: Callable[..., Offtake], tmp_path: Path
) -> None:
    service = make(OFFTAKE__LANDING_ZONE__TTL_DAYS="7").start()
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(ROWS, files=2)
    flow = deliver(service, includeFileManifest=True)
    (old,) = manifests(service.zone)
    kept = tmp_path / "kept.manifest"
    shutil.copy(old.path, kept)
    (zone,) = service.zone.glob("*/prod")
    foreign = old.files()[0].parent / "not-ours.json"
    foreign.write_text("{}")
    # One of the delivery's files was replaced by somebody else: it isn't ours any more.
    gone, replaced = old.files()
    data = replaced.read_bytes()
    replaced.unlink()
    replaced.write_bytes(data)
    assert service.call("GET", f"{ZONE}?type=dlz_destination").body["containerTTL"] == "7"
    service.terminate()
    age(service, 8)

    service.start()
    for _ in until(20):
        if not old.path.exists() and not gone.exists():
            break
    table.append(100)
    service.wait_for_run(service.start_run(flow))
    (new,) = manifests(service.zone)
    left = visible(service)
    word = f"{old.path.stem}.expired"
    ours = {file.name for file in new.files()} | {new.path.name, word}
    documented = {name for name in left if name.startswith("manifest-")}
    assert left == ours | documented | {foreign.name, replaced.name}
    assert len(documented) == 1
    assert json.loads(old.path.with_name(word).read_text())["seq"] == 1
    check_files(new)

    def verify(*arguments: str) -> tuple[int, dict[str, Any]]:
        done = service.command("--json", "verify", *arguments, check=False)
        return done.returncode, json.loads(done.stdout)

    shown = [run["activities"][0]["statusSummary"]["extensions"] for run in service.runs(flow)]
    assert ["offtake.expiredAt" in it for it in shown] == [True, False]
    code, said = verify(str(old.path))
    assert (code, said["expired"]) == (9, True)
    code, said = verify(str(kept), "--root", str(zone))
    assert (code, said["expired"]) == (9, True)
    assert verify(str(new.path))[0] == 0
    service.terminate()
    age(service, 6)
    service.start()
    assert new.path.exists()


def test_a_sweep_that_was_killed_midway_is_finished_by_the_next(make: Callable[..., Offtake]) -> None:
    service = make(OFFTAKE__LANDING_ZONE__TTL_DAYS="1").start()
    DeltaTable(service.data_dir / "lake" / "events").append(ROWS, files=2)
    deliver(service)
    (old,) = manifests(service.zone)
    files = old.files()
    service.terminate()
    age(service, 2)
    # Where the sweep is quicker than the words about the address, that is what the start says.
    with contextlib.suppress(AssertionError):
        service.start("after-manifest-withdrawn=kill")
    assert service.wait_for_death() == -signal.SIGKILL
    assert not old.path.exists() and all(file.exists() for file in files)
    assert old.path.with_suffix(".expired").exists()
    code = service.command("--json", "verify", str(old.path), check=False).returncode
    assert code == 9
    service.start()
    for _ in until(20):
        if not any(file.exists() for file in files):
            break
    assert visible(service) == {f"{old.path.stem}.expired"}


def test_without_a_time_nothing_is_taken_away(service: Offtake, table: DeltaTable) -> None:
    deliver(service)
    before = visible(service)
    service.terminate()
    age(service, 10_000)
    service.start()
    time.sleep(0.5)
    assert visible(service) == before


# A zone in a bucket.


@pytest.fixture
def in_bucket(make: Callable[..., Offtake], bucket: Bucket) -> Callable[..., Offtake]:
    """Starts a service whose landing zone lies in the bucket."""

    def one(**more: str) -> Offtake:
        settings = {
            "ZONE_KEY": need("S3_ACCESS_KEY"),
            "ZONE_SECRET": need("S3_SECRET_KEY"),
            "OFFTAKE__LANDING_ZONE__URL": f"s3://{bucket.name}/zones",
            "OFFTAKE__LANDING_ZONE__ENDPOINT": bucket.endpoint,
            "OFFTAKE__LANDING_ZONE__REGION": need("S3_REGION"),
            "OFFTAKE__LANDING_ZONE__ACCESS_KEY_ID": "env:ZONE_KEY",
            "OFFTAKE__LANDING_ZONE__SECRET_ACCESS_KEY": "env:ZONE_SECRET",
        }
        return make(**ALLOWED, **settings, **more).start()

    return one


class TokenService(http.server.BaseHTTPRequestHandler):
    """A token service that gives out fixed keys and remembers what it was asked."""

    asked: list[dict[str, str]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append(dict(urllib.parse.parse_qsl(body)))
        answer = (
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId>"
            "<SecretAccessKey>secret/1</SecretAccessKey><SessionToken>token==</SessionToken>"
            "<Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def token_service() -> Iterator[str]:
    """The address of a token service."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenService)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    TokenService.asked.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_zone_in_a_bucket_takes_deliveries_below_its_tenants_folder(
    in_bucket: Callable[..., Offtake], bucket: Bucket, token_service: str
) -> None:
    service = in_bucket(
        OFFTAKE__LANDING_ZONE__ROLE="arn:aws:iam::123456789012:role/receivers",
        OFFTAKE__LANDING_ZONE__STS_ENDPOINT=token_service,
        OFFTAKE__LANDING_ZONE__TTL_DAYS="3",
    )
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(ROWS, files=2)
    deliver(service)
    folder = f"zones/{service.credentials()['org']}/prod"
    assert all(key.startswith(f"{folder}/exports/") for key in bucket.objects())
    found = manifests(bucket.look())
    check_exactly_once(found, range(ROWS))
    assert not service.zone.exists()

    where = service.call("GET", f"{ZONE}?type=dlz_destination").body
    assert where["dlzPath"] == {"bucketName": bucket.name, "dlzFolder": folder}
    assert where["dataTTL"] == {"timeUnit": "days", "timeQuantity": 3}
    given = signed(service)
    assert given["credentials"] == {
        "awsAccessKeyId": "ASIA1",
        "awsSecretAccessKey": "secret/1",
        "awsSessionToken": "token==",
    }
    assert given["dlzProvider"] == where["dlzProvider"] == "Amazon S3"
    assert time.time() < given["expiryTime"] <= time.time() + 3600
    (asked,) = TokenService.asked
    assert asked["RoleArn"].endswith("role/receivers") and asked["DurationSeconds"] == "3600"
    (read, listed) = json.loads(asked["Policy"])["Statement"]
    assert read["Resource"] == f"arn:aws:s3:::{bucket.name}/{folder}/*"
    assert listed["Condition"]["StringLike"]["s3:prefix"] == [f"{folder}/*"]

    service.terminate()
    age(service, 4)
    service.start()
    for _ in until(20):
        if len(bucket.objects()) == 1:
            break
    (word,) = bucket.objects()
    assert word.endswith(".expired")


def test_a_bucket_without_a_role_says_what_is_missing(in_bucket: Callable[..., Offtake], bucket: Bucket) -> None:
    service = in_bucket()
    refused = service.call("GET", CREDENTIALS)
    assert refused.status == 422, refused.text
    assert refused.body["report"]["additionalContext"]["code"] == "ZONE_CREDENTIALS_NOT_AVAILABLE"
    assert bucket.name in refused.body["detail"]


# A zone in an Azure account.


@pytest.fixture
def account(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Containers of Azurite that no other test uses: the beginning of their names, settings, and the vendor's client."""
    prefix = f"z{uuid.uuid4().hex[:12]}"
    credential = {"account_name": need("AZURE_ACCOUNT"), "account_key": need("AZURE_KEY")}
    trust = {"connection_verify": need("CA"), "retry_total": 0}
    client = BlobServiceClient(need("AZURE_ENDPOINT"), credential, **trust)
    settings = {
        "ZONE_KEY": need("AZURE_KEY"),
        "OFFTAKE__LANDING_ZONE__URL": f"az://{prefix}",
        "OFFTAKE__LANDING_ZONE__ENDPOINT": need("AZURE_ENDPOINT"),
        "OFFTAKE__LANDING_ZONE__ACCOUNT": need("AZURE_ACCOUNT"),
        "OFFTAKE__LANDING_ZONE__ACCOUNT_KEY": "env:ZONE_KEY",
    }
    yield {"prefix": prefix, "settings": trusting() | settings, "client": client}
    for container in client.list_containers(name_starts_with=prefix):
        client.delete_container(container.name)


def received(uri: str) -> ContainerClient:
    """What a receiver opens with the address alone."""
    return ContainerClient.from_container_url(uri, connection_verify=need("CA"), retry_total=0)


def download(container: ContainerClient, into: Path) -> Path:
    """Everything that the receiver sees."""
    for blob in container.list_blobs():
        path = into / blob.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(container.download_blob(blob.name).readall())
        assert path.stat().st_size == blob.size
    return into


def test_a_zone_in_azure_is_opened_by_the_vendors_sdk_for_one_sandbox_only(
    make: Callable[..., Offtake], account: dict[str, Any], tmp_path: Path
) -> None:
    service = make(OFFTAKE_LOG="trace", **account["settings"]).start()
    # A receiver may come before the first delivery.
    assert list(received(signed(service)["SASUri"]).list_blobs()) == []
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(ROWS, files=4)
    deliver(service, path="exports/a b+é", file_type="PARQUET")
    given = signed(service)
    where = service.call("GET", f"{ZONE}?type=dlz_destination").body
    assert where == {"containerName": given["containerName"], "containerTTL": "0"}
    assert given["containerName"].startswith(f"{account['prefix']}-prod-")
    assert given["storageAccountName"] == need("AZURE_ACCOUNT")
    assert given["SASUri"] == f"{need('AZURE_ENDPOINT')}/{given['containerName']}?{given['SASToken']}"
    assert time.time() + 86_000 < given["expiryTime"] <= time.time() + 86_400
    assert not service.zone.exists()

    with received(given["SASUri"]) as container:
        found = manifests(download(container, tmp_path / "received"))
        for delivered in found:
            check_files(delivered)
        check_exactly_once(found, range(ROWS))
        some = next(iter(container.list_blob_names()))
        for forbidden in (
            lambda: container.upload_blob("mine", b"x"),
            lambda: container.upload_blob(some, b"x", overwrite=True),
            lambda: container.delete_blob(some),
            lambda: container.get_blob_client(some).set_blob_metadata({"mine": "1"}),
            container.delete_container,
            lambda: container.set_container_access_policy({}, public_access="blob"),
        ):
            with pytest.raises(HttpResponseError) as refused:
                forbidden()
            assert refused.value.status_code == 403

    renewed = signed(service, "POST", "&action=refresh")
    assert renewed["containerName"] == given["containerName"]
    assert some in list(received(renewed["SASUri"]).list_blob_names())

    # Another sandbox has another container, which the first one's signature does not open.
    made = service.call("POST", SANDBOXES, {"name": "prod-2", "title": "two", "type": "development"})
    assert made.status == 201, made.text
    answer = service.call("GET", CREDENTIALS, **{"x-sandbox-name": "prod-2"})
    assert answer.status == 200, answer.text
    other = answer.body
    assert other["containerName"] != given["containerName"]
    assert list(received(other["SASUri"]).list_blobs()) == []
    account["client"].get_container_client(other["containerName"]).upload_blob("theirs", b"x")
    crossed = received(f"{other['SASUri'].partition('?')[0]}?{given['SASToken']}")
    for forbidden in (lambda: list(crossed.list_blobs()), lambda: crossed.download_blob("theirs")):
        with pytest.raises(HttpResponseError) as refused:
            forbidden()
        assert refused.value.status_code == 403
    # And nobody gets in without one.
    assert fetch_status(f"{given['SASUri'].partition('?')[0]}?restype=container&comp=list") in (403, 404, 409)
    assert service.terminate() == 0
    said = service.logs() + json.dumps([given, renewed, other])
    signature = urllib.parse.parse_qs(given["SASToken"])["sig"][0]
    assert need("AZURE_KEY") not in said and signature not in service.logs()


def fetch_status(url: str) -> int:
    """What a client without credentials is answered."""
    return requests.get(url, verify=need("CA"), timeout=30).status_code


def test_a_signature_of_azure_ends_by_itself(make: Callable[..., Offtake], account: dict[str, Any]) -> None:
    service = make(OFFTAKE__LANDING_ZONE__CREDENTIALS_SECS="3", **account["settings"]).start()
    given = signed(service)
    assert list(received(given["SASUri"]).list_blobs()) == []
    late = None
    for _ in until(15):
        try:
            list(received(given["SASUri"]).list_blobs())
        except HttpResponseError as refused:
            late = refused
            break
    assert late is not None and late.status_code == 403
    assert time.time() >= given["expiryTime"]
    assert list(received(signed(service)["SASUri"]).list_blobs()) == []


def test_what_is_old_is_taken_out_of_azure_and_nothing_else(
    make: Callable[..., Offtake], account: dict[str, Any]
) -> None:
    service = make(OFFTAKE__LANDING_ZONE__TTL_DAYS="3", **account["settings"]).start()
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(ROWS, files=2)
    flow = deliver(service)
    assert service.call("GET", f"{ZONE}?type=dlz_destination").body["containerTTL"] == "3"
    container = account["client"].get_container_client(signed(service)["containerName"])
    # Somebody put a blob of their own at one of the delivery's names: it isn't ours any more.
    kept = next(name for name in container.list_blob_names() if "/part-" in name)
    data = container.download_blob(kept).readall()
    container.upload_blob(kept, data, overwrite=True)
    container.upload_blob("exports/theirs", b"x")
    service.terminate()
    age(service, 4)
    service.start()
    for _ in until(20):
        left = set(container.list_blob_names())
        if len(left) == 3:
            break
    (word,) = left - {kept, "exports/theirs"}
    assert word.endswith(".expired")
    assert container.download_blob(kept).readall() == data
    table.append(100)
    service.wait_for_run(service.start_run(flow))
    assert any(name.endswith(".manifest") for name in container.list_blob_names())


def test_a_target_can_be_proved_before_it_is_made(make: Callable[..., Offtake], bucket: Bucket) -> None:
    service = make(**ALLOWED).start()
    to = bucket.destination()
    base = service.create_base(to)

    def aim(name: str, probe: str) -> Answer:
        params = {"bucketName": name, "path": "x", "compression": "NONE", "datasetFileType": "JSON"}
        spec = {"id": to.spec, "version": "1.0"}
        body = {"name": "target", "baseConnectionId": base, "params": params, "connectionSpec": spec}
        return service.call("POST", f"{FLOWS}/targetConnections?probe={probe}", body)

    refused = aim(f"{bucket.name}-missing", "true")
    assert refused.status == 404, refused.text
    assert refused.body["report"]["additionalContext"]["code"] == "DESTINATION_BUCKET_MISSING"
    assert service.call("GET", f"{FLOWS}/targetConnections").body["items"] == []
    assert aim(bucket.name, "true").status == 201
    assert bucket.objects() == {}
    assert aim(f"{bucket.name}-missing", "false").status == 201
    assert aim(bucket.name, "perhaps").status == 400
