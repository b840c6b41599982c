"""One conversion by another program: python peer.py <peer> <from> <to> <json|json.gz|parquet|gz.parquet> <threads>.

Each peer reads the same folder of Parquet files in the way its own documentation shows, and writes a folder.
A form that a peer cannot write is left out: `FORMS` says which it can.
"""

import os
import sys

JSON, PARQUET = {"json", "json.gz"}, {"parquet", "gz.parquet"}
FORMS = {
    "datafusion": JSON | PARQUET,
    "duckdb": JSON | PARQUET,
    "polars": JSON | PARQUET,
    "pyarrow": PARQUET,
    "spark": JSON | PARQUET,
}


def datafusion(source, target, form, threads):
    from datafusion import SessionConfig, SessionContext

    context = SessionContext(SessionConfig().with_target_partitions(threads))
    context.register_parquet("rows", source)
    options = {
        "json": "STORED AS JSON",
        "json.gz": "STORED AS JSON OPTIONS ('format.compression' 'gzip')",
        "parquet": "STORED AS PARQUET OPTIONS ('format.compression' 'uncompressed')",
        "gz.parquet": "STORED AS PARQUET OPTIONS ('format.compression' 'gzip(6)')",
    }[form]
    context.sql(f"COPY (SELECT * FROM rows) TO '{target}/' {options}").collect()


def duckdb(source, target, form, threads):
    import duckdb

    database = duckdb.connect()
    database.execute(f"SET threads = {threads}")
    database.execute("SET preserve_insertion_order = false")
    database.execute("SET TimeZone = 'UTC'")
    options = {
        "json": "FORMAT json",
        "json.gz": "FORMAT json, COMPRESSION gzip",
        "parquet": "FORMAT parquet, COMPRESSION uncompressed",
        "gz.parquet": "FORMAT parquet, COMPRESSION gzip",
    }[form]
    database.execute(
        f"COPY (FROM '{source}/*.parquet') TO '{target}/out' ({options}, PER_THREAD_OUTPUT true, OVERWRITE true)"
    )


def polars(source, target, form, threads):
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars

    rows = polars.scan_parquet(f"{source}/*.parquet")
    path = f"{target}/out.{form}"
    if form == "json":
        rows.sink_ndjson(path)
    elif form == "json.gz":
        rows.sink_ndjson(path, compression="gzip", compression_level=6)
    else:
        rows.sink_parquet(path, compression="gzip" if form == "gz.parquet" else "uncompressed")


def pyarrow(source, target, form, threads):
    import pyarrow
    import pyarrow.dataset

    pyarrow.set_cpu_count(threads)
    kind = pyarrow.dataset.ParquetFileFormat()
    options = kind.make_write_options(compression="gzip" if form == "gz.parquet" else "none")
    rows = pyarrow.dataset.dataset(source, format="parquet")
    pyarrow.dataset.write_dataset(rows, target, format=kind, file_options=options)


def spark(source, target, form, threads):
    from pyspark.sql import SparkSession

    settings = {
        "spark.master": f"local[{threads}]",
        "spark.driver.memory": "8g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
    }
    builder = SparkSession.builder
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    kind, compression = {
        "json": ("json", "none"),
        "json.gz": ("json", "gzip"),
        "parquet": ("parquet", "none"),
        "gz.parquet": ("parquet", "gzip"),
    }[form]
    rows = session.read.parquet(source)
    rows.write.mode("overwrite").format(kind).option("compression", compression).save(target)
    session.stop()


def main():
    peer, source, target, form, threads = sys.argv[1:]
    os.makedirs(target, exist_ok=True)
    globals()[peer](source, target, form, int(threads))


if __name__ == "__main__":
    main()
