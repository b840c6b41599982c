"""Measures the way to a store: the same Parquet files, as they are, by `offtake run` and by what a user would pick instead.

Usage: python uploads.py <offtake> <folder for data> <file for results> [--megabytes N] [--rounds N] [--only PLACE]

With `--rows FOLDER` the Parquet files of that folder are also delivered as JSON in gzip, to the store that keeps nothing
and to a folder of this machine: what the way to a store costs a delivery that has something to compute.

The stores are those of the test bed (`eval "$(cargo xtask testbed env)"`) and an S3 server here that keeps nothing.
Programs take turns. Seconds of processor time are the client's alone, so they say more than wall time where the server
is the slower side. offtake also reads its sources' footers, digests what it sends, and writes a manifest.
"""

import argparse
import base64
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import uuid

from counted import run
from run import HERE, describe

BED = "OFFTAKE_TESTBED_"

# OpenSSH's client as it is, and asked to have each file written to disk, as offtake always asks.
SFTP_PUTS = {"sftp": "-r", "sftp, synced": "-f -r"}


def main():
    options = parse()
    source = make(options.data, options.megabytes)
    measured = []
    with Helper("null_s3.py") as null:
        for place in places(null):
            if options.only in (None, place.name):
                measured += measure(options, place, source)
            if options.rows and place.name == "null-s3":
                measured += measure_encoding(options, place)
    write(options, measured)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("offtake")
    parser.add_argument("data")
    parser.add_argument("results")
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only")
    parser.add_argument("--rows", metavar="FOLDER")
    return parser.parse_args()


def make(folder, megabytes):
    """Eight gzip Parquet files of bytes that nothing makes smaller, made by a process of its own: peaks are inherited."""
    place = os.path.join(folder, f"upload-{megabytes}")
    if not os.path.exists(place):
        os.makedirs(place + ".part")
        subprocess.run([sys.executable, "-B", "-c", MAKE, place + ".part", str(megabytes)], check=True)
        os.rename(place + ".part", place)
    return place


MAKE = """
import os, sys
import pyarrow as pa, pyarrow.parquet as pq

place, megabytes = sys.argv[1], int(sys.argv[2])
for number in range(8):
    rows = pa.table({"bytes": [os.urandom(1 << 16) for _ in range(megabytes * 2)]})
    name = os.path.join(place, f"{number}.parquet")
    pq.write_table(rows, name, compression="gzip", compression_level=1, use_dictionary=False)
"""


class Helper:
    """A program of this folder on a free port, ended with the measurement."""

    def __init__(self, script, *arguments):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-B", os.path.join(HERE, script), str(self.port), *arguments]
        self.process = subprocess.Popen(command)

    def __enter__(self):
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except ConnectionRefusedError:
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Place:
    """A destination, as offtake's file names it and as its peers do."""

    def __init__(self, name, destination, secrets, peers, environment=None):
        self.name = name
        self.destination = destination
        self.secrets = secrets
        self.peers = peers
        self.environment = environment or {}


def places(null):
    """The places that can be had here."""
    yield s3("null-s3", f"http://127.0.0.1:{null.port}", "null", "AKIATESTBEDKEY234567", "n" * 40)
    for name in ("RADOSGW", "MOTO"):
        if known("S3_" + name):
            keys = known("S3_ACCESS_KEY"), known("S3_SECRET_KEY")
            yield s3(name.lower(), known("S3_" + name), known("S3_BUCKET"), *keys)
    if known("AZURE_ENDPOINT"):
        yield azure()
    if known("SFTP_PORT"):
        yield sftp("openssh", int(known("SFTP_PORT")))
        with Helper("slow_line.py", known("SFTP_PORT"), "10") as line:
            yield sftp("openssh-10ms", line.port)


def known(name):
    return os.environ.get(BED + name)


