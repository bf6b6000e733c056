//! Where images are while they are made and run: a store of our own, whatever the host's containers do.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::emptied;

/// Who runs containers, and with what.
pub const PODMAN: &str = "podman";
pub const RUNTIME: &str = "runc";

/// Removed with `target/`, but for what is there while something runs.
pub struct Store {
    pub directory: PathBuf,
    /// podman takes no path of more than 50 characters for it, and a working copy may be in a longer one.
    run: PathBuf,
}

impl Store {
    pub fn empty(directory: PathBuf) -> Result<Self> {
        let run = std::env::temp_dir().join(format!("memtrace-image-{}", std::process::id()));
        emptied(&directory)?;
        emptied(&run)?;
        Ok(Self { directory, run })
    }

    pub fn buildah(&self) -> Command {
        self.command("buildah")
    }

    pub fn podman(&self) -> Command {
        let mut podman = self.command(PODMAN);
        podman.args(["--cgroup-manager", "cgroupfs", "--runtime", RUNTIME]);
        podman
    }

    /// Files are copied, since not every host can mount an overlay.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--root").arg(self.directory.join("root")).arg("--runroot").arg(&self.run);
        command.args(["--storage-driver", "vfs"]);
        command
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.run);
    }
}
