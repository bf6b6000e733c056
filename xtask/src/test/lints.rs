//! What is checked without running memtrace: the tree's rules, the format, clippy's lints, other people's licences.

use std::time::Instant;

use anyhow::Result;

use super::summary::Row;
use crate::command::{CommandExt, cargo};
use crate::executables::Build;
use crate::{licences, tidy};

/// A lint, a wrong format, a licence that is not accepted and a broken rule are each a failure.
pub fn check(build: &Build) -> Row {
    let start = Instant::now();
    let mut row = Row::new("lints", "");
    count(&mut row, cargo().args(["fmt", "--all", "--check"]).check());
    // In the tests' own build, which has the build scripts and macros already.
    let mut clippy = build.command(&["clippy", "--workspace", "--all-targets", "--quiet"]);
    count(&mut row, clippy.args(["--", "--deny", "warnings"]).check());
    licences::check().into_iter().for_each(|result| count(&mut row, result));
    match tidy::check_tree() {
        Ok(rules) => {
            let broken = tidy::report(&rules);
            row.counts.passed += rules.len() - broken;
            row.counts.failed += broken;
        }
        Err(error) => row.fail(format!("{error:#}")),
    }
    row.took = start.elapsed();
    row
}

fn count(row: &mut Row, result: Result<()>) {
    match result {
        Ok(()) => row.pass(),
        Err(error) => row.fail(format!("{error:#}")),
    }
}
