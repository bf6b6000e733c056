//! memtrace's own benchmarks of single stages, `cargo bench` in its crate: built with the rest, run here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use xtask::command::{CommandExt, cargo};

/// A line of the benchmarks' output. What one does not measure is left out.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub stage: String,
    pub name: String,
    pub events_per_s: Option<f64>,
    pub ns_per_event: Option<f64>,
    /// In a recording.
    pub bytes_per_event: Option<f64>,
    /// Allocated for each outstanding object.
    pub bytes_per_object: Option<f64>,
    /// The same by what is resident.
    pub resident_bytes_per_object: Option<f64>,
    pub outstanding: Option<u64>,
    pub longest_pause_ns: Option<f64>,
    /// How many times as many events two threads follow as one does.
    pub against_one: Option<f64>,
}

/// Builds the program that has them.
pub fn build() -> Result<PathBuf> {
    let messages = cargo()
        .args(["bench", "--package", "memtrace", "--bench", "stages", "--no-run"])
        .args(["--message-format", "json-render-diagnostics"])
        .text()?;
    executable(&messages).context("cargo built no program for the benchmark stages")
}

/// The benchmark's program among those that cargo built, a JSON object a line: memtrace itself is another.
fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_it = |message: &Value| message["target"]["kind"][0] == "bench";
    messages.filter(is_it).find_map(|message| Some(message["executable"].as_str()?.into()))
}

pub fn run(program: &Path, quick: bool) -> Result<Vec<Figures>> {
    eprintln!("stages");
    parse(&Command::new(program).arg("--json").args(quick.then_some("--quick")).text()?)
}

fn parse(output: &str) -> Result<Vec<Figures>> {
    let lines = output.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).with_context(|| format!("not figures: {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_benchmark_writes_a_line_of_json_for_each_figure() {
        let output = "warming up\n\
                      {\"stage\":\"ledger\",\"name\":\"apply, 10 million\",\"events_per_s\":7.5e6,\"ns_per_event\":133.3,\
                      \"bytes_per_object\":24.0,\"outstanding\":10000000,\"longest_pause_ns\":1200000}\n\
                      {\"stage\":\"decode\",\"name\":\"decode\",\"ns_per_event\":4.5}\n";
        let figures = parse(output).unwrap();
        assert_eq!(figures.len(), 2);
        assert_eq!((figures[0].outstanding, figures[0].bytes_per_object), (Some(10_000_000), Some(24.0)));
        assert_eq!((figures[1].events_per_s, figures[1].ns_per_event), (None, Some(4.5)));
        assert!(parse("{\"name\":3}\n").is_err());
    }

    #[test]
    fn the_program_is_found_in_what_cargo_prints() {
        let artifact = r#"{"reason":"compiler-artifact","executable":null}
warning: x
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"memtrace"},"executable":"/t/release/memtrace"}
"#;
        let bench = r#"{"reason":"compiler-artifact","target":{"kind":["bench"],"name":"stages"},"executable":"/t/release/deps/stages-1"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executable(&format!("{artifact}{bench}")), Some("/t/release/deps/stages-1".into()));
        assert_eq!(executable(artifact), None);
    }
}
