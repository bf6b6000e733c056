//! From bytes in the ring to [`Event`]s and [`ProcessEvent`]s.

pub mod cpu_ring;

use std::mem::offset_of;

use memtrace_common::{
    COMM_LEN,
    event::{
        ARGUMENTS_LEN, AT_ADDRESS, AllocEvent, AllocStackEvent, BUILD_ID_LEN, ExecEvent, ExitEvent,
        FLAG_IO_WORKER, FLAG_KTHREAD, FLAG_MAY_REPEAT, ForkEvent, FreeEvent, Header, IN_FILE, KIND_ALLOC,
        KIND_ALLOC_STACK, KIND_EXEC, KIND_EXIT, KIND_FORK, KIND_FREE, KIND_LONG_NAME, KIND_SHORT_NAME,
        LONG_NAME_LEN, NO_CACHE, NameEvent, PATH_LEN, SHORT_NAME_LEN, UserCall as UserCallRecord, cache_tag,
    },
};

use crate::stream::event::{
    Address, Alloc, Comm, Event, Free, NO_NODE, NO_STACK, Name, ProcessEvent, ProcessId, Program, Task,
};

/// Takes what records hold.
pub trait RecordVisitor<'a> {
    fn event(&mut self, event: Event<'a>);

    /// An allocation, and the calls that led to it.
    fn alloc_with_stack(&mut self, alloc: Alloc, _frames: Frames<'a>) {
        self.event(Event::Alloc(alloc));
    }

    fn process(&mut self, _event: ProcessEvent<'a>) {}

    /// A record that cannot be decoded.
    fn undecodable(&mut self) {}
}

/// For those who need the events of objects alone.
impl<'a, F: FnMut(Event<'a>)> RecordVisitor<'a> for F {
    fn event(&mut self, event: Event<'a>) {
        self(event);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("a record of {len} bytes is too short to have a kind")]
    NoHeader { len: usize },
    #[error("a record of kind {kind} has {len} bytes, not {expected}")]
    Length { kind: u16, len: usize, expected: usize },
    #[error("a record of unknown kind {kind}")]
    UnknownKind { kind: u16 },
}

/// A call of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserCall {
    /// So many bytes from the start of the file with this build id.
    InFile([u8; BUILD_ID_LEN], u64),
    At(Address),
}

/// Calls, the innermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames<'a> {
    kernel: &'a [u8],
    user: &'a [u8],
}

impl Frames<'_> {
    pub fn kernel(&self) -> impl Iterator<Item = Address> {
        addresses(self.kernel)
    }

    pub fn user(&self) -> impl Iterator<Item = UserCall> {
        const LEN: usize = size_of::<UserCallRecord>();
        self.user.as_chunks::<LEN>().0.iter().filter_map(|bytes| {
            let UserCallRecord { status, build_id, place } = read(bytes)?;
            match status {
                IN_FILE => Some(UserCall::InFile(build_id, place)),
                AT_ADDRESS => Some(UserCall::At(place)),
                _ => None,
            }
        })
    }
}

fn addresses(bytes: &[u8]) -> impl Iterator<Item = Address> {
    bytes.as_chunks().0.iter().map(|&address| Address::from_ne_bytes(address))
}

/// A record type that any bytes of its size are a valid value of.
///
/// # Safety
/// The type is `repr(C)`, has no padding, and consists of integers only.
unsafe trait Record: Copy {}

// SAFETY: see the definitions in `memtrace_common::event`, and the size assertions there.
unsafe impl Record for Header {}
// SAFETY: as above.
unsafe impl Record for AllocEvent {}
// SAFETY: as above.
unsafe impl Record for FreeEvent {}
// SAFETY: as above.
unsafe impl Record for UserCallRecord {}
// SAFETY: as above.
unsafe impl Record for ForkEvent {}
// SAFETY: as above.
unsafe impl Record for ExitEvent {}

/// Decodes one record and hands it to the visitor, unless it is malformed. Texts are borrowed from `bytes`.
pub fn decode<'a>(bytes: &'a [u8], visitor: &mut impl RecordVisitor<'a>) -> Result<(), DecodeError> {
    let header: Header = read(bytes).ok_or(DecodeError::NoHeader { len: bytes.len() })?;
    match header.kind {
        KIND_ALLOC => visitor.event(Event::Alloc(alloc(exactly(header.kind, bytes)?))),
        KIND_ALLOC_STACK => {
            let (alloc, frames) = alloc_with_stack(header.kind, bytes)?;
            visitor.alloc_with_stack(alloc, frames);
        }
        KIND_FREE => visitor.event(free(exactly(header.kind, bytes)?)),
        KIND_SHORT_NAME => visitor.event(name::<SHORT_NAME_LEN>(header.kind, bytes)?),
        KIND_LONG_NAME => visitor.event(name::<LONG_NAME_LEN>(header.kind, bytes)?),
        KIND_FORK => visitor.process(fork(exactly(header.kind, bytes)?)),
        KIND_EXEC => visitor.process(exec(header.kind, bytes)?),
        KIND_EXIT => visitor.process(exit(exactly(header.kind, bytes)?)),
        kind => return Err(DecodeError::UnknownKind { kind }),
    }
    Ok(())
}

