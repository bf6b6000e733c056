//! Memory that is no slab object: a process's own, shared, and that of files.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use rustix::fs::{MemfdFlags, memfd_create};

use super::{Held, Prepared, objects::MADE};

/// Written at once.
const CHUNK: usize = 1 << 20;

pub fn heap(bytes: usize) -> Prepared {
    // Not of zeros, which the kernel would not need memory for.
    Box::new(move || Box::new(vec![1_u8; bytes]) as Held)
}

pub fn shared(bytes: usize) -> Prepared {
    Box::new(move || {
        let mut file = File::from(memfd_create("memtrace-test", MemfdFlags::CLOEXEC).expect(MADE));
        let chunk = vec![1; CHUNK];
        let mut left = bytes;
        while left > 0 {
            let now = left.min(CHUNK);
            file.write_all(&chunk[..now]).expect(MADE);
            left -= now;
        }
        Box::new(file) as Held
    })
}

/// A file that is removed when dropped.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The file takes no room on the disk: it is one hole, of whose pages the kernel keeps those that were read.
pub fn read_file(within: &Path, number: usize, bytes: usize) -> Prepared {
    let path = within.join(format!("file-{number}"));
    let file = File::create(&path).expect("the test's directory is ours");
    file.set_len(bytes as u64).expect(MADE);
    let removed = Removed(path);
    Box::new(move || {
        let mut file = File::open(&removed.0).expect("it was made just now");
        io::copy(&mut file, &mut io::sink()).expect("it can be read");
        Box::new(removed) as Held
    })
}
