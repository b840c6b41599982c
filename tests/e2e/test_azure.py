"""Deliveries into Azure's stores: what arrives, what does not, and what the run says of it."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from azure_stores import ACCOUNT, ALLOWED, KINDS, Container, FileSystem, trusting
from bed import Start, need
from offtake import FLOWS, Destination, Offtake
from places import place_of as place_of
from store import Store, StoreWatcher
from table import DeltaTable
from test_crash import some
from test_s3 import SOON, wait_for_fault


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, place_of: Callable[[str], Any]) -> Store:
    """A place of each kind."""
    return place_of(request.param)


@pytest.fixture
def container(place_of: Callable[[str], Any]) -> Container:
    """A container."""
    return place_of("blob")


@pytest.fixture
def service(make: Callable[..., Offtake]) -> Offtake:
    """A running service that may speak to the bed."""
    return make(**SOON, **trusting()).start()


def test_blobs_carry_the_tag_of_their_attempt_and_no_encoding(
    service: Offtake, table: DeltaTable, container: Container
) -> None:
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, "JSON", "GZIP", to=container.destination())
    service.wait_for_run(service.start_run(flow))
    (manifest,) = container.manifests()
    for key in container.objects():
        found = container.client.get_blob_client(key).get_blob_properties()
        # Clients unpack what is declared to be packed.
        assert found.content_settings.content_encoding is None, key
        whose = "put" if key.endswith(".manifest") else manifest.body["delivery"]
        assert found.metadata["offtake_tag"].startswith(f"{whose}/"), key


def test_a_signature_with_no_right_but_to_write_is_enough(
    service: Offtake, table: DeltaTable, container: Container
) -> None:
    to = container.destination(connectionString=container.sas_string("cw"))
    dataset = service.add_dataset("events", "lake://default/events")
    service.wait_for_run(service.start_run(service.make_flow(dataset, "PARQUET", "GZIP", to=to)))
    container.check(table.next_row)
    assert container.staged() == []


def tried(service: Offtake, to: Destination, place: str = "") -> dict[str, Any]:
    """What a connection test says, when it fails."""
    base = service.create_base(to)
    answer = service.call("GET", f"{FLOWS}/connections/{base}/test{place}")
    assert answer.status == 200, answer.text
    assert answer.body["result"] is False, answer.text
    why = answer.body["failure"]
    assert why["message"] and why["advice"] and why["page"], why
    return why


WRONG_STRINGS: dict[str, tuple[Callable[[Container], str], str]] = {
    "wrong key": (lambda it: it.key_string(AccountKey="aHVudGVyMg=="), "DESTINATION_KEYS_INVALID"),
    "no such account": (lambda it: it.key_string(AccountName="nobody"), "DESTINATION_KEYS_INVALID"),
    "unknown host": (
        lambda it: it.key_string(BlobEndpoint="https://nowhere.invalid"),
        "DESTINATION_UNREACHABLE",
    ),
    "nobody listens": (lambda it: it.key_string(BlobEndpoint="https://127.0.0.1:1"), "DESTINATION_UNREACHABLE"),
    "address not allowed": (lambda it: it.key_string(BlobEndpoint="https://10.0.0.1"), "NETWORK_REFUSED"),
    "signature ended": (lambda it: it.sas_string(minutes=-1), "DESTINATION_KEYS_EXPIRED"),
    "signature ends soon": (lambda it: it.sas_string(minutes=10), "DESTINATION_KEYS_EXPIRED"),
    "signature of a reader": (lambda it: it.sas_string("rl"), "SAS_TOO_NARROW"),
    "signature for another container": (lambda it: it.sas_string(container="other"), "DESTINATION_DENIED"),
}


def test_each_wrong_connection_string_is_told_by_its_own_code(service: Offtake, container: Container) -> None:
    for wrong, (string, code) in WRONG_STRINGS.items():
        why = tried(service, container.destination(connectionString=string(container)), f"?container={container.name}")
        assert why["code"] == code, (wrong, why)
        said = json.dumps(why)
        assert "hunter2" not in said and "aHVudGVyM" not in said and "sig=" not in said, wrong
    said = service.logs()
    assert "hunter2" not in said and "aHVudGVyM" not in said and "sig=" not in said
    assert container.objects() == {}


NO_STRINGS: dict[str, str] = {
    "hunter2": "made of `Name=value` settings",
    "AccountKey=aHVudGVyMg==": "`AccountName` or `BlobEndpoint`",
    "AccountName=acct;AccountKey=aHVudGVyM": "`AccountKey` is not base64",
    "AccountName=acct;SharedAccessSignature=hunter2": "`SharedAccessSignature` has no `sig`",
}


def test_what_is_no_connection_string_is_refused_when_it_is_sent(service: Offtake, container: Container) -> None:
    right = container.destination()
    base = service.create_base(right)
    spec = {"id": right.spec, "version": "1.0"}
    (before,) = service.call("GET", f"{FLOWS}/connections/{base}").body["items"]
    for string, says in NO_STRINGS.items():
        auth = container.destination(connectionString=string).auth
        posted = service.call("POST", f"{FLOWS}/connections", {"name": "x", "auth": auth, "connectionSpec": spec})
        change = [{"op": "replace", "path": "/auth/params/connectionString", "value": string}]
        patched = service.call("PATCH", f"{FLOWS}/connections/{base}", change, **{"If-Match": before["etag"]})
        for refused in (posted, patched):
            assert refused.status == 422, refused.text
            assert refused.body["report"]["additionalContext"]["code"] == "CONNECTION_STRING_INVALID"
            assert says in refused.body["detail"]
            assert "hunter2" not in refused.text and "aHVudGVyM" not in refused.text
    (after,) = service.call("GET", f"{FLOWS}/connections").body["items"]
    assert (after["id"], after["etag"]) == (base, before["etag"])
    # One that is right, and was sent back as its mask.
    change = [{"op": "replace", "path": "/auth/params", "value": {"connectionString": "****"}}]
    kept = service.call("PATCH", f"{FLOWS}/connections/{base}", change, **{"If-Match": after["etag"]})
    assert kept.status == 200, kept.text
    tested = service.call("GET", f"{FLOWS}/connections/{base}/test?container={container.name}")
    assert tested.body["result"] is True, tested.text


def test_a_certificate_that_is_not_trusted_is_said(make: Callable[..., Offtake], container: Container) -> None:
    why = tried(make(**ALLOWED).start(), container.destination(), f"?container={container.name}")
    assert why["code"] == "TLS_NOT_TRUSTED", why


def test_a_connection_that_works_is_said_to(service: Offtake, store: Store) -> None:
    to = store.destination()
    base = service.create_base(to)
    place = f"?container={to.params['container']}" if "container" in to.params else ""
    answer = service.call("GET", f"{FLOWS}/connections/{base}/test{place}")
    assert answer.body["result"] is True, answer.text
    assert store.objects() == {} and store.staged() == []


def test_a_signature_is_shown_nowhere_not_even_by_the_most_talkative_log(
    make: Callable[..., Offtake], container: Container
) -> None:
    service = make(OFFTAKE_LOG="trace", **SOON, **trusting()).start()
    string = container.sas_string()
    signature = urllib.parse.parse_qs(string.partition("SharedAccessSignature=")[2])["sig"][0]
    DeltaTable(service.data_dir / "lake" / "events").append(10)
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, to=container.destination(connectionString=string))
    run = service.wait_for_run(service.start_run(flow))
    assert service.terminate() == 0
    said = service.logs() + json.dumps(run)
    for secret in (signature, urllib.parse.quote(signature, safe=""), urllib.parse.quote(signature)):
        assert secret not in said


def mend(service: Offtake, right: Destination) -> None:
    """Puts the right parameters into the only base connection there is."""
    (base,) = service.call("GET", f"{FLOWS}/connections").body["items"]
    change = [{"op": "replace", "path": "/auth/params", "value": right.auth["params"]}]
    mended = service.call("PATCH", f"{FLOWS}/connections/{base['id']}", change, **{"If-Match": base["etag"]})
    assert mended.status == 200, mended.text


def test_a_signature_that_is_too_narrow_is_waited_out_until_it_is_mended(
    service: Offtake, table: DeltaTable, container: Container
) -> None:
    to = container.destination(connectionString=container.sas_string("rl"))
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"), to=to)
    run = service.start_run(flow)
    wait_for_fault(service, run, "SAS_TOO_NARROW")
    mend(service, container.destination(connectionString=container.sas_string()))
    service.wait_for_run(run)
    container.check(table.next_row)


def test_a_wrong_key_is_waited_out_until_it_is_mended(
    service: Offtake, table: DeltaTable, container: Container
) -> None:
    wrong = container.destination(connectionString=container.key_string(AccountKey="aHVudGVyMg=="))
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"), to=wrong)
    run = service.start_run(flow)
    wait_for_fault(service, run, "DESTINATION_KEYS_INVALID")
    assert container.objects() == {} and container.staged() == []
    mend(service, container.destination())
    service.wait_for_run(run)
    container.check(table.next_row)


def test_a_container_that_is_not_there_is_waited_for(
    service: Offtake, table: DeltaTable, container: Container
) -> None:
    missing = f"{container.name}-2"
    flow = service.make_flow(
        service.add_dataset("events", "lake://default/events"), to=container.destination(container=missing)
    )
    run = service.start_run(flow)
    wait_for_fault(service, run, "DESTINATION_BUCKET_MISSING")
    container.remove()
    container.client = container.service.get_container_client(missing)
    container.client.create_container()
    service.wait_for_run(run)
    container.check(table.next_row)


# What a store may do to single calls. A block is sent by PUT, and so is the list that commits it.
FAULTS = {
    "busy for a while": {"method": "PUT", "path": "comp=block&", "times": 3, "do": "busy", "seconds": 1},
    "block sent, reply lost": {"method": "PUT", "path": "comp=block&", "do": "drop-after"},
    "committed, reply lost": {"method": "PUT", "path": "comp=blocklist", "do": "drop-after"},
    "commit never arrived": {"method": "PUT", "path": "comp=blocklist", "do": "drop-before"},
    "manifest put, reply lost": {"method": "PUT", "path": r"manifest\?comp=blocklist", "do": "drop-after"},
    "block stalls": {"method": "PUT", "path": "comp=block&", "do": "stall", "seconds": 4},
    "block bent on the way": {"method": "PUT", "path": "comp=block&", "do": "bend"},
    "list bent on the way": {"method": "PUT", "path": "comp=blocklist", "do": "bend"},
}


# Those that are tried without `--deep`.
FIRST = ["committed, reply lost", "manifest put, reply lost", "block bent on the way"]


@pytest.mark.parametrize("fault", some(list(FAULTS), FIRST))
def test_a_store_that_spoils_a_call_gets_no_row_twice_and_loses_none(
    make: Callable[..., Offtake], start: Start, container: Container, fault: str
) -> None:
    backend = container.endpoint.rpartition("/")[0]
    proxy = f"http://127.0.0.1:{start('fault_proxy.py', '--backend', backend, '--ca', need('CA'))}"
    service = make(OFFTAKE__NETWORK__REQUEST_TIMEOUT_SECS="2", **SOON, **trusting()).start()
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(1000, files=4)
    dataset = service.add_dataset("events", "lake://default/events")
    string = container.key_string(BlobEndpoint=f"{proxy}/{need('AZURE_ACCOUNT')}")
    flow = service.make_flow(dataset, "JSON", "GZIP", to=container.destination(connectionString=string))
    requests.put(f"{proxy}/_testbed/faults", json=[FAULTS[fault]], timeout=10).raise_for_status()
    with StoreWatcher(container) as watcher:
        service.wait_for_run(service.start_run(flow))
    (told,) = requests.get(f"{proxy}/_testbed/faults", timeout=10).json()
    assert told["fired"] == FAULTS[fault].get("times", 1), told
    watcher.check(container.check(table.next_row))
    container.check_swept()


# The Data Lake's own.


@pytest.fixture
def lake(place_of: Callable[[str], Any]) -> FileSystem:
    """A file system."""
    return place_of("adls")


WRONG_PARAMS: dict[str, tuple[dict[str, str], str]] = {
    "wrong secret": ({"servicePrincipalKey": "hunter2-wrong"}, "DESTINATION_KEYS_INVALID"),
    "unknown application": ({"servicePrincipalId": "unknown"}, "DESTINATION_KEYS_INVALID"),
    "unknown tenant": ({"tenant": "unknown.example.com"}, "DESTINATION_KEYS_INVALID"),
    "a reader's application": (
        {"servicePrincipalId": "reader", "servicePrincipalKey": "reader-hunter2"},
        "DESTINATION_DENIED",
    ),
    "an application without rights": (
        {"servicePrincipalId": "nobody", "servicePrincipalKey": "nobody-hunter2"},
        "DESTINATION_DENIED",
    ),
    "no file system of that name": ({"url": "{account}/missing"}, "DESTINATION_BUCKET_MISSING"),
    "no account in the address": ({"url": "abfss://exports"}, "CONNECTION_NOT_USABLE"),
    "nobody listens": ({"url": "https://127.0.0.1:1/lake/exports"}, "DESTINATION_UNREACHABLE"),
    "the authority is not allowed": ({"authority": "https://10.0.0.1"}, "NETWORK_REFUSED"),
}


def test_each_wrong_parameter_of_a_lake_is_told_by_its_own_code(service: Offtake, lake: FileSystem) -> None:
    account = f"{lake.authority}/{ACCOUNT}"
    for wrong, (changed, code) in WRONG_PARAMS.items():
        why = tried(service, lake.destination(**{name: it.format(account=account) for name, it in changed.items()}))
        assert why["code"] == code, (wrong, why)
        assert "hunter2" not in json.dumps(why), wrong
    assert "hunter2" not in service.logs()
    assert lake.everything() == {}


def test_an_account_without_hierarchical_namespace_is_refused(
    service: Offtake, start: Start, tmp_path: Path
) -> None:
    flat = FileSystem(tmp_path, start, "--flat")
    why = tried(service, flat.destination())
    assert why["code"] == "NAMESPACE_NOT_HIERARCHICAL", why
    assert flat.everything() == {}


def test_a_wrong_secret_of_a_lake_is_waited_out_until_it_is_mended(
    service: Offtake, table: DeltaTable, lake: FileSystem
) -> None:
    wrong = lake.destination(servicePrincipalKey="hunter2-wrong")
    run = service.start_run(service.make_flow(service.add_dataset("events", "lake://default/events"), to=wrong))
    wait_for_fault(service, run, "DESTINATION_KEYS_INVALID")
    mend(service, lake.destination())
    service.wait_for_run(run)
    lake.check(table.next_row)
    assert lake.staged() == []


# What the account may do to single calls.
LAKE_FAULTS: dict[str, dict[str, Any]] = {
    "busy for a while": {"op": "append", "times": 3, "retry_after": 1},
    "created, reply lost": {"op": "create", "after": True, "drop": True},
    "appended, reply lost": {"op": "append", "after": True, "drop": True},
    "flushed, reply lost": {"op": "flush", "after": True, "drop": True},
    "renamed, reply lost": {"op": "rename", "after": True, "drop": True},
    "rename never arrived": {"op": "rename", "drop": True},
    "a digest that does not fit": {"op": "append", "status": 400, "code": "Md5Mismatch"},
    "a token that is called invalid": {"op": "append", "status": 401, "code": "InvalidAuthenticationInfo"},
    "a right withdrawn at the last step": {"op": "rename", "status": 403, "code": "AuthorizationPermissionMismatch"},
}


LAKE_FIRST = ["renamed, reply lost", "a token that is called invalid", "a right withdrawn at the last step"]


@pytest.mark.parametrize("fault", some(list(LAKE_FAULTS), LAKE_FIRST))
def test_a_lake_that_spoils_a_call_gets_no_row_twice_and_loses_none(
    service: Offtake, table: DeltaTable, lake: FileSystem, fault: str
) -> None:
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, "JSON", "GZIP", to=lake.destination())
    faults = f"{lake.authority}/_testbed/faults"
    requests.put(faults, json=[LAKE_FAULTS[fault]], verify=need("CA"), timeout=10).raise_for_status()
    with StoreWatcher(lake) as watcher:
        service.wait_for_run(service.start_run(flow))
    (told,) = requests.get(faults, verify=need("CA"), timeout=10).json()["faults"]
    assert told["seen"] > LAKE_FAULTS[fault].get("times", 1), told
    watcher.check(lake.check(table.next_row))
    assert lake.staged() == []
