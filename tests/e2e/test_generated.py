"""Requests that nobody wrote: generated from our own OpenAPI document, alone and in sequences.

What is found here is answers that the document doesn't know, failures of the server, and doors without a lock. Whether
the document is right about the documented shapes is asked elsewhere (test_shapes.py).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from offtake import Offtake

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
]

# Calls of the long run.
MANY = 20_000


def calls(service: Offtake) -> int:
    """Requests answered so far, by the service's own count."""
    text = service.raw("GET", "/metrics", None, {}).text
    return sum(int(n) for n in re.findall(r"^offtake_http_requests_total\{[^}]*\} (\d+)$", text, re.MULTILINE))


def generate(service: Offtake, folder: Path, *options: str) -> None:
    """Lets schemathesis call every operation; its words are shown when it finds something."""
    headers = [text for name, value in service.headers().items() for text in ("-H", f"{name}: {value}")]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json"),
            *("--checks", ",".join(CHECKS), "--continue-on-failure", "--no-shrink", "--warnings", "off"),
            *("--request-timeout", "30", *headers, *options),
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-4_000:] + service.logs()[-4_000:]


def test_generated_requests_find_no_failure_and_no_answer_that_the_document_lacks(
    service: Offtake, tmp_path: Path
) -> None:
    before = calls(service)
    generate(service, tmp_path, "--max-examples", "1", "--seed", "1", "--phases", "examples,coverage,stateful")
    assert calls(service) - before > 1_000
    assert service.alive()


@pytest.mark.deep
def test_twenty_thousand_generated_requests_find_nothing(service: Offtake, tmp_path: Path) -> None:
    before = calls(service)
    for seed in range(1, 50):
        service.token = None
        generate(service, tmp_path, "--max-examples", "40", "--seed", str(seed))
        if calls(service) - before > MANY:
            return
    raise AssertionError(f"only {calls(service) - before} calls were made")
