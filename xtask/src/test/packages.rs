//! What people install, made of the program that the tests have built, and checked.

use std::path::Path;
use std::time::Instant;

use super::summary::Row;
use crate::{package, paths};

/// A package that cannot be made, or in which its checker finds an error, is a failure.
pub fn check(memtrace: &Path) -> Row {
    let start = Instant::now();
    let mut row = Row::new("packages", "");
    match package::try_out(memtrace, &paths::target("package-test")) {
        Ok(()) => row.pass(),
        Err(error) => row.fail(format!("{error:#}")),
    }
    row.took = start.elapsed();
    row
}
