//! Who has a file open: /proc/PID/fd.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    path::Path,
    rc::Rc,
    time::Instant,
};

use rustix::fs::{AtFlags, StatxFlags, statx};

use super::process::parse_stat;

/// Of a file, whatever its names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InodeId {
    /// Of the filesystem's device.
    pub major: u32,
    pub minor: u32,
    pub number: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    pub comm: Vec<u8>,
}

/// Who has which of these files open, as far as it was found out in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    pub by_inode: HashMap<InodeId, Vec<Rc<Holder>>>,
    /// All files of all processes were asked for that we may ask.
    pub is_whole: bool,
}

pub fn holders(proc: &Path, wanted: &HashSet<InodeId>, deadline: Instant) -> Holders {
    let mut holders = Holders { is_whole: true, ..Holders::default() };
    if wanted.is_empty() {
        return holders;
    }
    let processes = fs::read_dir(proc).into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        let directory = proc.join(pid.to_string());
        let mut open = HashSet::new();
        for file in open_files(&directory.join("fd")) {
            // One process may have a million.
            if Instant::now() >= deadline {
                holders.is_whole = false;
                break;
            }
            open.extend(file.filter(|file| wanted.contains(file)));
        }
        holders.add(pid, &directory, open);
        if !holders.is_whole {
            break;
        }
    }
    holders
}

impl Holders {
    fn add(&mut self, pid: u32, directory: &Path, open: HashSet<InodeId>) {
        if open.is_empty() {
            return;
        }
        let stat = fs::read(directory.join("stat")).ok().and_then(|text| parse_stat(&text));
        let Some(comm) = stat.map(|stat| stat.comm) else { return };
        let holder = Rc::new(Holder { pid, comm });
        for inode in open {
            self.by_inode.entry(inode).or_default().push(Rc::clone(&holder));
        }
    }
}

/// What a process has open, none where one was closed meanwhile. A network filesystem whose server is gone must not hold us up.
fn open_files(directory: &Path) -> impl Iterator<Item = Option<InodeId>> {
    let files = File::open(directory).ok().zip(fs::read_dir(directory).ok());
    files.into_iter().flat_map(|(files, entries)| {
        entries.flatten().map(move |entry| {
            let status = statx(&files, entry.file_name(), AtFlags::STATX_DONT_SYNC, StatxFlags::INO).ok()?;
            let (major, minor, number) = (status.stx_dev_major, status.stx_dev_minor, status.stx_ino);
            Some(InodeId { major, minor, number })
        })
    })
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::MetadataExt as _, time::Duration};

    use super::*;

    #[test]
    fn we_have_our_own_file_open() {
        let file = tempfile::tempfile().unwrap();
        let metadata = file.metadata().unwrap();
        let (device, number) = (metadata.dev(), metadata.ino());
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let own = InodeId { major, minor, number };
        let find = |wanted: &[InodeId], time| {
            let wanted = wanted.iter().copied().collect();
            holders(Path::new("/proc"), &wanted, Instant::now() + time)
        };
        let found = find(&[own], Duration::from_secs(60));
        let holders = &found.by_inode[&own];
        assert!(holders.iter().any(|holder| holder.pid == std::process::id()), "{found:?}");
        drop(file);
        assert!(find(&[own], Duration::from_secs(60)).by_inode.is_empty());
        assert!(!find(&[own], Duration::ZERO).is_whole && find(&[], Duration::ZERO).is_whole);
    }
}
