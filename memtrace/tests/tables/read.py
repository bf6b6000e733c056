"""Reads Parquet files as others do. Prints text for the tests to compare.

    read.py schema FILE         what pyarrow says of the columns and the metadata
    read.py rows FILE           what pyarrow reads, a line of JSON for each row
    read.py queries DOCUMENT    what DuckDB answers to each query of the document, in this directory
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


def queries(document):
    import duckdb

    session = duckdb.connect()
    text = pathlib.Path(document).read_text()
    for title, query in re.findall(r"^## (.*?)$.*?^```sql\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        print(f"## {title}")
        answer = session.execute(query)
        print(" | ".join(column[0] for column in answer.description))
        for row in answer.fetchall():
            print(" | ".join(str(value) for value in row))
        print()


{"schema": schema, "rows": rows, "queries": queries}[sys.argv[1]](sys.argv[2])
