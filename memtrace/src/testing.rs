//! What tests of several rooms need.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A program of this text. Another process writes it: while this one has a file open to write, what other tests start has it open too
/// until it is executed, and who would run the file is told that it is busy.
pub fn executable(directory: &Path, text: &str) -> PathBuf {
    let (written, path) = (directory.join("text"), directory.join("program"));
    fs::write(&written, text).unwrap();
    let installed = Command::new("install").args(["-m", "755"]).args([&written, &path]).status();
    assert!(installed.unwrap().success());
    path
}
