"""Runs a program and counts what it and all that it started took."""

import json
import subprocess
import sys

# Measured from a small process of its own: a child's peak begins with its parent's size. It also waits for whatever the
# program leaves behind, a virtual machine or a worker that ends after its service, which would go uncounted else.
COUNT = """
import ctypes, json, os, resource, subprocess, sys, time

SUBREAPER = 36
ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
begun = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
wall = time.monotonic() - begun
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
used = resource.getrusage(resource.RUSAGE_CHILDREN)
counted = {"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1000}
print(json.dumps(counted | {"failed": done.stderr.decode(errors="replace") if done.returncode else ""}))
"""


def run(command, environment):
    """Wall time, processor time and the peak of the largest process. RuntimeError with what a program said that failed."""
    wrapped = [sys.executable, "-B", "-c", COUNT, *command]
    counted = json.loads(subprocess.run(wrapped, env=environment, stdout=subprocess.PIPE, check=True).stdout)
    failed = counted.pop("failed")
    if failed:
        raise RuntimeError(failed)
    return counted
