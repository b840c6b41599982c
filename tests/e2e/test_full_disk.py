"""A destination without room: the delivery waits with a code and advice, and goes on when there is room again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from offtake import FLOWS, Offtake, status, until
from oracle import check_exactly_once, check_files, check_folder, manifests, visible
from table import DeltaTable

SMALL, LARGE = "1m", "64m"
ROWS = 20_000


def small_disk(zone: Path) -> tuple[str, ...]:
    """A program that runs another one with a small file system of its own at that place."""
    mount = f'mount -t tmpfs -o size={SMALL} tmpfs "{zone}" && exec "$@"'
    return ("unshare", "--mount", "--map-root-user", "sh", "-c", mount, "small-disk")


def possible(zone: Path) -> bool:
    """Whether this machine lets us have a file system of our own."""
    try:
        return subprocess.run([*small_disk(zone), "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def test_a_full_disk_is_waited_out(make: Callable[..., Offtake]) -> None:
    service = make(OFFTAKE__DELIVERY__RETRY_SECS="1")
    service.zone.mkdir(parents=True)
    service.data_dir.chmod(0o700)
    if not possible(service.zone):
        pytest.skip("this machine does not let us mount a small file system for a full disk")
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(ROWS, files=4)
    service.start(within=small_disk(service.zone))
    pid = service.process.pid
    seen = Path(f"/proc/{pid}/root") / service.zone.relative_to("/")
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))

    run = service.start_run(flow)
    for _ in until(60):
        if "DESTINATION_FULL" in json.dumps(service.run(run)):
            break
    waiting = service.run(run)
    assert "DESTINATION_FULL" in json.dumps(waiting), json.dumps(waiting, indent=1) + service.logs()[-4000:]
    assert status(waiting) in ("waiting", "processing")
    assert visible(seen) == set() and manifests(seen) == []
    assert service.call("GET", f"{FLOWS}/flows").status == 200, "the service is up"

    enter = ["nsenter", "--target", str(pid), "--mount", "--user", "--preserve-credentials"]
    subprocess.run([*enter, "mount", "-o", f"remount,size={LARGE}", str(service.zone)], check=True)
    service.wait_for_run(run)
    found = manifests(seen)
    for delivered in found:
        check_files(delivered)
    check_exactly_once(found, range(ROWS))
    check_folder(seen, found)
