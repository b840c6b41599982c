"""`offtake verify`: says yes to what was delivered, and what is wrong with anything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from offtake import Offtake
from oracle import Delivered, manifests
from table import DeltaTable

FORMATS = [("JSON", "NONE"), ("JSON", "GZIP"), ("PARQUET", "NONE"), ("PARQUET", "GZIP")]


def deliver(service: Offtake, file_type: str, compression: str) -> Delivered:
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"), file_type, compression)
    service.wait_for_run(service.start_run(flow))
    return manifests(service.zone)[-1]


def verify(service: Offtake, manifest: Path) -> tuple[int, dict]:
    done = service.command("--json", "verify", str(manifest), check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize(("file_type", "compression"), FORMATS)
def test_each_kind_of_damage_has_its_own_answer(
    service: Offtake, table: DeltaTable, file_type: str, compression: str
) -> None:
    delivered = deliver(service, file_type, compression)
    file, manifest = delivered.files()[0], delivered.path
    whole, text = file.read_bytes(), manifest.read_bytes()
    assert verify(service, manifest) == (0, verify(service, manifest)[1] | {"verified": True})

    file.write_bytes(whole[:-1])
    truncated, said = verify(service, manifest)
    assert said["verified"] is False

    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    flipped, said = verify(service, manifest)
    assert said["verified"] is False

    file.write_bytes(whole)
    rows = delivered.body["files"][0]["rows"]
    changed_text = text.replace(f'"rows":{rows}'.encode(), f'"rows":{rows + 1}'.encode())
    assert changed_text != text
    manifest.write_bytes(changed_text)
    changed, said = verify(service, manifest)
    assert said["verified"] is False

    manifest.write_bytes(text)
    file.unlink()
    missing, said = verify(service, manifest)
    assert said["verified"] is False

    codes = [truncated, flipped, changed, missing]
    assert 0 not in codes and 1 not in codes and 2 not in codes
    assert len(set(codes)) == len(codes), codes


def test_a_wrong_row_count_is_noticed_even_when_the_manifest_is_otherwise_consistent(
    service: Offtake, table: DeltaTable
) -> None:
    delivered = deliver(service, "JSON", "NONE")
    body = delivered.body
    body["files"][0]["rows"] += 1
    body["totalRows"] += 1
    delivered.path.write_text(json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    code, said = verify(service, delivered.path)
    assert code not in (0, 1, 2) and said["verified"] is False


def test_a_manifest_cannot_send_verify_out_of_its_folder(service: Offtake, table: DeltaTable) -> None:
    delivered = deliver(service, "JSON", "NONE")
    body = delivered.body
    body["files"][0]["key"] = "../../../../../../../../etc/passwd"
    delivered.path.write_text(json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    code, said = verify(service, delivered.path)
    assert code != 0 and said["verified"] is False
    assert "root:" not in json.dumps(said)


def test_verify_needs_no_service(service: Offtake, table: DeltaTable) -> None:
    delivered = deliver(service, "PARQUET", "GZIP")
    assert service.terminate() == 0
    assert verify(service, delivered.path)[0] == 0


def test_a_manifest_that_is_not_there_is_a_failure_of_the_command(service: Offtake) -> None:
    done = service.command("verify", str(service.zone / "nothing.manifest"), check=False)
    assert done.returncode == 1
    assert "nothing.manifest" in done.stderr