fn fork(record: ForkEvent) -> ProcessEvent<'static> {
    let ForkEvent { tgid, started, parent_tgid, parent_started, parent_comm, .. } = record;
    ProcessEvent::Fork {
        process: ProcessId { tgid, started },
        parent: ProcessId { tgid: parent_tgid, started: parent_started },
        parent_comm: Comm::new(parent_comm),
    }
}

/// Its texts are not copied.
fn exec(kind: u16, bytes: &[u8]) -> Result<ProcessEvent<'_>, DecodeError> {
    check_length(kind, bytes, size_of::<ExecEvent>())?;
    let number = |offset| u32_at(bytes, offset);
    let text = |offset: usize, len: u32, room: usize| &bytes[offset..offset + (len as usize).min(room)];
    let path = text(offset_of!(ExecEvent, path), number(offset_of!(ExecEvent, path_len)), PATH_LEN);
    let arguments = number(offset_of!(ExecEvent, arguments_len));
    let comm = text(offset_of!(ExecEvent, comm), COMM_LEN as u32, COMM_LEN);
    Ok(ProcessEvent::Exec {
        process: ProcessId {
            tgid: number(offset_of!(ExecEvent, tgid)),
            started: number(offset_of!(ExecEvent, started)),
        },
        parent: ProcessId {
            tgid: number(offset_of!(ExecEvent, parent_tgid)),
            started: number(offset_of!(ExecEvent, parent_started)),
        },
        comm: Comm::new(comm.try_into().expect("it has this length")),
        program: Program {
            path: path.split(|&byte| byte == 0).next().unwrap_or_default(),
            arguments: text(offset_of!(ExecEvent, arguments), arguments, ARGUMENTS_LEN),
        },
    })
}

fn exit(record: ExitEvent) -> ProcessEvent<'static> {
    let ExitEvent { tgid, started, .. } = record;
    ProcessEvent::Exit { process: ProcessId { tgid, started } }
}

/// Only the frames that are there are looked at.
fn alloc_with_stack(kind: u16, bytes: &[u8]) -> Result<(Alloc, Frames<'_>), DecodeError> {
    check_length(kind, bytes, size_of::<AllocStackEvent>())?;
    let record = read(bytes).expect("the length was checked");
    let (kernel, user) = (offset_of!(AllocStackEvent, kernel), offset_of!(AllocStackEvent, user));
    let frames = Frames {
        kernel: stack_bytes(bytes, kernel, offset_of!(AllocStackEvent, kernel_len), user - kernel),
        user: stack_bytes(bytes, user, offset_of!(AllocStackEvent, user_len), bytes.len() - user),
    };
    Ok((alloc(record), frames))
}

/// A stack that is as long as a field says, but `most` bytes.
fn stack_bytes(bytes: &[u8], offset: usize, len_offset: usize, most: usize) -> &[u8] {
    let len = i32::from_ne_bytes(u32_at(bytes, len_offset).to_ne_bytes());
    let len = usize::try_from(len).unwrap_or(0).min(most);
    &bytes[offset..offset + len]
}

fn alloc(record: AllocEvent) -> Alloc {
    let AllocEvent { header, tgid, ptr, time_ns: time, cache, call_site, cgroup, comm, started, gfp } =
        record;
    let is_kthread = header.flags & FLAG_KTHREAD != 0;
    let task = Task { tgid, started, comm: Comm::new(comm), is_kthread };
    let may_repeat = header.flags & FLAG_MAY_REPEAT != 0;
    let is_io_worker = header.flags & FLAG_IO_WORKER != 0;
    Alloc {
        time,
        ptr,
        cache,
        call_site,
        cgroup,
        stack: NO_STACK,
        gfp,
        node: NO_NODE,
        task,
        is_io_worker,
        may_repeat,
    }
}

fn free(record: FreeEvent) -> Event<'static> {
    let FreeEvent { header, cache_tag: tag, ptr } = record;
    let is_told = tag != cache_tag(NO_CACHE) && header.flags & FLAG_MAY_REPEAT == 0;
    Event::Free(Free { ptr, cache: is_told.then_some(tag) })
}

/// A name's record is read field by field, so that the names themselves are not copied.
fn name<const N: usize>(kind: u16, bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    check_length(kind, bytes, size_of::<NameEvent<N>>())?;
    let text = |offset: usize, len_offset: usize| {
        let len = u32_at(bytes, len_offset) as usize;
        &bytes[offset..offset + len.min(N)]
    };
    Ok(Event::Name(Name {
        dentry: u64_at(bytes, offset_of!(NameEvent<N>, dentry)),
        name: text(offset_of!(NameEvent<N>, name), offset_of!(NameEvent<N>, name_len)),
        parent: text(offset_of!(NameEvent<N>, parent_name), offset_of!(NameEvent<N>, parent_name_len)),
    }))
}

fn exactly<T: Record>(kind: u16, bytes: &[u8]) -> Result<T, DecodeError> {
    check_length(kind, bytes, size_of::<T>())?;
    Ok(read(bytes).expect("the length was checked"))
}

fn check_length(kind: u16, bytes: &[u8], expected: usize) -> Result<(), DecodeError> {
    if bytes.len() == expected {
        Ok(())
    } else {
        Err(DecodeError::Length { kind, len: bytes.len(), expected })
    }
}

fn read<T: Record>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: there are enough bytes, any bytes are a valid T, and the read need not be aligned.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_ne_bytes(bytes[offset..offset + 4].try_into().expect("4 bytes"))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_ne_bytes(bytes[offset..offset + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests;
