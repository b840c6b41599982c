"""The same conversion by DuckDB: python duckdb_copy.py <from> <to> <json|json.gz|parquet|gz.parquet> <threads>."""

import os
import sys

import duckdb

OPTIONS = {
    "json": "FORMAT json",
    "json.gz": "FORMAT json, COMPRESSION gzip",
    "parquet": "FORMAT parquet, COMPRESSION uncompressed",
    "gz.parquet": "FORMAT parquet, COMPRESSION gzip",
}


def main():
    source, target, form, threads = sys.argv[1:]
    os.makedirs(target, exist_ok=True)
    database = duckdb.connect()
    database.execute(f"SET threads = {int(threads)}")
    database.execute("SET preserve_insertion_order = false")
    database.execute("SET TimeZone = 'UTC'")
    options = f"{OPTIONS[form]}, PER_THREAD_OUTPUT true, OVERWRITE true"
    database.execute(f"COPY (FROM '{source}/*.parquet') TO '{target}/out' ({options})")


if __name__ == "__main__":
    main()
