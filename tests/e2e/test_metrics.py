"""What the service counts, in the form that Prometheus scrapes."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from offtake import FLOWS, Offtake
from table import DeltaTable

LINE = re.compile(r"^(?:# (?:HELP|TYPE) .+|[a-z_]+(?:\{[^ ]*\})? [0-9.e+-]+)$")


def test_a_delivery_is_counted_and_no_name_of_a_tenant_is_shown(service: Offtake, table: DeltaTable) -> None:
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    service.wait_for_run(service.start_run(flow))

    text = service.raw("GET", "/metrics", None, {}).text
    wrong = [line for line in text.splitlines() if line and not LINE.match(line)]
    assert not wrong, wrong
    assert 'offtake_deliveries_ended_total{state="succeeded"} 1' in text
    assert f"offtake_delivered_rows_total {table.next_row}" in text
    assert f'route="{FLOWS}/flows",status="201"' in text
    for name in (*service.credentials().values(), flow, "events"):
        assert name not in text


def test_promtool_has_nothing_to_say(service: Offtake, table: DeltaTable) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool; Debian's package `prometheus` has it")
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    service.wait_for_run(service.start_run(flow))
    gone = DeltaTable(service.data_dir / "lake" / "gone")
    gone.append(1)
    fails = service.make_flow(service.add_dataset("gone", "lake://default/gone"), path="gone")
    shutil.rmtree(gone.path)
    service.wait_for_run(service.start_run(fails), "failed")
    service.ask_for_token(client_secret="wrong")
    text = service.raw("GET", "/metrics", None, {}).text
    assert text.count("# TYPE ") > 10, text
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", ""), text

