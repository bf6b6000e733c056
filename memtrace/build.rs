//! Puts the eBPF object where the library embeds it from.
//!
//! `cargo xtask build-ebpf` makes the object; a packager may name another one in MEMTRACE_BPF_OBJECT. While there is none,
//! an empty file stands in for it, so that `cargo check`, clippy and rust-analyzer work in a fresh clone; the library says at
//! run time what to do about it.

use std::path::{Path, PathBuf};
use std::{env, fs};

const OVERRIDE: &str = "MEMTRACE_BPF_OBJECT";

fn main() {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    println!("cargo::rerun-if-changed=build.rs");
    let object = match env::var_os(OVERRIDE) {
        Some(path) => {
            fs::read(&path).unwrap_or_else(|error| panic!("{OVERRIDE}={}: {error}", path.display()))
        }
        None => built_object(),
    };
    let embedded = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("memtrace.bpf.o");
    fs::write(&embedded, object).unwrap_or_else(|error| panic!("{}: {error}", embedded.display()));
}

/// The object that xtask built, empty if it has not yet.
fn built_object() -> Vec<u8> {
    // Asked when it runs: a tree that was moved or copied has its script from where it was.
    let package = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let directory = Path::new(&package).join("../target/bpf");
    let path = directory.join("memtrace.bpf.o");
    match fs::read(&path) {
        Ok(object) => {
            println!("cargo::rerun-if-changed={}", path.display());
            object
        }
        Err(_) => {
            // Cargo takes a file that is missing for changed, in every build; a directory changes when the object
            // comes. Where it cannot be made, every build runs this script, no more.
            fs::create_dir_all(&directory).ok();
            println!("cargo::rerun-if-changed={}", directory.display());
            Vec::new()
        }
    }
}
