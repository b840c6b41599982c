"""Batch ingestion as the documentation tells it, over a running service."""

from __future__ import annotations

import json
from typing import Any

from offtake import CATALOG, Answer, Offtake, until

IMPORT = "/data/foundation/import"
EXPORT = "/data/foundation/export"

ENDED = ("success", "failed", "aborted", "inactive")


def new_dataset(service: Offtake, name: str = "orders") -> str:
    """Makes a managed dataset."""
    answer = service.call("POST", f"{CATALOG}/dataSets", {"name": name})
    assert answer.status == 201, answer.text
    return answer.body[0].removeprefix("@/dataSets/")


def new_batch(service: Offtake, dataset: str, form: dict[str, Any] | None = None, **fields: Any) -> str:
    """Makes a batch; JSON unless told otherwise."""
    body = {"datasetId": dataset, "inputFormat": form or {"format": "json"}} | fields
    answer = service.call("POST", f"{IMPORT}/batches", body)
    assert answer.status == 201, answer.text
    assert answer.body["status"] == "loading", answer.text
    return answer.body["id"]


def file_path(batch: str, dataset: str, name: str) -> str:
    """The path of a file of a batch."""
    return f"{IMPORT}/batches/{batch}/datasets/{dataset}/files/{name}"


def send(service: Offtake, method: str, path: str, data: bytes, **headers: str) -> Answer:
    """Bytes as they are."""
    given = service.headers() | {"Content-Type": "application/octet-stream"} | headers
    return service.raw(method, path, data, given)


def put(service: Offtake, batch: str, dataset: str, name: str, data: bytes | str) -> Answer:
    """Uploads a whole file."""
    raw = data.encode() if isinstance(data, str) else data
    return send(service, "PUT", file_path(batch, dataset, name), raw)


def act(service: Offtake, batch: str, action: str) -> Answer:
    """An action on a batch."""
    return service.call("POST", f"{IMPORT}/batches/{batch}?action={action}")


def batch_of(service: Offtake, batch: str) -> dict[str, Any]:
    """The batch as the catalogue shows it."""
    answer = service.call("GET", f"{CATALOG}/batches/{batch}")
    assert answer.status == 200, answer.text
    return answer.body[batch]


def wait(service: Offtake, batch: str, expect: str = "success", timeout: float = 60) -> dict[str, Any]:
    """Waits until the batch has ended, and demands that it ended so."""
    seen: dict[str, Any] = {}
    for _ in until(timeout):
        seen = batch_of(service, batch)
        if seen["status"] in ENDED:
            break
    assert seen["status"] == expect, f"{json.dumps(seen, indent=1)}\n{service.logs()[-4000:]}"
    return seen


def ingest(service: Offtake, dataset: str, files: dict[str, bytes | str], form: dict[str, Any] | None = None,
           expect: str = "success", **fields: Any) -> str:
    """A whole batch of files, until it has ended."""
    batch = new_batch(service, dataset, form, **fields)
    for name, data in files.items():
        answer = put(service, batch, dataset, name, data)
        assert answer.status == 201, answer.text
    answer = act(service, batch, "COMPLETE")
    assert answer.status == 200, answer.text
    wait(service, batch, expect)
    return batch


def lines(rows: list[dict[str, Any]]) -> str:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def preview(service: Offtake, dataset: str) -> list[dict[str, Any]]:
    """The first rows of a dataset."""
    answer = service.call("GET", f"{EXPORT}/datasets/{dataset}/preview")
    assert answer.status == 200, answer.text
    return answer.body["data"]
