"""Makes the golden table of the JSON rendering with Apache Spark itself: rows.parquet and rows.json.

Usage: python make.py   (pyspark and a Java runtime of 17 or later)

Timestamps hold whole milliseconds: finer ones are where offtake differs from Spark on purpose.
Floats are ones on which Java before and after release 19 agree.
"""

import glob
import os
import shutil
import tempfile

from pyspark.sql import SparkSession

COLUMNS = {
    "id": "int",
    "te\"xt\\": "string",
    "flag": "boolean",
    "tiny": "tinyint",
    "small": "smallint",
    "big": "bigint",
    "real": "float",
    "double": "double",
    "money": "decimal(18,4)",
    "fine": "decimal(20,10)",
    "wide": "decimal(38,0)",
    "bytes": "binary",
    "day": "date",
    "at": "timestamp",
    "wall": "timestamp_ntz",
    "words": "array<string>",
    "nested": "struct<a:string,b:struct<c:bigint,d:array<struct<e:double,f:date>>>>",
    "by_word": "map<string,double>",
    "by_number": "map<int,string>",
    "by_flag": "map<boolean,int>",
    "by_double": "map<double,int>",
    "by_money": "map<decimal(18,4),int>",
}

ROWS = [
    {},
    {"id": "1", "te\"xt\\": "'plain'", "flag": "true", "tiny": "-128Y", "small": "-32768S", "big": "-9223372036854775808L"},
    {"id": "2147483647", "te\"xt\\": "''", "flag": "false", "tiny": "127Y", "small": "32767S", "big": "9223372036854775807L"},
    {"te\"xt\\": "decode(unhex('22095C2F0A0D080C001F7F0B'), 'utf-8')"},
    {"te\"xt\\": "decode(unhex('C3A4C3B6E697A5E69CACF09FA680E280A8E280A9'), 'utf-8')"},
    {"real": "float('0.1')", "double": "double('0.1')"},
    {"real": "float('5.27E-4')", "double": "double('5.27E-4')"},
    {"real": "float('0.001')", "double": "double('0.001')"},
    {"real": "float('1.0E10')", "double": "double('1.0E10')"},
    {"real": "float('9999999')", "double": "double('9999999')"},
    {"real": "float('1.0E7')", "double": "double('1.0E7')"},
    {"real": "float('-0.0')", "double": "double('-0.0')"},
    {"real": "float('NaN')", "double": "double('NaN')"},
    {"real": "float('Infinity')", "double": "double('Infinity')"},
    {"real": "float('-Infinity')", "double": "double('-Infinity')"},
    {"real": "float('3.4028235E38')", "double": "double('1.7976931348623157E308')"},
    {"real": "float('1.4E-45')", "double": "double('4.9E-324')"},
    {"money": "7105", "fine": "0.5", "wide": "99999999999999999999999999999999999999"},
    {"money": "-0.05", "fine": "0.0000000012", "wide": "-1"},
    {"money": "0", "fine": "0", "wide": "0"},
    {"money": "99999999999999.9999", "fine": "0.000001", "wide": "10000000000000000000"},
    {"bytes": "unhex('')"},
    {"bytes": "unhex('00FF10')"},
    {"bytes": "unhex('FB')"},
    {"bytes": "unhex('FBEF')"},
    {"day": "date('1970-01-01')", "at": "timestamp('1970-01-01T00:00:00Z')", "wall": "to_timestamp_ntz('1970-01-01 00:00:00')"},
    {"day": "date('2025-06-15')", "at": "timestamp('2025-06-15T15:06:40.860Z')", "wall": "to_timestamp_ntz('2025-06-15 15:06:40.86')"},
    {"day": "date('1582-10-10')", "at": "timestamp('1582-10-10T12:00:00.001Z')", "wall": "to_timestamp_ntz('1969-12-31 23:59:59.999')"},
    {"day": "date('0001-01-01')", "at": "timestamp('0001-01-01T00:00:00Z')", "wall": "to_timestamp_ntz('0001-01-01 00:00:00')"},
    {"day": "date_add(date('9999-12-31'), 1)", "at": "timestamp('9999-12-31T23:59:59.999Z')", "wall": "to_timestamp_ntz('9999-12-31 23:59:59')"},
    {"day": "date_add(date('0001-01-01'), -367)"},
    {"day": "date_add(date('0001-01-01'), -1)"},
    {"words": "array()"},
    {"words": "array('a', null, 'c')"},
    {"words": "array(cast(null as string))"},
    {"nested": "named_struct('a', null, 'b', null)"},
    {"nested": "named_struct('a', 'x', 'b', named_struct('c', null, 'd', null))"},
    {"nested": "named_struct('a', null, 'b', named_struct('c', 7L, 'd', array(null, named_struct('e', null, 'f', null), named_struct('e', 1e21D, 'f', date('2024-02-29')))))"},
    {"by_word": "map()"},
    {"by_word": "map('a', 1.5D, 'b\"', null)"},
    {"by_number": "map(1, 'one', -2, null)"},
    {"by_flag": "map(true, 1, false, null)"},
    {"by_double": "map(1.5D, 1, 1e10D, 2, double('NaN'), 3)"},
    {"by_money": "map(1.5, 1, -0.25, 2)"},
]


def select(row):
    values = (
        f"cast({row.get(name, 'null')} as {kind}) as `{name}`" for name, kind in COLUMNS.items()
    )
    return "select " + ", ".join(values)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        .config("spark.sql.ansi.enabled", "false")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    table = spark.sql(" union all ".join(select(row) for row in ROWS)).coalesce(1)
    with tempfile.TemporaryDirectory() as folder:
        table.write.parquet(f"{folder}/parquet")
        # Written from the Parquet file, so that both files have the same order of rows and map entries.
        spark.read.parquet(f"{folder}/parquet").coalesce(1).write.json(f"{folder}/json")
        (made,) = glob.glob(f"{folder}/parquet/*.parquet")
        shutil.copy(made, f"{here}/rows.parquet")
        (made,) = glob.glob(f"{folder}/json/*.json")
        shutil.copy(made, f"{here}/rows.json")
    spark.stop()


if __name__ == "__main__":
    main()
