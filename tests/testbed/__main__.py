"""The test bed: every server that offtake delivers to or reads from, on loopback.

    up      starts what does not run and waits until each answers
    down    ends what was started here
    status  one line a server
    env     the variables that tests need, as lines for a shell

Called by `cargo xtask testbed`, which makes the Python environment first. One line a server goes to standard output:
`NAME: started in 2.1 s`, `NAME: was up`, `NAME: not run: WHY` or `NAME: FAILED: WHY`.
"""

from __future__ import annotations

import fcntl
import shlex
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from bed import BED, Missing, folder
from servers.adls import Adls
from servers.blob import Azurite
from servers.gcs import GcsGate
from servers.s3 import Moto, Radosgw
from servers.sftp import OddPeer, OpenSsh


class Server(Protocol):
    """One server of the bed."""

    name: str

    def up(self) -> bool: ...
    def start(self) -> None: ...
    def end(self) -> None: ...
    def variables(self) -> dict[str, str]: ...


def stages() -> list[list[Server]]:
    """All of them; those of a stage stand in front of one of an earlier stage."""
    return [[Moto(), Radosgw(), Azurite(), Adls(), OpenSsh(), OddPeer()], [GcsGate()]]


def servers() -> list[Server]:
    """All of them in one list."""
    return [server for stage in stages() for server in stage]


def start(server: Server) -> str:
    """Starts a server and says how that went."""
    if server.up():
        return "was up"
    begun = time.monotonic()
    try:
        server.start()
    except Missing as why:
        return f"not run: {why}"
    except Exception as why:
        server.end()
        return "FAILED: " + " ".join(str(why).split())
    return f"started in {time.monotonic() - begun:.1f} s"


def up() -> bool:
    """Starts all of them side by side. False when one failed."""
    well = True
    for stage in stages():
        with ThreadPoolExecutor(len(stage)) as pool:
            went = list(pool.map(start, stage))
        for server, words in zip(stage, went, strict=True):
            print(f"{server.name}: {words}", flush=True)
            well = well and not words.startswith("FAILED")
    return well


def down() -> bool:
    """Ends all of them."""
    bed = servers()
    with ThreadPoolExecutor(len(bed)) as pool:
        list(pool.map(lambda server: server.end(), bed))
    return True


def status() -> bool:
    """Says of each whether it runs."""
    for server in servers():
        print(f"{server.name}: {'up' if server.up() else 'down'}")
    return True


def env() -> bool:
    """Prints what tests must know of those that run."""
    known: dict[str, str] = {}
    for server in servers():
        if server.up():
            known |= server.variables()
    for name, value in known.items():
        print(f"export OFFTAKE_TESTBED_{name}={shlex.quote(value)}")
    return True


VERBS = {"up": up, "down": down, "status": status, "env": env}


def main() -> int:
    """Carries out one verb, one caller at a time."""
    verb = VERBS.get(sys.argv[1]) if len(sys.argv) == 2 else None
    if verb is None:
        print(__doc__, file=sys.stderr)
        return 2
    folder()
    with (BED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return 0 if verb() else 1


if __name__ == "__main__":
    sys.exit(main())
