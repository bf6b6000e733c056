//! memtrace's own benchmarks of single stages, `cargo bench` in its crate: built with the rest, run here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::{CommandExt, cargo};
use crate::paths;

/// Names of the benchmarks.
const BENCHES: [&str; 3] = ["decode", LEDGER, RECORDING];
pub const LEDGER: &str = "ledger";
pub const RECORDING: &str = "recording";

/// A benchmark that is built.
#[derive(Clone, Debug)]
pub struct Built {
    pub name: String,
    pub program: PathBuf,
}

/// As on our own command line: `ledger=PATH`.
impl std::str::FromStr for Built {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, program) = text.split_once('=').ok_or("it is no NAME=PATH")?;
        Ok(Self { name: name.to_owned(), program: program.into() })
    }
}

impl Built {
    pub fn as_argument(&self) -> String {
        format!("{}={}", self.name, self.program.display())
    }
}

/// What one benchmark said.
#[derive(Debug, Serialize)]
pub struct Results {
    pub name: String,
    pub figures: Vec<Figures>,
    /// Why there are none.
    pub missing: Option<String>,
}

/// A line of a benchmark's output. What it does not measure is null or left out.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
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
}

/// Builds those that this tree has.
pub fn build() -> Result<Vec<Built>> {
    let here = BENCHES.iter().filter(|name| source(name).is_file());
    here.map(|name| Ok(Built { name: (*name).to_owned(), program: build_one(name)? })).collect()
}

fn source(name: &str) -> PathBuf {
    paths::root().join("memtrace/benches").join(name).with_extension("rs")
}

fn build_one(name: &str) -> Result<PathBuf> {
    let messages = cargo()
        .args(["bench", "--package", "memtrace", "--bench", name, "--no-run"])
        .args(["--message-format", "json-render-diagnostics"])
        .text()?;
    executable(&messages, name).with_context(|| format!("cargo built no program for the benchmark {name}"))
}

/// The benchmark's program among those that cargo says it built, a JSON object a line: memtrace itself is another.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_it = |message: &Value| {
        message["target"]["kind"][0] == "bench" && message["target"]["name"].as_str() == Some(name)
    };
    messages.filter(is_it).find_map(|message| Some(message["executable"].as_str()?.into()))
}

pub fn run(built: &[Built], quick: bool) -> Result<Vec<Results>> {
    let mut results = Vec::new();
    for name in BENCHES {
        let Some(bench) = built.iter().find(|bench| bench.name == name) else {
            let missing = Some("this tree has no such benchmark".to_owned());
            results.push(Results { name: name.to_owned(), figures: Vec::new(), missing });
            continue;
        };
        eprintln!("benchmark {name}");
        let figures = run_one(&bench.program, quick).with_context(|| format!("the benchmark {name}"))?;
        results.push(Results { name: name.to_owned(), figures, missing: None });
    }
    Ok(results)
}

fn run_one(program: &Path, quick: bool) -> Result<Vec<Figures>> {
    let output = Command::new(program).arg("--json").args(quick.then_some("--quick")).text()?;
    parse(&output)
}

fn parse(output: &str) -> Result<Vec<Figures>> {
    let lines = output.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).with_context(|| format!("it said {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_benchmark_says_a_line_of_json_for_each_figure() {
        let output = "warming up\n\
                      {\"name\":\"apply, 10 million\",\"events_per_s\":7.5e6,\"ns_per_event\":133.3,\"bytes_per_object\":24.0,\
                      \"outstanding\":10000000,\"longest_pause_ns\":1200000}\n\
                      {\"name\":\"decode\",\"ns_per_event\":4.5}\n";
        let figures = parse(output).unwrap();
        assert_eq!(figures.len(), 2);
        assert_eq!((figures[0].outstanding, figures[0].bytes_per_object), (Some(10_000_000), Some(24.0)));
        assert_eq!((figures[1].events_per_s, figures[1].ns_per_event), (None, Some(4.5)));
        assert!(parse("{\"name\":3}\n").is_err());
    }

    #[test]
    fn the_program_is_found_in_what_cargo_says() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
warning: x
{"reason":"compiler-artifact","target":{"kind":["bench"],"name":"ledger"},"executable":"/t/release/deps/ledger-1"}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"memtrace"},"executable":"/t/release/memtrace"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executable(messages, "ledger"), Some("/t/release/deps/ledger-1".into()));
        assert_eq!(executable(messages, "decode"), None);
    }

    #[test]
    fn a_built_benchmark_is_passed_on() {
        let built: Built = "ledger=/t/a=b".parse().unwrap();
        assert_eq!((built.name.as_str(), built.as_argument().as_str()), ("ledger", "ledger=/t/a=b"));
        assert!("ledger".parse::<Built>().is_err());
    }
}
