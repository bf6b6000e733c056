//! From bytes in a CPU's ring to events: see [`memtrace_common::cpu_ring`].

use std::mem::offset_of;

use memtrace_common::{
    cpu_ring::{
        ALLOC, ALLOC_AGAIN, ALLOC_STACK, AllocRecord, AllocStackRecord, CONTEXT, Context, FREE, FREE_AGAIN,
        Head, KIND_MASK, LONG_NAME, NameRecord, SHORT_NAME,
    },
    event::{FLAG_IO_WORKER, FLAG_KTHREAD, LONG_NAME_LEN, NO_CACHE, SHORT_NAME_LEN, cache_tag},
};

use super::{DecodeError, Frames, Record, RecordVisitor, read, stack_bytes, u32_at, u64_at};
use crate::stream::event::{Alloc, CgroupId, Comm, Event, Free, NO_NODE, NO_STACK, Name, Task, TimeNs};

// SAFETY: see the definitions in `memtrace_common::cpu_ring`, and the size assertions there.
unsafe impl Record for Head {}
// SAFETY: as above.
unsafe impl Record for AllocRecord {}
// SAFETY: as above.
unsafe impl Record for Context {}

/// The next event of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    pub stamp: u32,
    /// Bytes of the context in front of it, and of both.
    pub start: usize,
    pub end: usize,
}

/// Reads the records of one ring.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    task: Task,
    cgroup: CgroupId,
    is_io_worker: bool,
}

impl Default for Decoder {
    /// The context that a writer begins with.
    fn default() -> Self {
        let task = Task { tgid: 0, started: 0, comm: Comm::default(), is_kthread: false };
        Self { task, cgroup: 0, is_io_worker: false }
    }
}

impl Decoder {
    /// Looks at the event that comes next; the context in front of it is noted.
    #[inline]
    pub fn look(&mut self, bytes: &[u8]) -> Result<Next, DecodeError> {
        let (head, len) = record(bytes)?;
        if head.object & KIND_MASK != CONTEXT {
            return Ok(Next { stamp: head.stamp, start: 0, end: len });
        }
        self.enter(read(bytes).expect("the length was checked"));
        let (head, event_len) = record(&bytes[len..])?;
        Ok(Next { stamp: head.stamp, start: len, end: len + event_len })
    }

    fn enter(&mut self, context: Context) {
        let [process, flags, cgroup, comm_start, comm_end] = context.by;
        let comm = u128::from(comm_start) | u128::from(comm_end) << 64;
        self.task = Task {
            tgid: process as u32,
            started: (process >> 32) as u32,
            comm: Comm::new(comm.to_le_bytes()),
            is_kthread: flags & u64::from(FLAG_KTHREAD) != 0,
        };
        self.cgroup = cgroup;
        self.is_io_worker = flags & u64::from(FLAG_IO_WORKER) != 0;
    }

    /// Hands the event that [`Self::look`] found, and that these bytes begin with, to the visitor. Texts are borrowed.
    #[inline]
    pub fn decode<'a>(&self, bytes: &'a [u8], time: TimeNs, visitor: &mut impl RecordVisitor<'a>) {
        let Some(head) = read::<Head>(bytes) else { return };
        match head.object & KIND_MASK {
            kind @ (ALLOC | ALLOC_AGAIN) => {
                visitor.event(Event::Alloc(self.alloc(bytes, time, kind == ALLOC_AGAIN)));
            }
            ALLOC_STACK => {
                let may_repeat = u64_at(bytes, offset_of!(AllocStackRecord, may_repeat)) != 0;
                visitor.alloc_with_stack(self.alloc(bytes, time, may_repeat), frames(bytes));
            }
            SHORT_NAME => visitor.event(Event::Name(name::<SHORT_NAME_LEN>(bytes))),
            LONG_NAME => visitor.event(Event::Name(name::<LONG_NAME_LEN>(bytes))),
            kind @ (FREE | FREE_AGAIN) => {
                let is_told = head.detail != cache_tag(NO_CACHE) && kind == FREE;
                let ptr = head.object & !KIND_MASK;
                visitor.event(Event::Free(Free { ptr, cache: is_told.then_some(head.detail) }));
            }
            _ => {}
        }
    }

    fn alloc(&self, bytes: &[u8], time: TimeNs, may_repeat: bool) -> Alloc {
        let AllocRecord { head, cache, call_site } = read(bytes).expect("the length was checked");
        Alloc {
            time,
            ptr: head.object & !KIND_MASK,
            cache,
            call_site,
            cgroup: self.cgroup,
            stack: NO_STACK,
            gfp: head.detail,
            node: NO_NODE,
            task: self.task,
            is_io_worker: self.is_io_worker,
            may_repeat,
        }
    }
}

/// How the record that the bytes begin with does, and how long it is.
#[inline]
fn record(bytes: &[u8]) -> Result<(Head, usize), DecodeError> {
    let head: Head = read(bytes).ok_or(DecodeError::NoHeader { len: bytes.len() })?;
    let kind = head.object & KIND_MASK;
    let expected = match kind {
        FREE | FREE_AGAIN => size_of::<Head>(),
        ALLOC | ALLOC_AGAIN => size_of::<AllocRecord>(),
        ALLOC_STACK => size_of::<AllocStackRecord>(),
        SHORT_NAME => size_of::<NameRecord<SHORT_NAME_LEN>>(),
        LONG_NAME => size_of::<NameRecord<LONG_NAME_LEN>>(),
        _ => size_of::<Context>(),
    };
    if bytes.len() < expected {
        return Err(DecodeError::Length { kind: kind as u16, len: bytes.len(), expected });
    }
    Ok((head, expected))
}

/// Only the frames that are there are looked at.
fn frames(bytes: &[u8]) -> Frames<'_> {
    let (kernel, user) = (offset_of!(AllocStackRecord, kernel), offset_of!(AllocStackRecord, user));
    let end = size_of::<AllocStackRecord>();
    Frames {
        kernel: stack_bytes(bytes, kernel, offset_of!(AllocStackRecord, kernel_len), user - kernel),
        user: stack_bytes(bytes, user, offset_of!(AllocStackRecord, user_len), end - user),
    }
}

/// Field by field, so that the names themselves are not copied.
fn name<const N: usize>(bytes: &[u8]) -> Name<'_> {
    let text = |offset: usize, len_offset: usize| {
        let len = u32_at(bytes, len_offset) as usize;
        &bytes[offset..offset + len.min(N)]
    };
    Name {
        dentry: u64_at(bytes, offset_of!(NameRecord<N>, head)) & !KIND_MASK,
        name: text(
            offset_of!(NameRecord<N>, name),
            offset_of!(NameRecord<N>, head) + offset_of!(Head, detail),
        ),
        parent: text(offset_of!(NameRecord<N>, parent_name), offset_of!(NameRecord<N>, parent_name_len)),
    }
}

#[cfg(test)]
mod tests;
