"""Deliveries in quarantine, settled by a person.

Nothing that a test can do from outside puts one there, so the row is written as the service would have: a delivery that
was killed behind its point of no return, and could not go on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

import pytest

from offtake import Offtake, error_codes
from oracle import check_exactly_once, check_files, check_tiled, manifests
from table import DeltaTable


def quarantine(service: Offtake) -> None:
    """Puts the one open delivery into quarantine, while no service runs."""
    fault = {"version": 1, "value": {"code": "QUARANTINED", "message": "a test put it there"}}
    with sqlite3.connect(service.data_dir / "offtake.db") as db:
        done = db.execute(
            "UPDATE delivery SET state = 'quarantined', fault = ?, lease_owner = NULL, lease_expires_at = NULL"
            " WHERE state = 'manifesting'",
            [json.dumps(fault)],
        )
    assert done.rowcount == 1


@pytest.mark.parametrize("decision", ["--retry", "--give-up"])
def test_a_quarantined_delivery_goes_on_or_is_given_up(make: Callable[..., Offtake], decision: str) -> None:
    service = make()
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(100, files=2)
    service.start()
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    service.terminate()
    service.start(failpoints="after-point-of-no-return=kill")
    service.ask_for_run(flow)
    service.wait_for_death()
    quarantine(service)
    service.start()
    (run,) = service.runs(flow)
    assert "QUARANTINED" in error_codes(service.wait_for_run(run["id"], expect="failed"))
    waiting = service.start_run(flow)

    service.command("runs", "resolve", run["id"], decision)

    service.wait_for_run(run["id"], expect="success" if decision == "--retry" else "failed")
    service.wait_for_run(waiting)
    found = manifests(service.zone)
    assert len(found) == (2 if decision == "--retry" else 1)
    for delivered in found:
        check_files(delivered)
    check_exactly_once(found, range(100))
    check_tiled(found)
    again = service.command("runs", "resolve", run["id"], decision, check=False)
    assert again.returncode == 1 and "RUN_ACTION_NOT_ALLOWED" in again.stderr
    assert service.command("runs", "resolve", run["id"], check=False).returncode == 2
    assert "/runs/{id}/action" in service.command("audit").stdout
