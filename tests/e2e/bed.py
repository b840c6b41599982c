"""The servers of the test bed, as `cargo xtask testbed env` tells them.

A server that could not be had is said by the command that starts the bed; the tests that need it are skipped here.
"""

from __future__ import annotations

import os

import pytest

PREFIX = "OFFTAKE_TESTBED_"

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
