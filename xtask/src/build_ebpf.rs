//! The one builder of the eBPF object.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use aya_obj::Object;

use crate::command::CommandExt;
use crate::paths;
use crate::toolchain::{BPF_TARGET, BpfRust};

pub fn main() -> Result<ExitCode> {
    build()?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the object and says what is in it.
pub fn build() -> Result<()> {
    let built = compile("memtrace-ebpf")?;
    let object = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    print!(
        "{}",
        describe(&object).with_context(|| format!("{} is no object that aya reads", built.display()))?
    );
    publish(&object, &paths::bpf_object())
}

/// Compiles one of the package's objects, and gives its path.
pub fn compile(object: &str) -> Result<PathBuf> {
    let rust = BpfRust::find().context("there is no rustc that can build for BPF; run: cargo xtask setup")?;
    let linker = rust.linker().with_context(|| {
        format!("there is no working bpf-linker for LLVM {}; run: cargo xtask setup", rust.llvm)
    })?;
    let target = paths::target("bpf");
    let package = ["--package", "memtrace-ebpf", "--bin", object, "--target-dir"];
    rust.cargo_build(&linker).args(package).arg(&target).check()?;
    Ok(compiled(object))
}

/// Where [`compile`] leaves an object.
pub fn compiled(object: &str) -> PathBuf {
    paths::target("bpf").join(BPF_TARGET).join("release").join(object)
}

/// Leaves an object alone that is the same already: its time says to cargo whether memtrace is out of date.
fn publish(object: &[u8], to: &Path) -> Result<()> {
    if fs::read(to).is_ok_and(|old| old == object) {
        return Ok(());
    }
    fs::write(to, object).with_context(|| format!("cannot write {}", to.display()))
}

fn describe(bytes: &[u8]) -> Result<String> {
    let object = Object::parse(bytes)?;
    let mut text = format!("{}  {} bytes\n", paths::shown(&paths::bpf_object()), bytes.len());

    let mut programs: Vec<_> = object.programs.iter().collect();
    programs.sort_by_key(|(name, _)| *name);
    for (name, program) in programs {
        let function = object.functions.get(&(program.section_index, program.address));
        let instructions = function.map_or(0, |function| function.instructions.len());
        text.push_str(&format!(
            "  program {name:<26} {:<16} {instructions:>5} insns\n",
            format!("{:?}", program.section)
        ));
    }

    let mut maps: Vec<_> = object.maps.iter().collect();
    maps.sort_by_key(|(name, _)| *name);
    for (name, map) in maps {
        let (key, value, entries) = (map.key_size(), map.value_size(), map.max_entries());
        text.push_str(&format!("  map     {name:<26} key {key}, value {value}, max {entries}\n"));
    }
    Ok(text)
}
