"""Where the test bed keeps what it must remember, and the processes it started.

Everything lies under `.testbed/bed` of the checkout. A process is remembered by its id and its start time, so that a
recycled id is never taken for it. The one law: only processes started here are ended here.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BED = ROOT / ".testbed" / "bed"
VENV = ROOT / ".testbed" / "venv"

START_SECS = 60
STOP_SECS = 10

# Below the ports that systems give to outgoing connections, so that nothing takes one by chance.
PORTS = range(20_000, 32_000)


class Missing(Exception):
    """A server cannot be run here; the text says what is missing and how to get it."""


def folder(*names: str) -> Path:
    """A folder of the bed, made when it is not there."""
    path = BED.joinpath(*names)
    path.mkdir(parents=True, exist_ok=True)
    return path


def port(name: str) -> int:
    """The port of that name: as recorded, otherwise a free one that is recorded from now on."""
    record = BED / "ports" / name
    if record.exists():
        return int(record.read_text())
    folder("ports")
    taken = {path.read_text() for path in (BED / "ports").iterdir()}
    for _ in range(1000):
        number = random.choice(PORTS)
        if str(number) not in taken and is_free(number):
            record.write_text(str(number))
            return number
    raise RuntimeError("no free port on 127.0.0.1")


def is_free(number: int) -> bool:
    """Whether nobody listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True


def environment(**more: str) -> dict[str, str]:
    """The environment for servers and clients: nothing in it steers a call on loopback to the outside."""
    steering = {"aws_ca_bundle", "requests_ca_bundle", "curl_ca_bundle", "http_proxy", "https_proxy", "all_proxy"}
    kept = {name: value for name, value in os.environ.items() if name.lower() not in steering}
    return kept | {"NO_PROXY": "127.0.0.1,localhost"} | more


class Process:
    """A server's process, which may have been started by an earlier call."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.record = BED / "run" / f"{name}.json"
        self.log = folder("log") / f"{name}.log"

    def known(self) -> int | None:
        """Its id, when it lives and is the one that was started here."""
        try:
            noted = json.loads(self.record.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return noted["pid"] if noted["born"] == born(noted["pid"]) else None

    def start(self, *command: str | Path, **settings: str) -> None:
        """Starts it, apart from this terminal."""
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(**settings),
                cwd=folder("log"),
                start_new_session=True,
            )
        folder("run")
        self.record.write_text(json.dumps({"pid": started.pid, "born": born(started.pid)}))

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Waits until it answers; gives up when it died."""
        end = time.monotonic() + START_SECS
        while not ready():
            if self.known() is None:
                raise RuntimeError(f"{self.name} died: {self.last_words()}")
            if time.monotonic() > end:
                raise RuntimeError(f"{self.name} did not answer within {START_SECS} s, see {self.log}")
            time.sleep(0.05)

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-600:].strip()

    def end(self) -> None:
        """Asks it to end, and makes it when it doesn't."""
        for sign, patience in ((signal.SIGTERM, STOP_SECS), (signal.SIGKILL, STOP_SECS)):
            pid = self.known()
            if pid is None:
                break
            os.kill(pid, sign)
            end = time.monotonic() + patience
            while self.known() is not None and time.monotonic() < end:
                time.sleep(0.02)
        self.record.unlink(missing_ok=True)


def born(pid: int) -> str | None:
    """The start time of a process, in ticks since boot; nothing for one that is gone or only waits to be reaped."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if words[0] in "ZX" else words[19]


def listens(number: int) -> bool:
    """Whether somebody accepts connections on the port."""
    try:
        socket.create_connection(("127.0.0.1", number), timeout=1).close()
    except OSError:
        return False
    return True
