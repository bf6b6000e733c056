//! Packs an initramfs: the init, the job's programs, a disk image, the kernel's module for it, and those that tests load.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use vm_init::{job, to_list};

use super::kernels::Kernel;
use crate::command::{CommandExt, which};

/// What a VM is to run.
#[derive(Default)]
pub struct Job {
    pub argv: Vec<String>,
    pub env: Vec<String>,
    /// Runs beside it; may be empty.
    pub workload: Vec<String>,
    /// A file of the VM that is wanted here afterwards.
    pub fetch: Option<Fetch>,
    /// Rows and columns of the terminal.
    pub winsize: Option<(u16, u16)>,
}

/// A file that the job may leave.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Where it is in the VM.
    pub from: String,
    /// Where it goes; empty where the job leaves none.
    pub to: std::path::PathBuf,
}

/// The static binaries that go in, and where the init finds them.
pub struct Programs {
    pub init: std::path::PathBuf,
    pub memtrace: std::path::PathBuf,
    pub kernel_tests: std::path::PathBuf,
}

pub const MEMTRACE: &str = "/bin/memtrace";
pub const KERNEL_TESTS: &str = "/bin/kernel-tests";

const DISK_SIZE: &str = "64M";
/// Enough for tests that make tens of thousands of files.
const DISK_INODES: &str = "65536";

pub fn pack(job: &Job, programs: &Programs, kernel: &Kernel, to: &Path) -> Result<()> {
    let file = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    // Not compressed: the kernel would take longer to decompress it, emulated, than to read it.
    let mut archive = Archive::new(io::BufWriter::new(file));
    for directory in ["bin", "dev", "job", job::MODULES, "mnt", "proc", "run", "sys", "tmp"] {
        archive.directory(directory)?;
    }
    archive.program("/init", &programs.init)?;
    archive.program(MEMTRACE, &programs.memtrace)?;
    archive.program(KERNEL_TESTS, &programs.kernel_tests)?;

    archive.file(job::ARGV, 0o644, to_list(&job.argv).as_bytes())?;
    archive.file(job::ENV, 0o644, to_list(&job.env).as_bytes())?;
    archive.file(job::WORKLOAD, 0o644, to_list(&job.workload).as_bytes())?;
    let fetch = job.fetch.as_ref().map_or("", |fetch| &fetch.from);
    archive.file(job::FETCH, 0o644, fetch.as_bytes())?;
    let winsize = job.winsize.map(|(rows, columns)| format!("{rows} {columns}")).unwrap_or_default();
    archive.file(job::WINSIZE, 0o644, winsize.as_bytes())?;
    archive.file(job::DISK_MODULE, 0o644, &module(&kernel.disk_module)?)?;
    for (name, path) in &kernel.test_modules {
        archive.file(&format!("{}/{name}.ko", job::MODULES), 0o644, &module(path)?)?;
    }
    archive.file(job::DISK_IMAGE, 0o644, &disk_image(&to.with_extension("disk"))?)?;
    archive.finish()?.flush().with_context(|| format!("cannot write {}", to.display()))
}

/// The module, decompressed: not every kernel here can do that by itself.
fn module(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_none_or(|extension| extension == "ko") {
        return fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    }
    let output =
        Command::new("xz").args(["--decompress", "--stdout"]).arg(path).output().context("cannot run xz")?;
    if !output.status.success() {
        bail!("cannot decompress {}: {}", path.display(), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(output.stdout)
}

/// An empty ext4 filesystem. Made anew each time: it is small and takes no time.
fn disk_image(path: &Path) -> Result<Vec<u8>> {
    let mkfs = which("mkfs.ext4").context("there is no mkfs.ext4; run: cargo xtask setup")?;
    fs::remove_file(path).ok();
    Command::new(mkfs).args(["-q", "-F", "-N", DISK_INODES]).arg(path).arg(DISK_SIZE).text()?;
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes a cpio archive in the "newc" format, as the kernel's Documentation/driver-api/early-userspace/buffer-format.rst has it.
pub struct Archive<W> {
    out: W,
    entries: u32,
}

impl<W: Write> Archive<W> {
    pub fn new(out: W) -> Self {
        Self { out, entries: 0 }
    }

    pub fn directory(&mut self, path: &str) -> io::Result<()> {
        self.entry(path.trim_start_matches('/'), 0o040_755, &[])
    }

    pub fn program(&mut self, path: &str, from: &Path) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        Ok(self.file(path, 0o755, &bytes)?)
    }

    pub fn file(&mut self, path: &str, permissions: u32, data: &[u8]) -> io::Result<()> {
        self.entry(path.trim_start_matches('/'), 0o100_000 | permissions, data)
    }

    pub fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, &[])?;
        Ok(self.out)
    }

    fn entry(&mut self, path: &str, mode: u32, data: &[u8]) -> io::Result<()> {
        self.entries += 1;
        let size = u32::try_from(data.len())
            .map_err(|_| io::Error::other(format!("{path} is too large for cpio")))?;
        let name_size = u32::try_from(path.len() + 1).expect("a path is short");
        // Inode, mode, uid, gid, links, mtime, size, four device numbers, length of the name, check.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.out.write_all(b"070701")?;
        for field in fields {
            write!(self.out, "{field:08X}")?;
        }
        self.out.write_all(path.as_bytes())?;
        self.out.write_all(b"\0")?;
        self.pad(110 + path.len() + 1)?;
        self.out.write_all(data)?;
        self.pad(data.len())
    }

    /// Names and data are padded to four bytes.
    fn pad(&mut self, written: usize) -> io::Result<()> {
        self.out.write_all(&[0; 3][..written.next_multiple_of(4) - written])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_is_newc() {
        let mut archive = Archive::new(Vec::new());
        archive.directory("bin").unwrap();
        archive.file("/bin/x", 0o755, b"hello").unwrap();
        let bytes = archive.finish().unwrap();
        let expected = concat!(
            "070701",
            "00000001",
            "000041ED",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000004",
            "00000000",
            "bin\0\0\0",
            "070701",
            "00000002",
            "000081ED",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000005",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000006",
            "00000000",
            "bin/x\0",
            "hello\0\0\0",
            "070701",
            "00000003",
            "00000000",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "0000000B",
            "00000000",
            "TRAILER!!!\0\0\0\0",
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
