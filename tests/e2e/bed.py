"""The servers of the test bed, as `cargo xtask testbed env` tells them.

A server that could not be had is said by the command that starts the bed; the tests that need it are skipped here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from offtake import until

PREFIX = "OFFTAKE_TESTBED_"
PEERS = Path(__file__).resolve().parents[1] / "testbed" / "peers"

# Starts a peer of the test's own and gives its port.
Start = Callable[..., int]

# A bundle or a proxy meant for the outside must not catch a call on loopback.
for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
    os.environ.pop(name, None)


def known(name: str) -> str | None:
    """What the bed says of it, if that server runs."""
    return os.environ.get(PREFIX + name)


def need(name: str) -> str:
    """What the bed says of it; the test is skipped where that server could not be had."""
    value = known(name)
    if value is None:
        pytest.skip(f"the test bed has no {name} here: cargo xtask testbed up")
    return value


def start_peer(log: Path, script: str, *options: str) -> tuple[subprocess.Popen[bytes], int]:
    """Starts a peer on a free port and waits until it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    call = [sys.executable, "-B", str(PEERS / script), "--port", str(port), *options]
    with log.open("wb") as out:
        process = subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    for _ in until(30):
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
    process.kill()
    raise AssertionError(f"{script} does not listen: {log.read_text()}")
