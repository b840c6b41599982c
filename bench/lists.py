"""Measures lists and reads over a store of many flows and runs.

Usage: python lists.py <offtake> <empty folder> <file for results, .json> [--runs N] [--flows N]

The binary makes the data directory and one flow with one run through its API; their rows are copied by SQL, because
making a million runs in earnest would take days. Every copy has a delivery and a file, so that a list shows what it
always shows; the store's own triggers keep the status of each run. Only plans and manifests, which no list reads, are
left out: they would make the file several times as large. Then the service is started again and asked over
HTTP by one client, and by 200 at once.
"""

import argparse
import http.client
import json
import os
import platform
import random
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "e2e"))

FLOWS = "/data/foundation/flowservice"
ROUNDS = 300
DEEP_PAGES = 500
CLIENTS = 200
ASKED_BY_EACH = 20
HOUR = 3_600_000
# One run in this many failed.
FAILURES = 500


def main():
    options = parse()
    os.environ["OFFTAKE_BIN"] = options.offtake
    from offtake import Offtake
    from table import DeltaTable

    service = Offtake(Path(options.folder) / "data").start()
    DeltaTable(service.data_dir / "lake" / "events").append(10)
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"))
    service.wait_for_run(service.start_run(flow))
    service.terminate()
    began = time.monotonic()
    copy(service.data_dir / "offtake.db", options.flows, options.runs)
    filled = time.monotonic() - began
    service.start()
    try:
        measured = measure(service)
    finally:
        service.terminate()
    about = {
        "runs": options.runs,
        "flows": options.flows,
        "seconds to fill": round(filled, 1),
        "database bytes": (service.data_dir / "offtake.db").stat().st_size,
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "load before": os.getloadavg(),
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True).stdout.strip(),
    }
    Path(options.results).parent.mkdir(parents=True, exist_ok=True)
    Path(options.results).write_text(json.dumps({"about": about, "measured": measured}, indent=1) + "\n")
    for name, entry in measured.items():
        print(f"{name:60} {entry}")


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("offtake")
    parser.add_argument("folder")
    parser.add_argument("results")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--flows", type=int, default=10_000)
    return parser.parse_args()


# The rows.


def columns(db, table):
    """The columns of a table that can be written."""
    return [row[1] for row in db.execute(f"PRAGMA table_xinfo({table})") if row[6] == 0]


def copies(db, table, count, changed, order="rowid"):
    """Copies the newest row `count` times; `changed` gives columns as SQL over the number `i`."""
    names = [name for name in columns(db, table) if not (table == "delivery" and name == "n")]
    values = ", ".join(changed.get(name, f"one.{name}") for name in names)
    db.execute(
        f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        f" INSERT INTO {table} ({', '.join(names)})"
        f" SELECT {values} FROM n,"
        f" (SELECT * FROM {table} {changed.get('where', '')} ORDER BY {order} DESC LIMIT 1) one",
        (count,),
    )


def uuid(kind, number="i"):
    """A UUID of a number, as SQL."""
    return f"printf('{kind}-0000-4000-8000-%012x', {number})"


