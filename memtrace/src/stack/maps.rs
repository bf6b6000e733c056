//! Which files a process has mapped where, from /proc/PID/maps.

use std::{
    cell::Cell, collections::HashMap, ffi::OsString, fs, ops::Range, os::unix::ffi::OsStringExt as _,
    path::PathBuf,
};

use super::{FileId, MappedFile};
use crate::{
    event::{Address, ProcessId},
    process::procfs,
};

/// All files that were mapped, each once.
#[derive(Default)]
pub struct Files {
    files: Vec<MappedFile>,
    ids: HashMap<(u64, (u32, u32), PathBuf), FileId>,
}

impl Files {
    pub fn get(&self, id: FileId) -> &MappedFile {
        &self.files[id as usize]
    }

    fn enter(&mut self, file: MappedFile) -> FileId {
        let key = (file.inode, file.device, file.path.clone());
        *self.ids.entry(key).or_insert_with(|| {
            self.files.push(file);
            (self.files.len() - 1) as FileId
        })
    }
}

/// The executable parts of a process's memory.
pub struct Maps {
    areas: Vec<Area>,
    /// Looked at again so often.
    looks: Cell<u32>,
}

struct Area {
    addresses: Range<Address>,
    /// None where it is of no file; else the file, and where in it the area begins.
    file: Option<(FileId, u64)>,
}

/// A library that is not found twice will not be found the third time.
const MOST_LOOKS: u32 = 8;

impl Maps {
    /// None where the process is gone, or its number is another's.
    pub fn read(process: ProcessId, files: &mut Files) -> Option<Self> {
        let text = fs::read(format!("/proc/{}/maps", process.tgid)).ok()?;
        let seen = procfs::look(process.tgid)?;
        (process.started.wrapping_sub(seen.process.started) <= seen.slack).then_some(())?;
        Some(Self::parse(&text, process.tgid, files)).filter(|maps| !maps.areas.is_empty())
    }

    pub fn parse(text: &[u8], tgid: u32, files: &mut Files) -> Self {
        let areas = text.split(|&byte| byte == b'\n').filter_map(|line| area(line, tgid, files)).collect();
        Self { areas, looks: Cell::new(0) }
    }

    /// Whether it is worth looking again.
    pub fn may_have_changed(&self) -> bool {
        self.looks.set(self.looks.get() + 1);
        self.looks.get() <= MOST_LOOKS
    }

    /// None outside of all areas. Else the file and the offset in it, if it is one.
    pub fn find(&self, address: Address) -> Option<Option<(FileId, u64)>> {
        let area = self.areas.iter().find(|area| area.addresses.contains(&address))?;
        Some(area.file.map(|(file, start)| (file, start + (address - area.addresses.start))))
    }
}

/// `55f1c0a00000-55f1c0a21000 r-xp 00002000 fd:01 1234   /usr/bin/curl`, if code can run there.
fn area(line: &[u8], tgid: u32, files: &mut Files) -> Option<Area> {
    let mut fields = line.splitn(6, |&byte| byte == b' ');
    let mut word = || fields.next().and_then(|field| std::str::from_utf8(field).ok());
    let (start, end) = word()?.split_once('-')?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let addresses = hex(start)?..hex(end)?;
    word()?.contains('x').then_some(())?;
    let offset = hex(word()?)?;
    let (major, minor) = word()?.split_once(':')?;
    let device = (u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
    let inode: u64 = word()?.parse().ok()?;
    let path = fields.next().map(<[u8]>::trim_ascii_start).unwrap_or_default();
    let file = (inode != 0).then(|| {
        let path = PathBuf::from(OsString::from_vec(path.to_vec()));
        (files.enter(MappedFile { path, device, inode, tgid }), offset)
    });
    Some(Area { addresses, file })
}
