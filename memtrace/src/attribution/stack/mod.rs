//! Stacks: the calls that led to allocations. Each is kept once, as places in the kernel and in files, so that a program that
//! is loaded elsewhere each time has the same ones.

mod maps;
mod names;

use std::{
    cell::RefCell,
    collections::{HashMap, hash_map::Entry},
    path::PathBuf,
    sync::Arc,
};

use self::maps::{Files, Maps};
use crate::{
    kernel::symbols::Symbols,
    stream::{
        calls::StackNames,
        decode::{Frames, UserCall},
        event::{Address, NO_STACK, ProcessId, StackId},
    },
};

/// Most stacks that are kept; beyond, allocations are counted without theirs.
const MAX_STACKS: usize = 1 << 16;

/// Most processes whose memory maps are remembered.
const MAX_MAPS: usize = 1 << 10;

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Frame {
    Kernel(Address),
    /// In a file, at this offset.
    File(FileId, u64),
    /// In memory of no file: made at run time.
    Anonymous,
    /// Outside of all code: the function before it keeps no frame pointer, so that the way back is lost.
    Lost,
    /// The process was gone before its memory could be looked at.
    Gone,
    /// In a file that the process has not mapped any more.
    Unmapped,
}

type FileId = u32;

/// All stacks that were seen.
pub struct Stacks {
    /// One allocation in this many carries its stack.
    pub period: u32,
    ids: HashMap<Box<[Frame]>, StackId>,
    stacks: Vec<Box<[Frame]>>,
    files: Files,
    maps: HashMap<ProcessId, Option<Maps>>,
    /// Allocations whose stacks there was no room for.
    pub refused: u64,
    symbols: Option<Arc<Symbols>>,
    names: names::Names,
    known: RefCell<HashMap<Frame, String>>,
}

impl Stacks {
    /// `symbols` is None where the kernel hides its symbols.
    pub fn new(period: u32, symbols: Option<Arc<Symbols>>) -> Self {
        Self {
            period,
            ids: HashMap::new(),
            stacks: Vec::new(),
            files: Files::default(),
            maps: HashMap::new(),
            refused: 0,
            symbols,
            names: names::Names::default(),
            known: RefCell::default(),
        }
    }

    /// The number of a stack of this process.
    pub fn enter(&mut self, process: ProcessId, frames: Frames<'_>) -> StackId {
        let mut calls: Vec<Frame> = frames.kernel().map(Frame::Kernel).collect();
        calls.extend(frames.user().enumerate().map(|(depth, call)| self.user_frame(process, depth, call)));
        // Frames after one of these are not reliable.
        if let Some(end) =
            calls.iter().position(|frame| matches!(frame, Frame::Gone | Frame::Lost | Frame::Unmapped))
        {
            calls.truncate(end + 1);
        }
        if calls.is_empty() {
            return NO_STACK;
        }
        if let Some(&id) = self.ids.get(&calls[..]) {
            return id;
        }
        if self.stacks.len() == MAX_STACKS {
            self.refused += 1;
            return NO_STACK;
        }
        self.stacks.push(calls.clone().into());
        let id = self.stacks.len() as StackId;
        self.ids.insert(calls.into(), id);
        id
    }

    /// The number of the stack that was seen first last; stacks are numbered from 1.
    pub fn last_id(&self) -> StackId {
        self.stacks.len() as StackId
    }

    /// The process runs another program from now on.
    pub fn forget(&mut self, process: ProcessId) {
        self.maps.remove(&process);
    }

    fn name(&self, frame: Frame) -> String {
        match self.known.borrow_mut().entry(frame) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(unknown) => unknown.insert(self.find_name(frame)).clone(),
        }
    }

    /// A return address is behind the call: one byte before it is inside.
    fn find_name(&self, frame: Frame) -> String {
        match frame {
            Frame::Kernel(address) => self
                .symbols
                .as_ref()
                .and_then(|symbols| symbols.function(address.saturating_sub(1)))
                .unwrap_or_else(|| format!("{address:#x}")),
            Frame::File(file, offset) => {
                let file = self.files.get(file);
                let function = self.names.function(file, offset.saturating_sub(1));
                function.unwrap_or_else(|| format!("{}+{offset:#x}", file.name()))
            }
            Frame::Anonymous => "(code made at run time)".to_owned(),
            Frame::Lost => "(no frame pointer)".to_owned(),
            Frame::Gone => "(the process ended)".to_owned(),
            Frame::Unmapped => "(unknown file)".to_owned(),
        }
    }

    /// The process's maps are read only if no process had the file before: most processes that make many allocations are gone by now,
    /// and others run the same program.
    fn user_frame(&mut self, process: ProcessId, depth: usize, call: UserCall) -> Frame {
        if let Some(frame) = self.files.known(call) {
            return frame;
        }
        if self.maps.len() >= MAX_MAPS && !self.maps.contains_key(&process) {
            self.maps.clear();
        }
        let files = &mut self.files;
        let maps = self.maps.entry(process).or_insert_with(|| Maps::read(process, files));
        let Some(known) = maps else { return Frame::Gone };
        if let Some(frame) = known.find(call, files) {
            return frame;
        }
        // Libraries may have been loaded since: the maps are read again, for the innermost call of a stack only.
        if depth == 0 && known.may_have_changed() {
            *maps = Maps::read(process, files);
        }
        let Some(known) = maps else { return Frame::Gone };
        known.find(call, files).unwrap_or(match call {
            UserCall::At(_) => Frame::Lost,
            UserCall::InFile(..) => Frame::Unmapped,
        })
    }
}

impl StackNames for Stacks {
    fn period(&self) -> u32 {
        self.period
    }

    fn names(&self, id: StackId) -> Vec<String> {
        let index = (id as usize).checked_sub(1);
        let stack = index.and_then(|index| self.stacks.get(index)).map_or(&[][..], |stack| stack);
        without_tracing(stack.iter().map(|&frame| self.name(frame)))
    }
}

/// A function with a trampoline appears on both sides of our program: it was called once.
fn without_tracing(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut calls: Vec<String> = Vec::new();
    let mut is_behind = false;
    for name in names {
        if is_of_tracing(&name) {
            is_behind = true;
        } else if !(std::mem::take(&mut is_behind) && calls.last() == Some(&name)) {
            calls.push(name);
        }
    }
    calls
}

/// What stands before the allocator, and where a trampoline is: our program, and how the kernel calls it.
fn is_of_tracing(function: &str) -> bool {
    ["bpf_prog_", "bpf_trace_run", "__bpf_trace_", "__traceiter_", "bpf_get_stack", "trace_event_raw_"]
        .iter()
        .any(|prefix| function.starts_with(prefix))
}

/// A file that is mapped into a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MappedFile {
    path: PathBuf,
    /// Its device and inode, as they were when it was mapped: another file may have the path by now.
    device: (u32, u32),
    inode: u64,
    /// A process that had it, whose root it is below.
    tgid: u32,
}

impl MappedFile {
    fn name(&self) -> String {
        self.path.file_name().map_or_else(|| "?".to_owned(), |name| name.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests;
