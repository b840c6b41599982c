"""The rows that are measured, the same for everybody: each value is a hash of its row's number.

Usage: python sets.py <set> <folder> <whole|quick> <snappy|gzip>; says how many rows there are.
"""

import os
import sys

import duckdb

import generate

KINDS = ["Berlin", "São Paulo", "東京", "New York", "Zürich", "Nairobi", "Lima", "Perth"]


def hashes(count):
    return ", ".join(f"hash(i * 1000 + {salt}) AS r{salt}" for salt in range(1, count + 1))


def wide():
    """300 columns, as reports have them."""
    columns = []
    for n in range(1, 301):
        r = f"hash(i * 1000 + {n})"
        columns.append(
            [
                f"({r} % 1000000)::int AS count_{n}",
                f"({r} % 100000000)::double / 1000 AS measure_{n}",
                f"'state ' || ({r} % 40)::varchar AS state_{n}",
                f"{r} % 2 = 0 AS flag_{n}",
                f"CASE WHEN {r} % 10 > 0 THEN (DATE '2024-01-01' + ({r} % 700)::int) END AS day_{n}",
            ][n % 5]
        )
    return f"SELECT i AS id, {', '.join(columns)} FROM range({{first}}, {{last}}) AS t(i)"


def strings():
    """Texts that never repeat."""
    return (
        f"WITH n AS (SELECT i, {hashes(4)} FROM range({{first}}, {{last}}) AS t(i)) SELECT md5(r1::varchar) AS a, "
        "'user-' || r2::varchar || '@example.com' AS b, md5(r3::varchar) || md5(r4::varchar) AS c, i AS id FROM n"
    )


def dictionary():
    """Texts that repeat all the time."""
    kinds = "[" + ", ".join(f"'{kind}'" for kind in KINDS) + "]"
    columns = ", ".join(f"{kinds}[(r{n} % 8)::int + 1] || ' {n}' AS kind_{n}" for n in range(1, 13))
    return f"WITH n AS (SELECT i, {hashes(12)} FROM range({{first}}, {{last}}) AS t(i)) SELECT {columns}, i AS id FROM n"


def numbers():
    """Decimals and timestamps."""
    decimals = ", ".join(f"((r{n} % 10000000000)::bigint / 10000)::decimal(18,4) AS amount_{n}" for n in range(1, 7))
    instants = ", ".join(
        f"TIMESTAMPTZ '2025-01-01 00:00:00+00' + to_microseconds((r{n} % 31536000000000)::bigint) AS at_{n}"
        for n in range(7, 11)
    )
    return (
        f"WITH n AS (SELECT i, {hashes(10)} FROM range({{first}}, {{last}}) AS t(i)) "
        f"SELECT i AS id, {decimals}, {instants} FROM n"
    )


def nested():
    """Experience events."""
    salts = ", ".join(f"hash(i * 100 + {salt}) AS r{salt}" for salt in range(1, 21))
    return generate.ROWS.replace("{hashes}", salts).replace("{{", "{").replace("}}", "}")


# Rows and files: of the whole run, of the quick one.
SETS = {
    "nested": (nested, (800_000, 8), (100_000, 2)),
    "wide": (wide, (120_000, 8), (12_000, 2)),
    "strings": (strings, (2_000_000, 8), (200_000, 2)),
    "dictionary": (dictionary, (2_000_000, 8), (200_000, 2)),
    "numbers": (numbers, (2_000_000, 8), (200_000, 2)),
    "tiny": (nested, (200_000, 10_000), (6_000, 300)),
    "big": (nested, (13_000_000, 1), (13_000_000, 1)),
}


def make(name, folder, quick, codec="snappy"):
    """Makes the set's files unless they are there. Answers how many rows it has."""
    query, whole, small = SETS[name]
    rows, files = small if quick else whole
    done = f"{folder}.done"
    if os.path.exists(done):
        return rows
    os.makedirs(folder, exist_ok=True)
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    text = query()
    for number in range(files):
        first, last = rows * number // files, rows * (number + 1) // files
        numbered = text.replace("{first}", str(first)).replace("{last}", str(last))
        path = os.path.join(folder, f"part-{number:05}.parquet")
        database.execute(f"COPY ({numbered}) TO '{path}' (FORMAT parquet, COMPRESSION {codec})")
    with open(done, "w") as note:
        note.write("complete\n")
    return rows


if __name__ == "__main__":
    print(make(sys.argv[1], sys.argv[2], sys.argv[3] == "quick", sys.argv[4]))