def copy(path, flows, runs):
    """Fills the store."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -400000")
    db.execute("BEGIN")
    body = "json_set(one.body, '$.value.name', 'flow ' || i)"
    later = str(int(time.time() * 1000) + HOUR)
    copies(
        db,
        "resource",
        flows,
        {
            "where": "WHERE kind = 'flow'",
            "id": uuid("f1000000"),
            "body": body,
            "created_at": "one.created_at + i",
            "state": "iif(i % 10 = 0, 'disabled', 'enabled')",
            "next_due_at": f"iif(i % 10 = 0, NULL, {later})",
        },
    )
    of_run = uuid("a1000000")
    copies(
        db,
        "run",
        runs,
        {
            "id": of_run,
            "flow_id": uuid("f1000000", f"1 + i % {flows}"),
            "trigger_key": "'now:' || i",
            "created_at": "one.created_at + i",
            "status": "'success'",
        },
    )
    failed = f"i % {FAILURES} = 0"
    copies(
        db,
        "delivery",
        runs,
        {
            "id": uuid("d1000000"),
            "run_id": of_run,
            "flow_id": uuid("f1000000", f"1 + i % {flows}"),
            "state": f"iif({failed}, 'failed', 'succeeded')",
            "plan": "'{}'",
            "manifest": "x'00'",
            "created_at": "one.created_at + i",
            "started_at": "one.started_at + i",
            "completed_at": "one.completed_at + i",
            "updated_at": "one.updated_at + i",
        },
        order="n",
    )
    copies(db, "attempt", runs, {"id": uuid("e1000000"), "delivery_id": uuid("d1000000")})
    copies(db, "winner", runs, {"delivery_id": uuid("d1000000"), "attempt_id": uuid("e1000000")})
    db.execute("COMMIT")
    db.close()


# The questions.


class Client:
    """One connection that stays open."""

    def __init__(self, service):
        at = urllib.parse.urlsplit(service.url)
        self.connection = http.client.HTTPConnection(at.hostname, at.port, timeout=60)
        self.headers = service.headers()

    def get(self, path):
        """Milliseconds from question to the whole answer, and the answer."""
        began = time.perf_counter()
        self.connection.request("GET", FLOWS + path, headers=self.headers)
        reply = self.connection.getresponse()
        body = reply.read()
        took = (time.perf_counter() - began) * 1000
        assert reply.status == 200, (path, reply.status, body[:500])
        return took, json.loads(body)


def figures(times):
    """What is told of a list of milliseconds."""
    ordered = sorted(times)
    at = lambda share: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2)
    return {"count": len(times), "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": round(ordered[-1], 2)}


def repeated(client, path):
    """One question again and again."""
    return figures([client.get(path)[0] for _ in range(ROUNDS)])


def walked(client, path):
    """Pages one after the other: the first fifty against the last fifty."""
    times = []
    following = path
    for _ in range(DEEP_PAGES):
        took, body = client.get(following)
        times.append(took)
        link = body["_links"].get("next")
        if not link:
            break
        following = link["href"] + "&limit=100"
    first, last = statistics.median(times[:50]), statistics.median(times[-50:])
    return figures(times) | {"pages": len(times), "last_to_first": round(last / first, 2)}


def memory(service):
    """Resident bytes of the service in MiB."""
    text = Path(f"/proc/{service.process.pid}/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in text.splitlines() if line.startswith("VmRSS"))


def questions(client):
    """Paths by name; ids and instants are those of rows that are there."""
    newest = client.get("/runs?limit=1")[1]["items"][0]
    flow = client.get("/flows?limit=1")[1]["items"][0]
    middle = newest["createdAt"] - 300_000
    started = newest["metrics"]["durationSummary"]["startedAtUTC"]
    run = "/runs?limit=100&property="
    one = "/flows?limit=100&property="
    return {
        "runs": "/runs?limit=100",
        "runs of a flow": f"{run}flowId=={newest['flowId']}",
        "runs that succeeded": f"{run}metrics.statusSummary.status==success",
        "runs that failed": f"{run}metrics.statusSummary.status==failed",
        "runs of a flow spec": f"{run}flowSpec.id=={newest['flowSpec']['id']}",
        "runs made before": f"{run}createdAt%3C{middle}",
        "runs started after": f"{run}metrics.durationSummary.startedAtUTC%3E={started - 1000}",
        "runs started long before": f"{run}metrics.durationSummary.startedAtUTC%3C{started - 600_000}",
        "runs counted": "/runs?count=true",
        "flows": "/flows?limit=100",
        "flows of a name": f"{one}name==flow%20777",
        "flows disabled": f"{one}state==disabled",
        "flows of a spec": f"{one}flowSpec.id=={flow['flowSpec']['id']}",
        "flows made before": f"{one}createdAt%3C{flow['createdAt'] - 5000}",
        "one run": f"/runs/{newest['id']}",
        "one flow": f"/flows/{flow['id']}",
    }


def measure(service):
    """Every question, alone and by many at once."""
    client = Client(service)
    asked = questions(client)
    before = memory(service)
    measured = {name: repeated(client, path) for name, path in asked.items()}
    measured["a walk over runs"] = walked(client, asked["runs"])
    measured["a walk over runs that succeeded"] = walked(client, asked["runs that succeeded"])
    measured["a walk over flows"] = walked(client, asked["flows"])
    began = time.perf_counter()
    took, body = client.get("/runs?limit=100&property=kind==replay")
    scanned = {"ms": round(took, 1), "items": len(body["items"]), "goes_on": "next" in body["_links"]}
    measured["one page of a filter without an index"] = scanned
    measured[f"{CLIENTS} clients at once"] = crowded(service, list(asked.values()))
    took = round(time.perf_counter() - began)
    measured["resident MiB"] = {"before": before, "after": memory(service), "seconds": took}
    return measured


def crowded(service, paths):
    """Many clients, each with questions in an order of its own. None may fail."""
    clients = [Client(service) for _ in range(CLIENTS)]

    def ask(number):
        order = random.Random(number)
        return [clients[number].get(order.choice(paths))[0] for _ in range(ASKED_BY_EACH)]

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        times = [took for one in pool.map(ask, range(CLIENTS)) for took in one]
    seconds = time.perf_counter() - began
    return figures(times) | {"errors": 0, "answers_per_second": round(len(times) / seconds)}


if __name__ == "__main__":
    main()
