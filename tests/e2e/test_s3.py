"""Deliveries into S3, on a strict and on a quick server: what arrives, what does not, and what the run says of it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import requests

from bed import Start, need
from bucket import ALLOWED, SERVERS, Bucket
from offtake import FLOWS, Offtake, error_codes, status, until
from store import StoreWatcher
from table import DeltaTable

# Faults that pass are tried again soon, leftovers go at once.
SOON = {"OFFTAKE__DELIVERY__RETRY_SECS": "1", "OFFTAKE__DELIVERY__LEFTOVER_GRACE_SECS": "1"}


@pytest.fixture
def service(make: Callable[..., Offtake]) -> Offtake:
    """A running service that may speak to the bed."""
    return make(**SOON, **ALLOWED).start()


def test_objects_carry_the_tag_of_their_attempt_and_no_encoding(
    service: Offtake, table: DeltaTable, bucket: Bucket
) -> None:
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, "JSON", "GZIP", to=bucket.destination())
    service.wait_for_run(service.start_run(flow))
    for key in bucket.objects():
        head = bucket.client.head_object(Bucket=bucket.name, Key=key)
        # Stores unpack what is declared to be packed.
        assert "ContentEncoding" not in head, key
        if not key.endswith(".manifest"):
            assert head["Metadata"], key


def wait_for_fault(service: Offtake, run: str, code: str) -> None:
    """The run waits, and says by that code and with an advice what for."""
    for _ in until(30):
        seen = service.run(run)
        if code in error_codes(seen) or status(seen) == "failed":
            break
    assert status(seen) in ("waiting", "processing"), json.dumps(seen, indent=1) + service.logs()[-4000:]
    (error, *_) = seen["metrics"]["statusSummary"]["errors"]
    assert error["errorCode"] == code and error["advice"], json.dumps(seen, indent=1)


def test_a_wrong_secret_is_waited_out_until_it_is_mended(
    service: Offtake, table: DeltaTable, bucket_on: Callable[[str], Bucket]
) -> None:
    # moto checks no secret.
    bucket = bucket_on("radosgw")
    wrong = bucket.destination(s3SecretKey="w" * 40)
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"), to=wrong)
    run = service.start_run(flow)
    wait_for_fault(service, run, "DESTINATION_KEYS_INVALID")
    assert bucket.objects() == {} and bucket.uploads() == []
    assert "w" * 40 not in service.logs() + json.dumps(service.run(run))

    (base,) = service.call("GET", f"{FLOWS}/connections").body["items"]
    right = [{"op": "replace", "path": "/auth/params", "value": bucket.destination().auth["params"]}]
    mended = service.call("PATCH", f"{FLOWS}/connections/{base['id']}", right, **{"If-Match": base["etag"]})
    assert mended.status == 200, mended.text
    service.wait_for_run(run)
    bucket.check(table.next_row)


@pytest.mark.parametrize("server", SERVERS)
def test_a_bucket_that_is_not_there_is_waited_for(
    service: Offtake, table: DeltaTable, bucket_on: Callable[[str], Bucket], server: str
) -> None:
    bucket = bucket_on(server)
    bucket.client.delete_bucket(Bucket=bucket.name)
    dataset = service.add_dataset("events", "lake://default/events")
    run = service.start_run(service.make_flow(dataset, to=bucket.destination()))
    wait_for_fault(service, run, "DESTINATION_BUCKET_MISSING")
    bucket.client.create_bucket(Bucket=bucket.name)
    service.wait_for_run(run)
    bucket.check(table.next_row)


def policy(bucket: Bucket, *denied: str) -> None:
    """Lets the guest do everything in the bucket but these."""
    everything = [f"arn:aws:s3:::{bucket.name}", f"arn:aws:s3:::{bucket.name}/*"]
    guest = {"AWS": ["arn:aws:iam:::user/guest"]}
    statements = [{"Effect": "Allow", "Principal": guest, "Action": ["s3:*"], "Resource": everything}]
    if denied:
        statements.append({"Effect": "Deny", "Principal": guest, "Action": list(denied), "Resource": everything})
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    bucket.client.put_bucket_policy(Bucket=bucket.name, Policy=text)


@pytest.mark.parametrize("right", ["s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObject", "s3:ListBucket"])
def test_a_right_denied_at_one_step_loses_nothing_and_is_waited_for_where_it_is_needed(
    service: Offtake, table: DeltaTable, bucket_on: Callable[[str], Bucket], right: str
) -> None:
    bucket = bucket_on("radosgw")
    guest = {"s3AccessKey": need("S3_GUEST_ACCESS_KEY"), "s3SecretKey": need("S3_GUEST_SECRET_KEY")}
    policy(bucket, right)
    dataset = service.add_dataset("events", "lake://default/events")
    run = service.start_run(service.make_flow(dataset, to=bucket.destination(**guest)))
    for _ in until(30):
        seen = service.run(run)
        if status(seen) in ("success", "failed") or "DESTINATION_DENIED" in error_codes(seen):
            break
    assert status(seen) != "failed", json.dumps(seen, indent=1)
    if right == "s3:PutObject":
        assert status(seen) != "success" and bucket.objects() == {}
    policy(bucket)
    service.wait_for_run(run)
    # Objects belong to who put them.
    bucket.client = bucket.client_of(guest["s3AccessKey"], guest["s3SecretKey"])
    bucket.check(table.next_row)
    bucket.check_swept()


@pytest.mark.parametrize(
    ("settings", "endpoint", "code"),
    [
        (ALLOWED, "http://nowhere.invalid:1", "DESTINATION_UNREACHABLE"),
        (ALLOWED, "http://127.0.0.1:1", "DESTINATION_UNREACHABLE"),
        ({}, None, "NETWORK_REFUSED"),
        ({}, "http://169.254.169.254", "NETWORK_REFUSED"),
    ],
    ids=["unknown host", "nobody listens", "address not allowed", "metadata service"],
)
def test_a_server_that_is_not_reached_is_said_by_name(
    make: Callable[..., Offtake], bucket: Bucket, settings: dict[str, str], endpoint: str | None, code: str
) -> None:
    service = make(**SOON, **settings).start()
    DeltaTable(service.data_dir / "lake" / "events").append(10)
    to = bucket.destination(endpoint=endpoint or bucket.endpoint)
    run = service.start_run(service.make_flow(service.add_dataset("events", "lake://default/events"), to=to))
    if code == "NETWORK_REFUSED":
        failed = service.wait_for_run(run, expect="failed")
        assert code in error_codes(failed), error_codes(failed)
    else:
        wait_for_fault(service, run, code)
    assert bucket.objects() == {}


# What a store may do to single calls. A part is sent by PUT, an upload is begun and completed by POST.
FAULTS = {
    "busy for a while": {"method": "PUT", "path": "partNumber", "times": 3, "do": "busy", "seconds": 1},
    "begun, reply lost": {"method": "POST", "path": "uploads", "do": "drop-after"},
    "part sent, reply lost": {"method": "PUT", "path": "partNumber", "do": "drop-after"},
    "completed, reply lost": {"method": "POST", "path": "uploadId", "do": "drop-after"},
    "completed, reply cut": {"method": "POST", "path": "uploadId", "do": "cut"},
    "completion never arrived": {"method": "POST", "path": "uploadId", "do": "drop-before"},
    "manifest put, reply lost": {"method": "PUT", "path": "manifest$", "do": "drop-after"},
    "part stalls": {"method": "PUT", "path": "partNumber", "do": "stall", "seconds": 4},
    "part bent on the way": {"method": "PUT", "path": "partNumber", "do": "bend"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_that_spoils_a_call_gets_no_row_twice_and_loses_none(
    make: Callable[..., Offtake], start: Start, bucket: Bucket, fault: str
) -> None:
    proxy = f"http://127.0.0.1:{start('fault_proxy.py', '--backend', bucket.endpoint)}"
    service = make(OFFTAKE__NETWORK__REQUEST_TIMEOUT_SECS="2", **SOON, **ALLOWED).start()
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(1000, files=4)
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, "JSON", "GZIP", to=bucket.destination(endpoint=proxy))
    requests.put(f"{proxy}/_testbed/faults", json=[FAULTS[fault]], timeout=10).raise_for_status()
    with StoreWatcher(bucket) as watcher:
        service.wait_for_run(service.start_run(flow))
    (told,) = requests.get(f"{proxy}/_testbed/faults", timeout=10).json()
    assert told["fired"] == FAULTS[fault].get("times", 1), told
    watcher.check(bucket.check(table.next_row))
    if fault == "begun, reply lost":
        # The store began an upload whose id nobody was told: the bucket's lifecycle rule is for that one.
        assert len(bucket.uploads()) == 1
    else:
        bucket.check_swept()
