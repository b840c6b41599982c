"""Going down and coming back on request: orderly, soon, without losing or repeating a row."""

from __future__ import annotations

import time

from offtake import FLOWS, Offtake, until
from oracle import Watcher, check_exactly_once, check_folder, manifests, staged
from table import DeltaTable


def test_an_idle_service_stops_at_once(service: Offtake) -> None:
    begun = time.monotonic()
    assert service.terminate() == 0
    assert time.monotonic() - begun < 5


def test_a_busy_service_stops_in_time_and_goes_on_when_it_is_started_again(service: Offtake) -> None:
    table = DeltaTable(service.data_dir / "lake" / "many")
    table.append(120_000, files=12)
    flow = service.make_flow(service.add_dataset("many", "lake://default/many"), "JSON", "GZIP")
    with Watcher(service.zone) as watcher:
        run = service.start_run(flow)
        for _ in until(20, pause=0.01):
            if staged(service.zone):
                break
        assert service.terminate(timeout=30) == 0
        service.start()
        service.wait_for_run(run)

    found = manifests(service.zone)
    assert len(found) == 1 and len(service.runs(flow)) == 1
    check_exactly_once(found, range(120_000))
    check_folder(service.zone, found)
    watcher.check(found)


def test_requests_after_the_restart_find_everything_as_it_was(service: Offtake, table: DeltaTable) -> None:
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    run = service.start_run(flow)
    before = service.wait_for_run(run)
    flow_before = service.call("GET", f"{FLOWS}/flows/{flow}").body["items"][0]
    assert service.terminate() == 0
    service.start()
    assert service.run(run) == before
    assert service.call("GET", f"{FLOWS}/flows/{flow}").body["items"][0] == flow_before
    table.append(5)
    service.wait_for_run(service.start_run(flow))
    check_exactly_once(manifests(service.zone), range(1005))
