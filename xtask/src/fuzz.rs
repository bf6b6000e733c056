//! Feeds memtrace's readers what nobody wrote: coverage-guided, by libFuzzer.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::command::{CommandExt, cargo};
use crate::paths;

/// Feed memtrace's readers random bytes until one breaks: cargo xtask fuzz texts --seconds 600
///
/// What was found worth keeping is kept in target/fuzz/corpus, and what broke a reader in target/fuzz/broken; a file of either
/// can be given to the fuzzer again. Needs a C++ compiler.
#[derive(clap::Args)]
pub struct Args {
    /// What to feed; without, all in turn
    #[arg(value_parser = TARGETS)]
    target: Option<String>,
    /// How long, for each
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

const TARGETS: [&str; 9] =
    ["events", "texts", "procfs", "header", "index", "definitions", "block", "recording", "btf"];

/// Longer input finds nothing new: a long name takes half a kilobyte, and a small recording has ten.
const MAX_INPUT: u32 = 16 << 10;

/// No reader takes more for an input of that length, the sanitizer's own memory included, nor so long.
const MOST_MEGABYTES: u32 = 768;
const MOST_SECONDS: u32 = 20;

/// What cargo-fuzz would pass: coverage that libFuzzer reads, and the address sanitizer.
const FLAGS: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Zsanitizer=address",
];

pub fn main(args: &Args) -> Result<ExitCode> {
    for target in TARGETS {
        if args.target.as_ref().is_none_or(|chosen| chosen == target) {
            fuzz(target, args.seconds).with_context(|| format!("{target}: see target/fuzz/broken"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn fuzz(target: &str, seconds: u32) -> Result<()> {
    let directory = paths::target("fuzz");
    let [corpus, broken] = ["corpus", "broken"].map(|kind| directory.join(kind).join(target));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&broken)?;
    let mut run = cargo();
    run.current_dir(paths::root().join("memtrace/fuzz"));
    // Sanitizers are not stable. With a target, the flags are not build scripts' too.
    run.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    run.args(["run", "--release", "--bin", target, "--target", &host, "--target-dir"])
        .arg(&directory)
        .arg("--");
    run.arg(&corpus);
    // What is worth to begin with, and stays as it is.
    let kept = paths::root().join("memtrace/tests/fixtures/fuzz").join(target);
    run.args(kept.is_dir().then_some(kept));
    run.arg(format!("-artifact_prefix={}/", broken.display()));
    run.args([format!("-max_total_time={seconds}"), format!("-max_len={MAX_INPUT}")]);
    run.args([format!("-rss_limit_mb={MOST_MEGABYTES}"), format!("-timeout={MOST_SECONDS}")]).check()
}
