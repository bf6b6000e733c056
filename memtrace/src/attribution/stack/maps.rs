//! Which files a process has mapped where, from /proc/PID/maps.

use std::{
    cell::Cell,
    collections::HashMap,
    ffi::OsString,
    fs,
    ops::Range,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

use blazesym::helper::read_elf_build_id;
use memtrace_common::event::BUILD_ID_LEN;

use super::{FileId, Frame, MappedFile, names};
use crate::{
    attribution::process::procfs,
    stream::{
        decode::UserCall,
        event::{Address, ProcessId},
    },
};

/// All files that were mapped, each once.
#[derive(Default)]
pub struct Files {
    files: Vec<MappedFile>,
    ids: HashMap<(u64, (u32, u32), PathBuf), FileId>,
    by_build_id: HashMap<[u8; BUILD_ID_LEN], FileId>,
    /// So many of the files were asked for their build ids.
    asked: usize,
}

impl Files {
    pub fn get(&self, id: FileId) -> &MappedFile {
        &self.files[id as usize]
    }

    /// A call in a file that some process had.
    pub fn known(&self, call: UserCall) -> Option<Frame> {
        match call {
            UserCall::InFile(build_id, offset) => {
                self.by_build_id.get(&build_id).map(|&file| Frame::File(file, offset))
            }
            UserCall::At(_) => None,
        }
    }

    /// Learns the build ids of those files that are new, of which `mapped` tells where the process has them.
    fn learn(&mut self, tgid: u32, mapped: &[Area]) {
        for id in self.asked as FileId..self.files.len() as FileId {
            let is_it = |area: &&Area| area.file.is_some_and(|(file, _)| file == id);
            let area = mapped.iter().find(is_it).and_then(|area| as_mapped(tgid, &area.addresses));
            // Who may not look at what is mapped may read the file.
            let place = || names::place(&self.files[id as usize]);
            if let Some(build_id) = area.or_else(place).and_then(|path| build_id(&path)) {
                self.by_build_id.entry(build_id).or_insert(id);
            }
        }
        self.asked = self.files.len();
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
const MAX_INSPECTED: u32 = 8;

impl Maps {
    /// None where the process is gone, or its number is another's.
    pub fn read(process: ProcessId, files: &mut Files) -> Option<Self> {
        let text = fs::read(format!("/proc/{}/maps", process.tgid)).ok()?;
        let seen = procfs::read(process.tgid)?;
        (process.started.wrapping_sub(seen.process.started) <= seen.slack).then_some(())?;
        let maps = Some(Self::parse(&text, process.tgid, files)).filter(|maps| !maps.areas.is_empty())?;
        files.learn(process.tgid, &maps.areas);
        Some(maps)
    }

    pub fn parse(text: &[u8], tgid: u32, files: &mut Files) -> Self {
        let areas = text.split(|&byte| byte == b'\n').filter_map(|line| area(line, tgid, files)).collect();
        Self { areas, looks: Cell::new(0) }
    }

    /// Whether it is worth looking again.
    pub fn may_have_changed(&self) -> bool {
        self.looks.set(self.looks.get() + 1);
        self.looks.get() <= MAX_INSPECTED
    }

    /// None outside of all areas.
    pub fn find(&self, call: UserCall, files: &Files) -> Option<Frame> {
        let UserCall::At(address) = call else { return files.known(call) };
        let area = self.areas.iter().find(|area| area.addresses.contains(&address))?;
        let Some((file, start)) = area.file else { return Some(Frame::Anonymous) };
        Some(Frame::File(file, start + (address - area.addresses.start)))
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

/// The file that a process has mapped there, whatever its path leads to by now. No device: it would be opened.
fn as_mapped(tgid: u32, addresses: &Range<Address>) -> Option<PathBuf> {
    let Range { start, end } = addresses;
    let path = PathBuf::from(format!("/proc/{tgid}/map_files/{start:x}-{end:x}"));
    fs::metadata(&path).is_ok_and(|found| found.is_file()).then_some(path)
}

fn build_id(file: &Path) -> Option<[u8; BUILD_ID_LEN]> {
    let id = read_elf_build_id(&file).ok()??;
    // The kernel pads shorter ones.
    let mut build_id = [0; BUILD_ID_LEN];
    build_id.get_mut(..id.len())?.copy_from_slice(&id);
    Some(build_id)
}
