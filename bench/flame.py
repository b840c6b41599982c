"""Where the time of each kind of work goes: flame graphs, and the share of each stage.

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
from collections import Counter

from run import COPY, THREADS, WORKS, describe, said

# What a frame's name must say to be of a stage; the innermost frame that says anything decides.
STAGES = [
    ("compress", r"libdeflate|offtake_encode::deflate|offtake_encode::gzip|pages::.*compress|zlib_rs::deflate|crc32|crc_fast"),
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
    lines += ["Shares of samples, in percent; the flame graphs stand beside this file.", ""]
    names = [name for name, _ in STAGES] + ["rest"]
    lines += ["| rows | form | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for name, form in [COPY, *WORKS]:
        shares = sample(options, name, form)
        whole = sum(shares.values())
        lines.append(f"| {name} | {form} | " + " | ".join(f"{100 * shares[stage] / whole:.0f}" for stage in names) + " |")
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


def sample(options, name, form):
    size = "quick" if options.quick else "whole"
    copying = (name, form) == COPY
    codec = "gzip" if copying else "snappy"
    source = os.path.join(options.data, size, f"{name}-{codec}")
    said("sets.py", name, source, size, codec)
    target = os.path.join(options.data, "out", "flame")
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    taken = os.path.join(options.data, "perf.data")
    command = [options.convert, source, target, "gz.parquet" if copying else form, str(THREADS)]
    record = ["perf", "record", "-q", "-F", "499", "--call-graph", "dwarf,16384", "-o", taken, "--"]
    subprocess.run(record + command, check=True, stdout=subprocess.DEVNULL)
    script = subprocess.run(["perf", "script", "-i", taken], check=True, capture_output=True).stdout
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
    return shares


def stage_of(frames):
    for frame in reversed(frames):
        for stage, pattern in STAGES:
            if re.search(pattern, frame):
                return stage
    return "rest"


if __name__ == "__main__":
    sys.exit(main())
