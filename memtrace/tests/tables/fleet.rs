//! Parquet files, and those who read them.

use std::{path::Path, time::Duration};

use insta::assert_snapshot;
use serde_json::{Map, Value};

use crate::{
    printed, read,
    recordings::{leak, monday},
    shown::hostile,
};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/fleet.md");

fn export(directory: &Path, recording: &str, name: &str) {
    for command in ["report", "events"] {
        let table = if command == "report" { "outstanding" } else { "events" };
        std::fs::create_dir_all(directory.join(table)).unwrap();
        let out = format!("{table}/{name}.parquet");
        assert_eq!(printed(directory, &[command, recording, "-o", "parquet", "--out", &out]), "");
    }
}

/// Two hosts on two days: one leaks, the other does not.
fn fleet() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let day = Duration::from_secs(24 * 3600);
    let recordings = [("web-01", 0, 100), ("web-01", 1, 400), ("web-02", 0, 60), ("web-02", 1, 60)];
    for (host, days, objects) in recordings {
        let path = directory.path().join("a.rec");
        leak(&path, host, monday() + days * day, objects);
        export(directory.path(), "a.rec", &format!("{host}-day{days}"));
    }
    directory
}

#[test]
fn duckdb_answers_each_query_of_the_document() {
    let directory = fleet();
    let Some(answers) = answers(directory.path(), "sql") else { return };
    assert_snapshot!(answers);
}

/// The same questions, of the same files.
#[test]
fn clickhouse_answers_as_duckdb_does() {
    answers_as_duckdb_does("clickhouse");
}

#[test]
#[ignore = "it takes Java, and `target/python/bin/pip install pyspark`: half a gigabyte for three queries"]
fn spark_answers_as_duckdb_does() {
    answers_as_duckdb_does("spark");
}

fn answers_as_duckdb_does(language: &str) {
    let directory = fleet();
    let Some(others) = answers(directory.path(), language) else { return };
    let duckdb = answers(directory.path(), "sql").expect("they are installed together");
    let duckdb: Vec<_> = duckdb.split("\n\n").collect();
    for answer in others.trim().split("\n\n") {
        assert!(duckdb.contains(&answer), "DuckDB does not say\n{answer}");
    }
}

/// What an engine answers to the queries that the document has for it, each below its title.
fn answers(directory: &Path, language: &str) -> Option<String> {
    let answers = read(directory, &["queries", DOCUMENT, language])?;
    let queries = std::fs::read_to_string(DOCUMENT).unwrap().matches(&format!("```{language}\n")).count();
    assert_eq!(answers.matches("## ").count(), queries, "each query has a title of its own");
    // Each tells something.
    for answer in answers.trim().split("\n\n") {
        assert!(answer.lines().count() > 2, "{answer}");
    }
    Some(answers)
}

#[test]
fn pyarrow_knows_the_types() {
    let directory = tempfile::tempdir().unwrap();
    hostile(&directory.path().join("a.rec"));
    export(directory.path(), "a.rec", "a");
    let Some(events) = read(directory.path(), &["schema", "events/a.parquet"]) else { return };
    let outstanding = read(directory.path(), &["schema", "outstanding/a.parquet"]).unwrap();
    assert_snapshot!(format!("{events}\n{outstanding}"));
}

fn objects(lines: &str) -> Vec<Map<String, Value>> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whatever names are, the table has what the lines have.
#[test]
fn pyarrow_reads_what_ndjson_says() {
    let directory = tempfile::tempdir().unwrap();
    hostile(&directory.path().join("a.rec"));
    export(directory.path(), "a.rec", "a");
    let Some(rows) = read(directory.path(), &["rows", "events/a.parquet"]) else { return };
    assert_snapshot!(rows);
    let lines = printed(directory.path(), &["events", "a.rec", "-o", "json"]);
    let (rows, lines) = (objects(&rows), objects(&lines));
    assert_eq!(rows.len(), lines.len() - 1);
    for (row, line) in rows.iter().zip(&lines[1..]) {
        assert_eq!(row["kind"], line["type"]);
        let object = row.get("object").map(|object| format!("{:#x}", object.as_u64().unwrap()));
        assert_eq!(object.as_deref(), line.get("object").and_then(Value::as_str));
        for field in [
            "elapsed_ns",
            "cache",
            "bytes",
            "pid",
            "cgroup",
            "call_site",
            "age_ns",
            "filesystem",
            "is_negative",
        ] {
            assert_eq!(row.get(field), line.get(field), "{field}");
        }
    }
}

#[test]
fn pyarrow_reads_what_is_outstanding() {
    let directory = tempfile::tempdir().unwrap();
    leak(&directory.path().join("a.rec"), "web-01", monday(), 4);
    export(directory.path(), "a.rec", "a");
    let Some(rows) = read(directory.path(), &["rows", "outstanding/a.parquet"]) else { return };
    let mut lines: Vec<&str> = rows.lines().collect();
    lines.sort_unstable();
    assert_snapshot!(lines.join("\n"));
}

/// More rows than a group has.
#[test]
fn long_tables_have_groups() {
    const OBJECTS: u64 = 70_000;
    let directory = tempfile::tempdir().unwrap();
    leak(&directory.path().join("a.rec"), "web-01", monday(), OBJECTS);
    export(directory.path(), "a.rec", "a");
    let Some(schema) = read(directory.path(), &["schema", "events/a.parquet"]) else { return };
    let rows = |line: &str| line.strip_prefix("group of ")?.strip_suffix(" rows")?.parse().ok();
    let groups: Vec<u64> = schema.lines().filter_map(rows).collect();
    // Allocations, names, and each second one looked at; 10 allocations, 7 frees and a mark.
    let events = OBJECTS * 2 + OBJECTS / 2 + 18;
    assert_eq!(groups, [1 << 17, events - (1 << 17)]);
}

#[test]
fn a_table_of_nothing_is_one() {
    let directory = fleet();
    let path = directory.path();
    leak(&path.join("b.rec"), "web-03", monday(), 2);
    let arguments = ["report", "b.rec", "--comm", "nobody", "-o", "parquet", "--out", "empty.parquet"];
    assert_eq!(printed(path, &arguments), "");
    let Some(rows) = read(path, &["rows", "empty.parquet"]) else { return };
    assert_eq!(rows, "");
}
