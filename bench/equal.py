"""Compares rows by a reader that is not ours: an order-free digest of every column, by DuckDB.

Usage: python equal.py <folder> <folder> <form of the second>; says "equal" or "different".
"""

import sys

import duckdb


def digest(source, target, form):
    """The digests of both folders: count, then sum and exclusive or of the hashes of each column."""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    described = database.execute(f"DESCRIBE FROM '{source}/*.parquet'").fetchall()
    columns = [(name, kind) for name, kind, *_ in described]
    before = _digest(database, f"read_parquet('{source}/*.parquet')", [_quoted(name) for name, _ in columns])
    if form.endswith("parquet"):
        rows = f"read_parquet('{target}/**/*.parquet')"
        return before, _digest(database, rows, [_quoted(name) for name, _ in columns])
    # Bytes are base64 in JSON.
    read_as = {name: "VARCHAR" if kind == "BLOB" else kind for name, kind in columns}
    spelled = ", ".join(f"'{name}': '{kind}'" for name, kind in read_as.items())
    rows = f"read_json('{target}/**/*.{form}', format = 'newline_delimited', columns = {{{spelled}}})"
    values = [f"from_base64({_quoted(name)})" if kind == "BLOB" else _quoted(name) for name, kind in columns]
    return before, _digest(database, rows, values)


def _digest(database, rows, values):
    parts = ", ".join(f"sum(hash({value})::hugeint), bit_xor(hash({value}))" for value in values)
    return database.execute(f"SELECT count(*), {parts} FROM {rows}").fetchone()


def _quoted(name):
    return f'"{name}"'


if __name__ == "__main__":
    before, after = digest(*sys.argv[1:])
    print("equal" if before == after else "different")
