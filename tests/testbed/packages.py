"""The programs that are not Python: Debian packages when we may install them, npm packages by the committed lock.

What cannot be had is said in one line, with the way to get it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
from pathlib import Path

from bed import ROOT, Missing, environment, folder

HERE = Path(__file__).resolve().parent
NODE = ROOT / ".testbed" / "node"
# Servers start side by side, and two calls of apt-get lock each other out of the package lists.
INSTALLING = threading.Lock()
PATHS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def program(name: str) -> str | None:
    """Where the program lies."""
    return shutil.which(name, path=PATHS)


def need_programs(programs: list[str], packages: list[str]) -> None:
    """Installs the Debian packages unless the programs are there."""
    if all(program(name) for name in programs):
        return
    advice = f"`apt-get install --no-install-recommends {' '.join(packages)}`"
    if os.geteuid() != 0:
        raise Missing(f"not installed, and only root may install it: {advice}")
    if not program("apt-get"):
        raise Missing("not installed, and there is no apt-get here: it is had from Debian 12")
    forbid_daemons()
    log = folder("log") / "apt.log"
    with INSTALLING, log.open("ab") as out:
        for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
            call = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *step]
            told = environment(DEBIAN_FRONTEND="noninteractive")
            if subprocess.run(call, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=told, check=False).returncode:
                raise Missing(f"not installed, and {advice} failed: see {log}")


def forbid_daemons() -> None:
    """No package may start its own daemon while it is installed; an answer that somebody gave stays."""
    policy = Path("/usr/sbin/policy-rc.d")
    if not policy.exists():
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)


def node_modules() -> Path:
    """The npm packages of the lock file, installed when it changed; none of their scripts is run."""
    if not program("node") or not program("npm"):
        raise Missing("needs Node.js 20 with npm: `apt-get install nodejs npm`")
    lock = HERE / "package-lock.json"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp = NODE / "made-from"
    if not stamp.exists() or stamp.read_text() != wanted:
        NODE.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(HERE / name, NODE / name)
        log = folder("log") / "npm.log"
        call = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        with log.open("ab") as out:
            done = subprocess.run(call, cwd=NODE, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)
        if done.returncode:
            raise Missing(f"npm could not install tests/testbed/package-lock.json: see {log}")
        stamp.write_text(wanted)
    return NODE / "node_modules"
