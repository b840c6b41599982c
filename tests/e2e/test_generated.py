"""Requests that nobody wrote: generated from our own OpenAPI document, alone and in sequences.

What is found here is answers that the document doesn't know, failures of the server, and doors without a lock. Whether
the document is right about the documented shapes is asked elsewhere (test_shapes.py).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
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

# Ends the token that the calls are made with, when the keys were changed before: left for the end.
RETIRE = "/offtake/v1/keys/retire"


def answers(service: Offtake) -> Counter[str]:
    """Requests answered so far by status, by the service's own count."""
    text = service.raw("GET", "/metrics", None, {}).text
    found = re.findall(r'^offtake_http_requests_total\{[^}]*status="(\d+)"[^}]*\} (\d+)$', text, re.MULTILINE)
    counted: Counter[str] = Counter()
    for status, n in found:
        counted[status] += int(n)
    return counted


def generate(service: Offtake, folder: Path, *options: str) -> None:
    """Lets schemathesis call every operation; its words are shown when it finds something."""
    headers = [text for name, value in service.headers().items() for text in ("-H", f"{name}: {value}")]
    alone = ("--include-path", RETIRE, "--phases", "coverage,fuzzing")
    for paths in (("--exclude-path", RETIRE), alone):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json"),
                *("--checks", ",".join(CHECKS), "--continue-on-failure", "--no-shrink", "--warnings", "off"),
                *("--request-timeout", "30", *headers, *options, *paths),
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
    generate(service, tmp_path, "--max-examples", "1", "--seed", "1", "--phases", "examples,coverage,stateful")
    assert answers(service).total() > 1_000
    assert service.alive()


@pytest.mark.deep
def test_twenty_thousand_generated_requests_find_nothing(make: Callable[..., Offtake], tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed in range(1, 50):
        # A service of its own: the requests of the seed before have changed everybody's secrets.
        service = make(f"data{seed}").start()
        generate(service, tmp_path, "--max-examples", "40", "--seed", str(seed))
        assert service.alive()
        seen += answers(service)
        assert service.terminate() == 0
        print(f"\nseed {seed}: {seen.total()} calls so far, by status {dict(sorted(seen.items()))}", flush=True)
        if seen.total() > MANY:
            break
    assert seen.total() > MANY, f"only {seen.total()} calls were made"
    # Most is refused for its body, as it should be; but not everything, and not for who asks.
    good = sum(n for status, n in seen.items() if status.startswith("2"))
    assert good > seen.total() / 20, seen
    assert not [status for status in seen if status.startswith("5")], seen
