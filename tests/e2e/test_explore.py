"""Looking into destinations: folders and files, one level at a time, on every platform."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bucket import Bucket
from offtake import FLOWS, LANDING_ZONE, Answer, Destination, Offtake
from places import place_of as place_of
from places import trusting
from store import Store
from table import DeltaTable

ROWS = 100


@pytest.fixture
def service(make: Callable[..., Offtake]) -> Offtake:
    """A running service that may speak to the bed."""
    started = make(**trusting()).start()
    DeltaTable(started.data_dir / "lake" / "events").append(ROWS)
    return started


def ask(service: Offtake, path: str, folder: str | None = None) -> Answer:
    """The call; without a folder it asks for the top."""
    what = "objectType=ROOT" if folder is None else f"objectType=folder&object={urllib.parse.quote(folder)}"
    return service.call("GET", f"{FLOWS}{path}/explore?{what}")


def explore(service: Offtake, path: str, folder: str | None = None) -> list[dict[str, Any]]:
    """What the call shows."""
    answer = ask(service, path, folder)
    assert answer.status == 200, answer.text
    return answer.body


def names(entries: list[dict[str, Any]]) -> list[str]:
    """Paths below the top, in the order shown."""
    return [entry["path"] for entry in entries]


def deliver(service: Offtake, to: Destination, path: str) -> tuple[str, str]:
    """Delivers into a folder, and gives the base connection and the dataset."""
    dataset = service.add_dataset("events", "lake://default/events")
    flow = service.make_flow(dataset, path=path, to=to)
    service.wait_for_run(service.start_run(flow))
    target = service.call("GET", f"{FLOWS}/targetConnections").body["items"][0]
    return f"/connections/{target['baseConnectionId']}", dataset


def code_of(answer: Answer) -> str:
    """The code of a refusal."""
    return answer.body["report"]["additionalContext"]["code"]


def test_a_landing_zone_is_shown_by_connection_and_by_spec(service: Offtake) -> None:
    base, _ = deliver(service, Destination(), "out")
    for path in (base, f"/connectionSpecs/{LANDING_ZONE}"):
        (top,) = explore(service, path)
        assert top == {"type": "folder", "name": "out", "path": "/out/", "canPreview": False, "canFetchSchema": False}
        assert "_offtake" in {entry["name"] for entry in explore(service, path, "/out/")}


def check_containers(service: Offtake, to: Destination, container: str, missing: str) -> None:
    """Their topmost folders are the buckets or containers that target connections name."""
    base, dataset = deliver(service, to, "in")
    (root,) = explore(service, base)
    assert (root["type"], root["path"]) == ("folder", f"/{container}/")
    assert names(explore(service, base, root["path"])) == [f"/{container}/in/"]
    below = explore(service, base, f"/{container}/in/")
    assert {entry["name"] for entry in below} == {"_offtake", dataset}
    for bad in ("objectType=FILE&object=/x", "objectType=folder&object=/../x", ""):
        assert service.call("GET", f"{FLOWS}{base}/explore?{bad}").status == 400
    assert code_of(ask(service, base, f"/{missing}/")) == "DESTINATION_BUCKET_MISSING"


def test_a_bucket_is_shown(service: Offtake, bucket: Bucket) -> None:
    check_containers(service, bucket.destination(), bucket.name, "no-such-bucket")


def test_a_container_of_azure_is_shown(service: Offtake, place_of: Callable[[str], Any]) -> None:
    container = place_of("blob")
    check_containers(service, container.destination(), container.name, "no-such-container")
    narrow = container.destination(connectionString=container.sas_string("rcwd"))
    base = service.create_base(narrow)
    refused = ask(service, f"/connections/{base}", f"/{container.name}/")
    assert code_of(refused) == "DESTINATION_DENIED", refused.text
    assert "sig=" not in refused.text


def test_a_file_system_of_azure_is_shown(service: Offtake, place_of: Callable[[str], Any]) -> None:
    lake = place_of("adls")
    base, dataset = deliver(service, lake.destination(), "in/é a")
    assert names(explore(service, base)) == ["/in/"]
    assert names(explore(service, base, "/in/")) == ["/in/é a/"]
    assert set(names(explore(service, base, "/in/é a/"))) == {f"/in/é a/{dataset}/", "/in/é a/_offtake/"}
    assert explore(service, base, "/nothing/") == []
    wrong = service.create_base(lake.destination(servicePrincipalKey="hunter2"))
    refused = ask(service, f"/connections/{wrong}")
    assert code_of(refused) == "DESTINATION_KEYS_INVALID" and "hunter2" not in refused.text


def test_more_than_a_page_is_cut_off(service: Offtake, place_of: Callable[[str], Any]) -> None:
    lake = place_of("adls")
    base = service.create_base(lake.destination())
    top: Path = lake.root
    (top / "many" / "folder").mkdir(parents=True)
    for number in range(1_200):
        (top / "many" / f"{number:04}").touch()
    found = explore(service, f"/connections/{base}", "/many/")
    assert len(found) == 1_000
    assert [entry["name"] for entry in found[:2]] == ["0000", "0001"]


def test_an_sftp_account_is_shown(service: Offtake, place_of: Callable[[str], Store]) -> None:
    remote = place_of("sftp-key")
    base = f"/connections/{service.create_base(remote.destination())}"
    assert explore(service, base, f"/{remote.name}/é a/") == []
    base, dataset = deliver(service, remote.destination(), "é a")
    below = f"/{remote.name}/é a"
    assert f"/{remote.name}/" in names(explore(service, base))
    assert names(explore(service, base, f"/{remote.name}/")) == [f"{below}/"]
    assert set(names(explore(service, base, below))) == {f"{below}/{dataset}/", f"{below}/_offtake/"}
    before = names(explore(service, base, f"{below}/{dataset}"))
    assert len(before) == 1
    remote.client.open(f"{below[1:]}/{dataset}/.hidden.part", "wb").close()
    assert names(explore(service, base, f"{below}/{dataset}")) == before