def s3(name, endpoint, bucket, access, secret):
    params = {"endpoint": endpoint, "region": "us-east-1", "pathStyle": True}
    destination = {
        "type": "s3",
        "auth": "Access Key",
        "credentials": params | {"s3AccessKey": "env:BENCH_KEY", "s3SecretKey": "env:BENCH_SECRET"},
        "params": {"bucketName": bucket},
    }
    peer = {
        "RCLONE_CONFIG_TO_TYPE": "s3",
        "RCLONE_CONFIG_TO_PROVIDER": "Other",
        "RCLONE_CONFIG_TO_ENDPOINT": endpoint,
        "RCLONE_CONFIG_TO_ACCESS_KEY_ID": access,
        "RCLONE_CONFIG_TO_SECRET_ACCESS_KEY": secret,
        "RCLONE_CONFIG_TO_REGION": "us-east-1",
        "RCLONE_S3_NO_CHECK_BUCKET": "true",
    }
    peer |= {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1"}
    remote = f"{bucket}/{{path}}"
    peers = {
        "rclone": ["rclone", "copy", "{from}", "to:" + remote],
        "s5cmd": ["s5cmd", "--endpoint-url", endpoint, "cp", "{from}/", f"s3://{remote}/"],
    }
    return Place(name, destination, {"BENCH_KEY": access, "BENCH_SECRET": secret}, peers, peer)


def azure():
    endpoint, account, key = known("AZURE_ENDPOINT"), known("AZURE_ACCOUNT"), known("AZURE_KEY")
    container = known("AZURE_CONTAINER")
    destination = {
        "type": "azure-blob",
        "credentials": {"connectionString": "env:BENCH_STRING"},
        "params": {"container": container},
    }
    text = f"BlobEndpoint={endpoint};AccountName={account};AccountKey={key}"
    command = [sys.executable, "-B", os.path.join(HERE, "put_azure.py"), "{from}", container, "{path}"]
    peer = {"BENCH_STRING": text, "BENCH_CA": known("CA")}
    return Place("azurite", destination, {"BENCH_STRING": text}, {"azure sdk": command}, peer)


def sftp(name, port):
    with open(known("SFTP_KEY_ED25519"), "rb") as file:
        key = base64.b64encode(file.read()).decode()
    host, user = known("SFTP_HOST"), known("SFTP_USER")
    about = {"domain": host, "port": port, "username": user, "hostKeys": [known("SFTP_HOST_FINGERPRINT")]}
    destination = {
        "type": "sftp",
        "auth": "SFTP with SSH Key",
        "credentials": about | {"sshKey": "env:BENCH_KEY"},
        "params": {},
    }
    unchecked = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"]
    batch = "printf 'mkdir %s\\nput {options} %s/. %s\\n' '{path}' '{from}' '{path}'"
    login = f"sftp -q -b - -P {port} -i {known('SFTP_KEY_ED25519')} {' '.join(unchecked)} {user}@{host}"
    peer = {
        "RCLONE_CONFIG_TO_TYPE": "sftp",
        "RCLONE_CONFIG_TO_HOST": host,
        "RCLONE_CONFIG_TO_PORT": str(port),
        "RCLONE_CONFIG_TO_USER": user,
        "RCLONE_CONFIG_TO_KEY_FILE": known("SFTP_KEY_ED25519"),
        "RCLONE_SFTP_DISABLE_HASHCHECK": "true",
    }
    shell = {name: ["sh", "-c", f"{batch} | {login}".replace("{options}", put)] for name, put in SFTP_PUTS.items()}
    peers = shell | {"rclone": ["rclone", "copy", "{from}", "to:{path}"]}
    return Place(name, destination, {"BENCH_KEY": key}, peers, peer)


def measure(options, place, source):
    runs = {program: [] for program in ("offtake", *place.peers)}
    idle = []
    failed = {}
    for _ in range(options.rounds):
        for program in runs:
            if program in failed:
                continue
            path = f"bench-{uuid.uuid4().hex[:8]}"
            try:
                runs[program].append(once(options, place, program, source, path))
                if program == "offtake":
                    idle.append(run(*nothing_new(options, place)))
            except RuntimeError as error:
                failed[program] = str(error)
            sweep(place, path)
    runs["offtake, nothing new"] = idle
    for program, taken in runs.items():
        print(place.name, program, [round(one["wall_s"], 2) for one in taken], failed.get(program, ""), flush=True)
    return [
        {"place": place.name, "program": program, "runs": taken} | ({"failed": failed[program]} if program in failed else {})
        for program, taken in runs.items()
    ]


def measure_encoding(options, place):
    """The same rows as JSON in gzip to a place and to a folder, in turns."""
    local = Place("folder", {"type": "landing-zone", "folder": os.path.join(options.data, "folder"), "params": {}}, {}, {})
    runs = {place.name: [], local.name: []}
    for _ in range(options.rounds):
        for where in (place, local):
            runs[where.name].append(deliver(options, where, options.rows, f"bench-{uuid.uuid4().hex[:8]}", "JSON"))
        shutil.rmtree(local.destination["folder"])
    for name, taken in runs.items():
        print("JSON in gzip to", name, [round(one["wall_s"], 2) for one in taken], flush=True)
    return [{"place": f"{name}, JSON", "program": "offtake", "runs": taken} for name, taken in runs.items()]


def once(options, place, program, source, path):
    if program != "offtake":
        command = [part.replace("{from}", source).replace("{path}", path) for part in place.peers[program]]
        return run(command, neutral() | place.environment)
    return deliver(options, place, source, path, "PARQUET")


def deliver(options, place, source, path, form):
    """Delivers all of the source by offtake, with a state of its own."""
    file = os.path.join(options.data, "upload.json")
    state = os.path.join(options.data, "upload.state")
    folder = "remotePath" if place.destination["type"] == "sftp" else "path"
    destination = place.destination | {"params": place.destination["params"] | {folder: path}}
    content = {
        "dataset": {"location": os.path.abspath(source)},
        "destination": destination,
        "format": {"type": form, "compression": "GZIP"},
    }
    with open(file, "w") as told:
        json.dump(content, told)
    shutil.rmtree(state, ignore_errors=True)
    return run(*nothing_new(options, place))


def nothing_new(options, place):
    """The call by which offtake delivers what is new by its state; the second time that is nothing."""
    file, state = os.path.join(options.data, "upload.json"), os.path.join(options.data, "upload.state")
    allowed = {"OFFTAKE__NETWORK__ALLOW": '["127.0.0.0/8", "::1"]', "OFFTAKE__NETWORK__CA_FILE": known("CA") or ""}
    settings = place.secrets | {name: value for name, value in allowed.items() if value}
    return [options.offtake, "run", file, "--state", state], neutral() | settings


def neutral():
    """The environment without anything that would steer the programs."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("OFFTAKE", "AWS_", "RCLONE_"))}


def sweep(place, path):
    """A server may keep everything in memory."""
    if place.name != "null-s3" and "RCLONE_CONFIG_TO_TYPE" in place.environment:
        bucket = place.destination["params"].get("bucketName") or place.destination["params"].get("container")
        remote = "to:" + "/".join(part for part in (bucket, path) if part)
        subprocess.run(["rclone", "purge", remote], env=neutral() | place.environment, capture_output=True, check=False)


def write(options, measured):
    about = describe(()) | {"megabytes": options.megabytes, "rclone": version_of("rclone"), "ssh": version_of("ssh")}
    with open(options.results + ".json", "w") as file:
        json.dump({"about": about, "measured": measured}, file, indent=1)
        file.write("\n")
    lines = [f"# Measured: offtake {about['commit']}, files of {options.megabytes} MB in all", ""]
    lines += [f"{about['machine']}; {about['rclone']}; {about['ssh']}.", ""]
    lines += ["Medians of alternating runs; CPU and peak are the client's.", ""]
    lines += ["| to | program | wall s | CPU s | peak MB | wall to offtake | CPU to offtake |", "|---|---|---|---|---|---|---|"]
    ours = None
    for entry in measured:
        if not entry["runs"]:
            lines.append(f"| {entry['place']} | {entry['program']} | failed | | | | |")
            continue
        middle = {key: statistics.median(one[key] for one in entry["runs"]) for key in entry["runs"][0]}
        if entry["program"] == "offtake":
            ours = middle
        lines.append(
            f"| {entry['place']} | {entry['program']} | {middle['wall_s']:.2f} | {middle['cpu_s']:.2f} | "
            f"{middle['peak_mb']:.0f} | {middle['wall_s'] / ours['wall_s']:.2f} | {middle['cpu_s'] / ours['cpu_s']:.2f} |"
        )
    with open(options.results + ".md", "w") as file:
        file.write("\n".join(lines) + "\n")


def version_of(program):
    command = {"rclone": ["rclone", "version"], "ssh": ["ssh", "-V"]}[program]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).split("\n", 1)[0].split(",")[0]


if __name__ == "__main__":
    main()
