//! Single events and Parquet, from recordings that are made by hand, by the command and by what reads its files: DuckDB,
//! ClickHouse's engine and pyarrow.

mod agree;
mod fleet;
mod python;
mod recordings;
mod shown;

use std::{
    path::Path,
    process::{Command, Output},
};

/// What the command does with these arguments, in a directory.
fn memtrace(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memtrace"));
    command.current_dir(directory).args(arguments).output().expect("the command starts")
}

/// What it prints where it succeeds.
fn printed(directory: &Path, arguments: &[&str]) -> String {
    let output = memtrace(directory, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "memtrace {arguments:?}: {errors}");
    assert_eq!(errors, "", "memtrace {arguments:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What the script reads. None where there is no Python for it.
fn read(directory: &Path, arguments: &[&str]) -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tables/read.py");
    python::python(directory, &[&[script], arguments].concat())
}
