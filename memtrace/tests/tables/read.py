"""Reads Parquet files as others do. Prints text for the tests to compare.

    read.py schema FILE         what pyarrow says of the columns and the metadata
    read.py rows FILE           what pyarrow reads, a line of JSON for each row
    read.py queries DOCUMENT LANGUAGE
                                what is answered to each query of the document, in this directory: to those in `sql` by DuckDB, to
                                those in `clickhouse` by ClickHouse's engine, to those in `spark` by Spark, which must be installed
"""

import json
import pathlib
import re
import sys


def schema(path):
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(path)
    for field in file.schema_arrow:
        print(f"{field.name}: {field.type}")
    metadata = file.metadata
    print(f"created by {metadata.created_by}")
    for key, value in sorted(metadata.metadata.items()):
        print(f"{key.decode()} = {value.decode()!r}")
    for group in range(metadata.num_row_groups):
        columns = [metadata.row_group(group).column(column) for column in range(metadata.num_columns)]
        print(f"group of {metadata.row_group(group).num_rows} rows")
        assert all(column.compression == "ZSTD" for column in columns)
        for column in columns:
            is_text = str(column.physical_type) == "BYTE_ARRAY"
            is_dictionary = "RLE_DICTIONARY" in column.encodings
            assert is_dictionary or not is_text, f"{column.path_in_schema}: {column.encodings}"


def rows(path):
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    table.validate(full=True)
    columns = {}
    for field in table.schema:
        column = table[field.name]
        # As a number: Python's times have no nanoseconds.
        is_time = str(field.type).startswith("timestamp")
        columns[field.name] = (column.cast("int64") if is_time else column).to_pylist()
    for row in zip(*columns.values()):
        print(json.dumps({k: v for k, v in zip(columns, row) if v is not None}, ensure_ascii=False))


def duckdb_session():
    import duckdb

    session = duckdb.connect()

    def ask(query):
        answer = session.execute(query)
        return [column[0] for column in answer.description], answer.fetchall()

    return ask


def clickhouse_session():
    import chdb

    def ask(query):
        lines = [json.loads(line) for line in str(chdb.query(query, "JSONCompactEachRowWithNames")).splitlines()]
        return lines[0], lines[1:]

    return ask


def spark_session():
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.shuffle.partitions", "1").getOrCreate()

    def ask(script):
        # The last statement is the question.
        for statement in filter(str.strip, script.split(";\n")):
            answer = session.sql(statement)
        return answer.columns, answer.collect()

    return ask


SESSIONS = {"sql": duckdb_session, "clickhouse": clickhouse_session, "spark": spark_session}


def blocks(text, language):
    """Each block of this language, with the title above it."""
    title = None
    for heading, name, block in re.findall(r"^#+ (.*?)$|^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        title = heading or title
        if name == language:
            yield title, block


def queries(document, language):
    ask = SESSIONS[language]()
    for title, query in blocks(pathlib.Path(document).read_text(), language):
        columns, rows = ask(query)
        print(f"## {title}")
        print(" | ".join(columns))
        for row in rows:
            print(" | ".join(str(value) for value in row))
        print()


{"schema": schema, "rows": rows, "queries": queries}[sys.argv[1]](*sys.argv[2:])
