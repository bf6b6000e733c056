//! Reports a recording from a VM on the host: it tells there what it told here.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::command::CommandExt;

/// What the test in the VM recorded.
const COMM: &str = "for-the-host";
const OBJECTS: u64 = 700;

/// Fails unless the recording is of this kernel and has what was there.
pub fn check(memtrace: &Path, recording: &Path, kernel: &str) -> Result<()> {
    let report = Command::new(memtrace)
        .arg("report")
        .arg(recording)
        .args(["--output", "json"])
        .text()
        .context("the VM's recording cannot be reported here")?;
    let report: Value = serde_json::from_str(&report)?;
    ensure!(report["kernel"] == kernel, "the recording is of {}, not of {kernel}", report["kernel"]);
    let row = report["rows"].as_array().into_iter().flatten().find(|row| row["comm"] == COMM);
    let objects = row.and_then(|row| row["objects"].as_u64());
    ensure!(objects == Some(OBJECTS), "the VM's recording has {objects:?} objects of {COMM}, not {OBJECTS}");
    Ok(())
}
