"""Drives the real binary as a user would: its command line, its HTTP API, its signals.

It knows the documented requests and nothing of the inside. A service is started on a free loopback port over a
data directory of its own and ended by its process id.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BINARY = os.environ.get("OFFTAKE_BIN", "offtake")

FLOWS = "/data/foundation/flowservice"
CATALOG = "/data/foundation/catalog"

DATA_LAKE = "23598e46-f560-407b-88d5-ea6207e49db0"
LANDING_ZONE = "10440537-2a7b-4583-ac39-ed38d4b848e8"
LANDING_ZONE_FLOW = "cd2fc47e-e838-4f38-a581-8fff2f99b63a"
S3 = "4fce964d-3f37-408f-9778-e597338a21ee"
S3_FLOW = "269ba276-16fc-47db-92b0-c1049a3c131f"

START_SECS = 30
RUN_SECS = 90


@dataclass
class Answer:
    """What the service said."""

    status: int
    headers: dict[str, str]
    body: Any
    text: str


@dataclass(frozen=True)
class Destination:
    """Where a flow delivers to: what differs between the documented requests for one and for another.

    `path` is what the target calls its folder, `below` what stands before it where a server is shared.
    """

    spec: str = LANDING_ZONE
    flow_spec: str = LANDING_ZONE_FLOW
    auth: dict[str, Any] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    path: str = "path"
    below: str = ""


ZONE = Destination()


@dataclass
class Offtake:
    """A service over one data directory; it may be started, killed and started again."""

    data_dir: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    starts: int = 0
    token: str | None = None

    # The process.

    def start(self, failpoints: str | None = None, within: tuple[str, ...] = ()) -> Offtake:
        """Starts the service, perhaps within another program, and waits until it says where it listens."""
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        self.starts += 1
        self.process = subprocess.Popen(
            [*within, BINARY, "--data-dir", str(self.data_dir), "serve", "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=self.log("out").open("wb"),
            stderr=self.log("err").open("wb"),
            env=self.environment(failpoints),
        )
        self.url = self._wait_for_address()
        self.token = None
        return self

    def environment(self, failpoints: str | None = None) -> dict[str, str]:
        """The environment of the binary: ours without anything that would steer it, and the test's settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OFFTAKE")}
        kept |= self.settings
        if failpoints:
            kept["OFFTAKE_FAILPOINTS"] = failpoints
        return kept

    def log(self, stream: str) -> Path:
        """What the service of the latest start said on that stream."""
        return self.data_dir.parent / f"{self.data_dir.name}.{self.starts}.{stream}"

    def logs(self) -> str:
        """Everything that any start said."""
        names = self.data_dir.parent.glob(f"{self.data_dir.name}.*.*")
        return "".join(path.read_text(errors="replace") for path in sorted(names))

    def _wait_for_address(self) -> str:
        for _ in until(START_SECS):
            found = re.search(r"listens on (http://\S+)", self.log("out").read_text(errors="replace"))
            if found:
                return found.group(1)
            if self.process.poll() is not None:
                break
        raise AssertionError(f"the service did not start (exit {self.process.poll()}):\n{self.logs()}")

    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """Ends it as a power cut would."""
        if self.alive():
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def terminate(self, timeout: float = 30) -> int:
        """Asks it to end, as an operator would, and gives its exit code."""
        os.kill(self.process.pid, signal.SIGTERM)
        return self.process.wait(timeout)

    def wait_for_death(self, timeout: float = RUN_SECS) -> int:
        """Waits until the process ends by itself and gives its exit code; negative is a signal."""
        return self.process.wait(timeout)

    # The command line.

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a command of the binary over this data directory."""
        done = subprocess.run(
            [BINARY, "--data-dir", str(self.data_dir), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=RUN_SECS,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    # HTTP.

    def credentials(self) -> dict[str, str]:
        """The local client's credentials, as the first start left them."""
        return json.loads((self.data_dir / "credentials.json").read_text())

    def ask_for_token(self, **changed: str) -> Answer:
        """A token request; `changed` replaces or adds form fields."""
        known = self.credentials()
        form = {
            "grant_type": "client_credentials",
            "client_id": known["clientId"],
            "client_secret": known["clientSecret"],
            "scope": "openid,session,AdobeID,read_organizations",
        }
        data = urllib.parse.urlencode(form | changed).encode()
        return self.raw("POST", "/ims/token/v3", data, {"Content-Type": "application/x-www-form-urlencoded"})

    def headers(self) -> dict[str, str]:
        """The documented headers."""
        known = self.credentials()
        if self.token is None:
            answer = self.ask_for_token()
            assert answer.status == 200, answer
            self.token = answer.body["access_token"]
        return {
            "Authorization": f"Bearer {self.token}",
            "x-api-key": known["clientId"],
            "x-gw-ims-org-id": known["org"],
            "x-sandbox-name": known["sandbox"],
        }

    def raw(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        """One request as given, with whatever comes back."""
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return read(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as reply:
            return read(reply.code, reply.headers, reply.read())

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request with the documented headers."""
        given = self.headers() | headers
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            given["Content-Type"] = "application/json"
        return self.raw(method, path, data, given)

    def create(self, collection: str, body: Any) -> str:
        """Creates a resource and gives its id."""
        answer = self.call("POST", f"{FLOWS}/{collection}", body)
        assert answer.status == 201, f"POST {collection}: {answer.status} {answer.text}"
        assert set(answer.body) == {"id", "etag"}, answer.text
        return answer.body["id"]

    # The six steps.

    def add_dataset(self, name: str, location: str) -> str:
        """Registers a table and gives the dataset's id."""
        answer = self.call("POST", f"{CATALOG}/dataSets", {"name": name, "location": location})
        assert answer.status == 201, answer.text
        return answer.body[0].removeprefix("@/dataSets/")

    def make_flow(
        self,
        dataset: str | list[str],
        file_type: str = "JSON",
        compression: str = "NONE",
        path: str = "exports",
        schedule: dict[str, Any] | None = None,
        to: Destination = ZONE,
        **params: Any,
    ) -> str:
        """The documented requests. Without a schedule, nothing is due for an hour."""
        names = [dataset] if isinstance(dataset, str) else dataset
        source = self.create(
            "sourceConnections",
            {
                "name": "source",
                "connectionSpec": {"id": DATA_LAKE, "version": "1.0"},
                "params": {"datasets": [{"dataSetId": name} for name in names]},
            },
        )
        base = self.create_base(to)
        target = self.create(
            "targetConnections",
            {
                "name": "target",
                "baseConnectionId": base,
                "params": {
                    "mode": "Server-to-server",
                    to.path: to.below + path,
                    "compression": compression,
                    "datasetFileType": file_type,
                }
                | to.params
                | params,
                "connectionSpec": {"id": to.spec, "version": "1.0"},
            },
        )
        later = {"interval": 3, "timeUnit": "hour", "startTime": int(time.time()) + 3600}
        return self.create(
            "flows",
            {
                "name": "flow",
                "flowSpec": {"id": to.flow_spec, "version": "1.0"},
                "sourceConnectionIds": [source],
                "targetConnectionIds": [target],
                "transformations": [],
                "scheduleParams": schedule or later,
            },
        )

    def create_base(self, to: Destination) -> str:
        """The base connection of a destination; a landing zone needs no words."""
        if to.auth is None:
            return self.create("connections", {"name": "base"})
        spec = {"id": to.spec, "version": "1.0"}
        return self.create("connections", {"name": "base", "auth": to.auth, "connectionSpec": spec})

    def act(self, flow: str, action: str) -> None:
        """Enables or disables a flow of a service that may die of it."""
        self.ask("POST", f"{FLOWS}/flows/{flow}/action?op={action}")

    def start_run(self, flow: str, **params: Any) -> str:
        """Asks for a run now and gives its id."""
        return self.create("runs", {"flowId": flow} | ({"params": params} if params else {}))

    def ask(self, method: str, path: str, body: Any = None) -> None:
        """A request to a service that may die before it answers."""
        with contextlib.suppress(urllib.error.URLError, http.client.HTTPException, ConnectionError):
            self.call(method, path, body)

    def ask_for_run(self, flow: str) -> None:
        """Asks for a run of a service that may die of it."""
        self.ask("POST", f"{FLOWS}/runs", {"flowId": flow})

    def runs(self, flow: str) -> list[dict[str, Any]]:
        """The flow's runs, oldest first."""
        answer = self.call("GET", f"{FLOWS}/runs?limit=100&property=flowId=={flow}")
        assert answer.status == 200, answer.text
        return answer.body["items"][::-1]

    def first_run(self, flow: str) -> str:
        """Waits for a run that nobody asked for, and gives its id."""
        for _ in until(START_SECS):
            runs = self.runs(flow)
            if runs:
                return runs[0]["id"]
        raise AssertionError(f"the flow started no run by itself:\n{self.logs()[-6000:]}")

    def run(self, run: str) -> dict[str, Any]:
        """The run."""
        answer = self.call("GET", f"{FLOWS}/runs/{run}")
        assert answer.status == 200, answer.text
        return answer.body["items"][0]

    def wait_for_run(self, run: str, expect: str = "success", timeout: float = RUN_SECS) -> dict[str, Any]:
        """Waits until the run has ended, and demands that it ended so."""
        seen = None
        for _ in until(timeout):
            seen = self.run(run)
            if status(seen) in ("success", "failed"):
                break
        assert status(seen) == expect, f"{json.dumps(seen, indent=1)}\n{self.logs()[-6000:]}"
        return seen

    # The landing zone.

    @property
    def zone(self) -> Path:
        """The folder under which every tenant's landing zone lies."""
        return self.data_dir / "landing-zone"


def until(seconds: float, pause: float = 0.05):
    """Yields until the time is over: the one way to wait for another process."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(pause)


def read(code: int, headers: Any, data: bytes) -> Answer:
    """An answer, its body parsed when it is JSON."""
    text = data.decode(errors="replace")
    try:
        body = json.loads(text) if text else None
    except ValueError:
        body = None
    return Answer(code, {name.lower(): value for name, value in headers.items()}, body, text)


def status(run: dict[str, Any]) -> str:
    """The run's documented status."""
    return run["metrics"]["statusSummary"]["status"]


def error_codes(run: dict[str, Any]) -> str:
    """Every error of the run as one text, for tests that look for a code or an advice in it."""
    return json.dumps(run["metrics"]["statusSummary"].get("errors", []))
