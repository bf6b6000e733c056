//! The image for containers, by buildah: `packaging/Containerfile` says what is in it. It needs no daemon and no registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::store::Store;
use super::{architecture, committed, container, emptied, tree, version};
use crate::command::CommandExt;
use crate::paths;

pub fn make(memtrace: &Path, directory: &Path) -> Result<PathBuf> {
    let (context, store) = (directory.join("image"), Store::empty(directory.join("image-store"))?);
    emptied(&context)?;
    tree::copy(memtrace, &context.join("memtrace"))?;
    Command::new("strip").arg(context.join("memtrace")).check()?;
    for path in ["THIRD-PARTY.md", "packaging/Containerfile"] {
        let from = paths::root().join(path);
        tree::copy(&from, &context.join(from.file_name().context("it has a name")?))?;
    }
    let tag = format!("memtrace:{}", version()?);
    let file = directory.join(format!("memtrace-{}-{}.oci.tar", version()?, architecture()?));
    let _ = fs::remove_file(&file);
    let mut build = store.buildah();
    // Nothing is run in it, so it is not isolated, which not every host could.
    build.args([
        "build",
        "--isolation",
        "chroot",
        "--format",
        "oci",
        "--timestamp",
        &committed()?,
        "--tag",
        &tag,
    ]);
    build.arg(&context).text()?;
    store.buildah().args(["push", &tag]).arg(format!("oci-archive:{}:{tag}", file.display())).text()?;
    check(&store, &tag)?;
    container::check(&store, &tag)?;
    Ok(file)
}

/// One layer, and what a manifest relies on.
fn check(store: &Store, tag: &str) -> Result<()> {
    let inspected = store.buildah().args(["inspect", "--type", "image", tag]).text()?;
    let image: Value = serde_json::from_str(&inspected)?;
    let oci = &image["OCIv1"];
    ensure!(oci["config"]["Entrypoint"] == serde_json::json!(["/usr/bin/memtrace"]), "it starts {oci}");
    ensure!(oci["architecture"] == architecture()?, "it is for {}", oci["architecture"]);
    Ok(())
}
