"""What the operator of a shared service relies on: the audit log, limits, quotas, keys, the doctor."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from offtake import FLOWS, S3, Offtake, status, until
from table import DeltaTable

AUDIT = "/offtake/v1/audit"
ORGANISATIONS = "/offtake/v1/organisations"


def test_a_change_is_written_down_with_who_and_from_where(service: Offtake) -> None:
    base = service.create("connections", {"name": "base"})
    answer = service.call("GET", f"{AUDIT}?id={base}")
    assert answer.status == 200, answer.text
    [entry] = answer.body["items"]
    assert entry["client"] == service.credentials()["clientId"]
    assert entry["address"] == "127.0.0.1"
    assert entry["operation"] == f"POST {FLOWS}/connections"
    assert "before" not in entry
    shown = service.command("audit", "--id", base).stdout
    assert base in shown
    assert "127.0.0.1" in shown
    # Refused, so nothing changed.
    assert service.call("DELETE", f"{FLOWS}/connections/{base[::-1]}").status == 404
    assert service.call("GET", f"{AUDIT}?collection=connections").body["items"] == [entry]


def test_the_log_is_committed_with_its_change_or_not_at_all(make: Callable[..., Offtake]) -> None:
    service = make().start()
    flow = service.make_flow(service.add_dataset("events", new_table(service)))
    service.kill()
    service.start()
    kept = service.call("GET", f"{AUDIT}?id={flow}").body["items"]
    assert [entry["operation"] for entry in kept] == [f"POST {FLOWS}/flows"]


def test_a_client_that_asks_too_often_is_told_to_wait(make: Callable[..., Offtake]) -> None:
    limits = {"OFFTAKE__LIMITS__REQUESTS_PER_SECOND": "1", "OFFTAKE__LIMITS__BURST": "5"}
    service = make(**limits).start()
    answers = [service.call("GET", f"{FLOWS}/flows") for _ in range(7)]
    assert [answer.status for answer in answers[:4]] == [200] * 4
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert int(refused[0].headers["retry-after"]) >= 1
    assert refused[0].body["report"]["additionalContext"]["code"] == "RATE_LIMITED"
    assert service.raw("GET", "/health/ready", None, {}).status == 200


def test_a_client_that_says_nothing_loses_its_connection(make: Callable[..., Offtake]) -> None:
    service = make(OFFTAKE__LIMITS__HEAD_TIMEOUT_SECS="1").start()
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as slow:
        slow.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\nx-slow: ")
        assert b"200 OK" not in slow.recv(1024)


def new_table(service: Offtake, name: str = "events") -> str:
    DeltaTable(service.data_dir / "lake" / name).append(100)
    return f"lake://default/{name}"


def test_quotas_refuse_flows_and_put_off_runs(service: Offtake) -> None:
    org = service.credentials()["org"]
    dataset = service.add_dataset("events", new_table(service))
    flow = service.make_flow(dataset)
    service.command("org", "quota", org, "--flows", "1", "--concurrent-runs", "1", "--bytes-per-day", "1")
    shown = service.command("org", "show").stdout
    assert "1 of 1" in shown, shown

    body = service.call("GET", f"{FLOWS}/flows/{flow}").body["items"][0]
    keys = ("name", "flowSpec", "sourceConnectionIds", "targetConnectionIds", "transformations", "scheduleParams")
    refused = service.call("POST", f"{FLOWS}/flows", {key: body[key] for key in keys})
    assert refused.status == 400, refused.text
    assert refused.body["report"]["additionalContext"]["code"] == "QUOTA_EXCEEDED"
    assert "has 1 flows and may have 1" in refused.body["detail"]

    service.wait_for_run(service.start_run(flow))
    usage = service.call("GET", f"{ORGANISATIONS}/{org}").body["usage"]
    assert usage["bytesToday"] > 1
    refused = service.call("POST", f"{FLOWS}/runs", {"flowId": flow})
    assert refused.status == 400, "today's bytes are used up"
    assert len(service.runs(flow)) == 1
    service.command("org", "quota", org, "--bytes-per-day", "none")
    service.wait_for_run(service.start_run(flow))


def test_a_scheduled_run_waits_while_its_organisation_has_had_its_bytes(service: Offtake) -> None:
    org = service.credentials()["org"]
    service.command("org", "quota", org, "--bytes-per-day", "0")
    past = {"interval": 3, "timeUnit": "hour", "startTime": 1_675_901_210}
    flow = service.make_flow(service.add_dataset("events", new_table(service)), schedule=past)
    run = service.first_run(flow)
    for _ in until(1):
        assert status(service.run(run)) in ("waiting", "processing", "inProgress"), service.run(run)
    service.command("org", "quota", org, "--bytes-per-day", "none")
    service.wait_for_run(run)


def s3_connection(service: Offtake, name: str) -> str:
    params = {"s3AccessKey": "AKIAIOSFODNN7EXAMPLE", "s3SecretKey": "s" * 40}
    auth = {"specName": "Access Key", "params": params}
    return service.create("connections", {"name": name, "auth": auth, "connectionSpec": {"id": S3, "version": "1.0"}})


def keeps_its_secret(service: Offtake, connection: str) -> bool:
    """An edit of the other parameter has to open what is stored."""
    path = f"{FLOWS}/connections/{connection}"
    etag = service.call("GET", path).body["items"][0]["etag"]
    change = [{"op": "replace", "path": "/auth/params/s3AccessKey", "value": "AKIAIOSFODNN7EXAMPL2"}]
    return service.call("PATCH", path, change, **{"If-Match": etag}).status == 200


def test_a_rotation_that_is_killed_loses_no_secret(make: Callable[..., Offtake]) -> None:
    service = make().start()
    connections = [s3_connection(service, f"c{number}") for number in range(60)]
    for pause in (0.0, 0.02, 0.1):
        with ThreadPoolExecutor(1) as asked:
            asked.submit(service.ask, "POST", "/offtake/v1/keys/rotate")
            time.sleep(pause)
            service.kill()
        service.start()
        assert keeps_its_secret(service, connections[0])
    service.command("keys", "rotate")
    service.command("keys", "retire")
    service.token = None
    keys = service.call("GET", "/offtake/v1/keys").body["items"]
    assert [(key["state"], key["secrets"]) for key in keys] == [("current", len(connections))]
    assert list(service.data_dir.glob("offtake.key.former.*")) == []
    assert all(keeps_its_secret(service, connection) for connection in connections)


def test_the_doctor_says_what_is_wrong(make: Callable[..., Offtake]) -> None:
    service = make().start()
    DeltaTable(service.data_dir / "lake" / "events").append(1)
    well = service.command("doctor")
    assert "FAIL" not in well.stdout, well.stdout
    assert "database: " in well.stdout
    assert "lake root default: answers" in well.stdout
    assert service.terminate() == 0
    (service.data_dir / "offtake.key").chmod(0o644)
    ill = service.command("doctor", check=False)
    assert ill.returncode == 1
    assert "FAIL  key: " in ill.stdout
    assert "FAIL  service: " in ill.stdout


def test_a_configuration_is_checked_without_starting(make: Callable[..., Offtake]) -> None:
    service = make()
    service.data_dir.mkdir(parents=True)
    (service.data_dir / "offtake.toml").write_text('[network]\nallow = ["10.0.0.0/8"]\n')
    assert service.command("config", "check").returncode == 0
    for wrong, told in (
        ("[servre]\n", "configuration"),
        ('[network]\nallow = ["everything"]\n', "network.allow"),
        ('[server]\ntrusted_proxies = ["me"]\n', "server.trusted_proxies"),
    ):
        (service.data_dir / "offtake.toml").write_text(wrong)
        checked = service.command("config", "check", check=False)
        assert checked.returncode == 1, wrong
        assert told in checked.stdout, checked.stdout


def test_room_on_the_disks_is_shown(service: Offtake) -> None:
    text = service.raw("GET", "/metrics", None, {}).text
    assert 'offtake_disk_free_bytes{place="data"} ' in text
    assert 'offtake_disk_size_bytes{place="landing-zone"} ' in text
