//! Which files a process has mapped where, from /proc/PID/maps.

use std::{
    cell::Cell,
    collections::HashMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use blazesym::helper::read_elf_build_id;
use memtrace_common::event::BUILD_ID_LEN;

use super::{FileId, Frame, MappedFile, names};
use crate::{
    attribution::process::running,
    procfs::maps::{self, Mapping},
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
    /// Files whose build ids were read.
    learned: usize,
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

    /// Reads the build ids of new files; `mapped` says where the process has them.
    fn learn(&mut self, tgid: u32, mapped: &[Area]) {
        for id in self.learned as FileId..self.files.len() as FileId {
            let is_it = |area: &&Area| area.file.is_some_and(|(file, _)| file == id);
            let area = mapped.iter().find(is_it).and_then(|area| as_mapped(tgid, &area.addresses));
            // Without permission for map_files the file itself may still be readable.
            let place = || names::place(&self.files[id as usize]);
            if let Some(build_id) = area.or_else(place).and_then(|path| build_id(&path)) {
                self.by_build_id.entry(build_id).or_insert(id);
            }
        }
        self.learned = self.files.len();
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
    /// How often [`Self::may_have_changed`] was asked.
    reads: Cell<u32>,
}

struct Area {
    addresses: Range<Address>,
    /// None for anonymous memory; else the file, and where in it the area begins.
    file: Option<(FileId, u64)>,
}

/// Maps are read again at most this often: a library that was not found by then will not be.
const MAX_READS: u32 = 8;

impl Maps {
    /// None where the process is gone, or its number is another's.
    pub fn read(process: ProcessId, files: &mut Files) -> Option<Self> {
        let text = fs::read(format!("/proc/{}/maps", process.tgid)).ok()?;
        let now = running(process.tgid)?;
        (process.started.wrapping_sub(now.process.started) <= now.slack).then_some(())?;
        let parsed = Some(Self::parse(&text, process.tgid, files)).filter(|maps| !maps.areas.is_empty())?;
        files.learn(process.tgid, &parsed.areas);
        Some(parsed)
    }

    pub fn parse(text: &[u8], tgid: u32, files: &mut Files) -> Self {
        let areas = maps::parse(text).filter_map(|mapping| area(mapping, tgid, files)).collect();
        Self { areas, reads: Cell::new(0) }
    }

    /// Whether it is worth reading them again.
    pub fn may_have_changed(&self) -> bool {
        self.reads.set(self.reads.get() + 1);
        self.reads.get() <= MAX_READS
    }

    /// None outside of all areas.
    pub fn find(&self, call: UserCall, files: &Files) -> Option<Frame> {
        let UserCall::At(address) = call else { return files.known(call) };
        let area = self.areas.iter().find(|area| area.addresses.contains(&address))?;
        let Some((file, start)) = area.file else { return Some(Frame::Anonymous) };
        Some(Frame::File(file, start + (address - area.addresses.start)))
    }
}

/// None where no code can run there.
fn area(mapping: Mapping, tgid: u32, files: &mut Files) -> Option<Area> {
    mapping.is_executable.then_some(())?;
    let file = mapping.file.map(|maps::File { path, device, inode, offset }| {
        (files.enter(MappedFile { path, device, inode, tgid }), offset)
    });
    Some(Area { addresses: mapping.addresses, file })
}

/// The file that a process has mapped there, even if its path leads to another by now. Not for a device: that would be opened.
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
