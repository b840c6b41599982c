"""Where the time of each kind of work goes: flame graphs, the share of each stage, and what this machine could do.

Usage: python flame.py <offtake's convert> <folder for data> <folder for results> [--quick]

Needs `perf` (Debian's linux-perf) and `inferno` (`cargo install inferno`). Samples are of processor time, in the
process itself; a frame belongs to the innermost stage that it or its callers name.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter

from run import COPY, THREADS, WORKS, convert, describe, prepare

# What a frame's name must say to be of a stage; the innermost frame that says anything decides.
STAGES = [
    ("compress", r"libdeflate|offtake_encode::deflate|offtake_encode::gzip|pages::(codec|gzip)|zlib_rs::deflate|crc32|crc_fast"),
    ("digest", r"sha256|SHA256|aws_lc.*digest|EVP_Digest|sha2"),
    ("decode", r"parquet::|arrow_.*::|snap::|zlib_rs::inflate|zstd|offtake_encode::decode|offtake_encode::pages"),
    ("encode", r"offtake_encode::json|offtake_encode::output|offtake_encode::encoder|offtake_encode::parquet|ryu|itoa|zmij"),
    ("read, write", r"ksys_read|ksys_write|vfs_|pread|pwrite|__libc_read|__libc_write|\bread\b|\bwrite\b|copy_file_range|fsync"),
    ("memory", r"clear_page|page_fault|mimalloc|_mi_|mi_|madvise|munmap|mmap"),
]


def main():
    options = parse()
    os.makedirs(options.results, exist_ok=True)
    lines = [f"# Where processor time goes: offtake {describe()['commit']}", ""]
    lines += ["What the machine does at most, one processor, measured in the same run:", ""]
    lines += ["| | GB/s |", "|---|---|"]
    lines += [f"| {what} | {rate:.1f} |" for what, rate in limits(options.data)]
    lines += ["", "Shares of samples, in percent; the flame graphs stand beside this file. Rates are bytes of the source's files"]
    lines += ["read, and of the new files written, in a second of processor time.", ""]
    names = [name for name, _ in STAGES] + ["rest"]
    lines += ["| rows | form | " + " | ".join(names) + " | reads MB/s | writes MB/s |", "|---|---|" + "---|" * (len(names) + 2)]
    for name, form in [COPY, *WORKS]:
        shares, read, written = sample(options, name, form)
        whole = sum(shares.values())
        told = " | ".join(f"{100 * shares[stage] / whole:.0f}" for stage in names)
        lines.append(f"| {name} | {form} | {told} | {read:.0f} | {written:.0f} |")
        print(lines[-1], flush=True)
        with open(os.path.join(options.results, "README.md"), "w") as file:
            file.write("\n".join(lines) + "\n")


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("convert")
    parser.add_argument("data")
    parser.add_argument("results")
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def limits(folder):
    """The rates of copying in memory, and of reading and writing files that stay in the page cache."""
    size, piece = 1 << 30, 1 << 20
    block = bytearray(os.urandom(piece)) * 256

    def timed(work, rounds=4):
        best = min(_seconds(work) for _ in range(rounds))
        return size / best / 1e9

    def copied():
        for _ in range(size // len(block)):
            bytes(block)

    path = os.path.join(folder, "limits")

    def wrote():
        with open(path, "wb", buffering=0) as file:
            for at in range(size // piece):
                file.write(memoryview(block)[(at % 256) * piece : (at % 256 + 1) * piece])

    def read():
        room = bytearray(piece)
        with open(path, "rb", buffering=0) as file:
            while file.readinto(room):
                pass

    rates = [("memory copied", timed(copied)), ("files written", timed(wrote)), ("files read", timed(read))]
    os.remove(path)
    return rates


def _seconds(work):
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def sample(options, name, form):
    source, _, written = prepare(options, name, form)
    target = os.path.join(options.data, "out", "flame")
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    command = [options.convert, source, target, written, str(THREADS)]
    plain = convert(command, target)
    shutil.rmtree(target)
    taken = os.path.join(options.data, "perf.data")
    record = ["perf", "record", "-q", "-F", "199", "--call-graph", "dwarf,8192", "-o", taken, "--"]
    subprocess.run(record + command, check=True, stdout=subprocess.DEVNULL)
    script = subprocess.run(["perf", "script", "--no-inline", "-i", taken], check=True, capture_output=True).stdout
    stacks = subprocess.run(["inferno-collapse-perf"], input=script, check=True, capture_output=True).stdout
    drawn = ["inferno-flamegraph", "--title", f"{name} → {form}", "--minwidth", "0.5"]
    picture = subprocess.run(drawn, input=stacks, check=True, capture_output=True).stdout
    file_name = re.sub(r"[^a-z0-9]+", "-", f"{name}-{form}") + ".svg"
    with open(os.path.join(options.results, file_name), "wb") as file:
        file.write(picture)
    os.remove(taken)
    shutil.rmtree(target, ignore_errors=True)
    shares = Counter()
    for line in stacks.decode().splitlines():
        stack, _, count = line.rpartition(" ")
        shares[stage_of(stack.split(";"))] += int(count)
    source_mb = sum(entry.stat().st_size for entry in os.scandir(source)) / 1e6
    return shares, source_mb / plain["cpu_s"], plain["written_mb"] / plain["cpu_s"]


def stage_of(frames):
    for frame in reversed(frames):
        for stage, pattern in STAGES:
            if re.search(pattern, frame):
                return stage
    return "rest"


if __name__ == "__main__":
    sys.exit(main())
