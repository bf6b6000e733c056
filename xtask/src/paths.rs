//! Where things are. All that xtask makes is under `target/`, so that `cargo clean` removes it.

use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a directory of the workspace")
}

pub fn target(relative: impl AsRef<Path>) -> PathBuf {
    root().join("target").join(relative)
}

/// The eBPF object. `memtrace/build.rs` looks for it in the same place.
pub fn bpf_object() -> PathBuf {
    target("bpf/memtrace.bpf.o")
}

/// The path as a person in the repository would type it.
pub fn shown(path: &Path) -> std::path::Display<'_> {
    path.strip_prefix(root()).unwrap_or(path).display()
}
