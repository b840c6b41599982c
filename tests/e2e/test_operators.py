"""What the operator of a shared service relies on: the audit log, limits, quotas."""

from __future__ import annotations

import socket
from collections.abc import Callable

from offtake import FLOWS, Offtake, status, until
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
