"""S3: moto, which is quick and believes everybody, and Ceph's radosgw, which is strict.

Both know the same keys and have the same bucket. The gateway keeps its objects in memory: one monitor, one store,
neither of which outlives the bed.
"""

from __future__ import annotations

import shutil
import subprocess
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import boto3
from botocore.config import Config

from bed import VENV, Process, environment, folder, port
from packages import need_programs, program

ACCESS_KEY, SECRET_KEY = "AKIATESTBEDKEY234567", "testbedS3Secret0123456789abcdefghijklmno"
GUEST_ACCESS_KEY, GUEST_SECRET_KEY = "AKIATESTBEDGUEST2345", "testbedGuestSecret0123456789abcdefghijkl"
REGION, BUCKET = "us-east-1", "offtake-testbed"

SHARED = {
    "S3_ACCESS_KEY": ACCESS_KEY,
    "S3_SECRET_KEY": SECRET_KEY,
    "S3_REGION": REGION,
    "S3_BUCKET": BUCKET,
}

OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str) -> bool:
    """Whether an HTTP server answers there, whatever it says."""
    try:
        OPEN.open(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def make_bucket(
    endpoint: str, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY, bucket: str = BUCKET
) -> None:
    """Makes the bucket, once."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=REGION,
        config=Config(
            s3={"addressing_style": "path"},
            proxies={},
            # Only what every server understands.
            request_checksum_calculation="when_required",
        ),
    )
    if bucket not in {it["Name"] for it in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=bucket)


class Moto:
    """The quick one."""

    name = "moto"

    def __init__(self) -> None:
        self.process = Process(self.name)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{port(self.name)}"

    def up(self) -> bool:
        """Whether it runs."""
        return self.process.known() is not None

    def start(self) -> None:
        """Starts it and makes the bucket."""
        self.process.start(VENV / "bin" / "moto_server", "-H", "127.0.0.1", "-p", str(port(self.name)))
        self.process.wait_until(lambda: answers(f"{self.endpoint}/moto-api/"))
        make_bucket(self.endpoint)

    def end(self) -> None:
        """Ends it; what it kept is gone."""
        self.process.end()

    def variables(self) -> dict[str, str]:
        """What tests must know of it."""
        return SHARED | {"S3_MOTO": self.endpoint}


class Radosgw:
    """The strict one."""

    name = "radosgw"

    def __init__(self) -> None:
        self.monitor = Process("ceph-mon")
        self.store = Process("ceph-osd")
        self.gateway = Process(self.name)
        self.data = folder("ceph")
        self.conf = self.data / "ceph.conf"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{port(self.name)}"

    def up(self) -> bool:
        """Whether it runs: a gateway without its store only hangs."""
        return all(it.known() for it in (self.monitor, self.store, self.gateway))

    def start(self) -> None:
        """Starts an empty one, with its users and bucket."""
        need_programs(
            ["radosgw", "ceph-mon", "ceph-osd", "ceph", "radosgw-admin", "monmaptool", "ceph-authtool"],
            ["radosgw", "ceph-mon", "ceph-osd", "ceph-common"],
        )
        self.end()
        self.make_monitor()
        self.monitor.start(tool("ceph-mon"), "-f", "-i", "a", CEPH_CONF=str(self.conf))
        self.make_store()
        self.store.start(tool("ceph-osd"), "-f", "-i", "0", CEPH_CONF=str(self.conf))
        self.gateway.start(tool("radosgw"), "-f", "-n", "client.rgw", CEPH_CONF=str(self.conf))
        self.gateway.wait_until(lambda: answers(self.endpoint))
        for user, access_key, secret_key in (
            ("offtake", ACCESS_KEY, SECRET_KEY),
            ("guest", GUEST_ACCESS_KEY, GUEST_SECRET_KEY),
        ):
            keys = [f"--access-key={access_key}", f"--secret-key={secret_key}"]
            naming = [f"--uid={user}", f"--display-name={user}"]
            self.run("radosgw-admin", "-n", "client.rgw", "user", "create", *naming, *keys)
        make_bucket(self.endpoint)

    def end(self) -> None:
        """Ends all three and forgets their data: the monitor must not remember what the store has lost."""
        for process in (self.gateway, self.store, self.monitor):
            process.end()
        shutil.rmtree(self.data, ignore_errors=True)

    def variables(self) -> dict[str, str]:
        """What tests must know of it."""
        return SHARED | {
            "S3_RADOSGW": self.endpoint,
            "S3_GUEST_ACCESS_KEY": GUEST_ACCESS_KEY,
            "S3_GUEST_SECRET_KEY": GUEST_SECRET_KEY,
        }

    def make_monitor(self) -> None:
        """Makes a cluster of one monitor."""
        for name in ("mon", "osd", "rgw", "crash"):
            (self.data / name).mkdir(parents=True, exist_ok=True)
        cluster, address = str(uuid.uuid4()), f"[v1:127.0.0.1:{port('ceph-mon')}]"
        self.conf.write_text(configuration(self.data, cluster))
        keyring = self.data / "keyring"
        self.run("monmaptool", "--create", "--clobber", "--fsid", cluster, "--addv", "a", address, self.data / "monmap")
        self.run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", self.data / "monmap", "--keyring", keyring)

    def make_store(self) -> None:
        """Makes the one store and gives it its place."""
        identity = str(uuid.uuid4())
        # A monitor that has just started may refuse for a moment.
        self.monitor.wait_until(lambda: self.accepts("osd", "new", identity))
        self.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
        place = ("osd", "crush", "add", "osd.0", "1.0", "root=default", "host=local")
        self.monitor.wait_until(lambda: self.accepts(*place))

    def accepts(self, *command: str) -> bool:
        """Whether the monitor carries out the command."""
        try:
            return self.call("ceph", *command, timeout=10).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def run(self, name: str, *arguments: str | Path) -> None:
        """Runs one of Ceph's tools, which must succeed."""
        done = self.call(name, *arguments, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{name} failed: {done.stderr.decode(errors='replace')[-600:].strip()}")

    def call(self, name: str, *arguments: str | Path, timeout: float) -> subprocess.CompletedProcess[bytes]:
        """Runs one of Ceph's tools."""
        return subprocess.run(
            [tool(name), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(CEPH_CONF=str(self.conf)),
            timeout=timeout,
            check=False,
        )


def tool(name: str) -> str:
    """Where one of Ceph's programs lies."""
    return program(name) or name


def configuration(data: Path, cluster: str) -> str:
    """One of everything, on loopback, in memory, quick to start."""
    first = port("ceph-osd")
    return f"""\
[global]
fsid = {cluster}
mon_host = [v1:127.0.0.1:{port("ceph-mon")}/0]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr2 = false
ms_bind_port_min = {first}
ms_bind_port_max = {first + 40}
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# Its path would be too long for a socket in a deep checkout.
admin_socket =
log_file = {data}/$name.log
mon_cluster_log_file = {data}/cluster.log
crash_dir = {data}/crash
keyring = {data}/keyring
mon_data = {data}/mon
# A disk that is nearly full must not stop the monitor.
mon_data_avail_crit = 1
mon_data_avail_warn = 2
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 2000
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
mon_tick_interval = 1
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
# Either would ask a daemon that is not there, and fail with "wrong fsid".
osd_crush_update_on_start = false
osd_class_update_on_start = false
osd_data = {data}/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{port("radosgw")}
rgw_data = {data}/rgw
rgw_thread_pool_size = 32
rgw_dns_name = localhost
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = testbed-key=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
"""
