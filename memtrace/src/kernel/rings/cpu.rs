//! Rings of one program on one CPU, and their reader: see [`memtrace_common::cpu_ring`].

use std::{
    mem::offset_of,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, atomic::Ordering},
};

use memtrace_common::{
    counters::{ByKind, Counters},
    cpu_ring::{Control, WRITERS, follow, in_steps, time, writer},
};
use rustix::mm::ProtFlags;

use super::{
    error::RingError,
    mapping::Mapping,
    merge::{Merge, Source},
    sizes::CpuRingSizes,
    window::ChunkWindow,
};
use crate::stream::{
    decode::{
        RecordVisitor,
        cpu_ring::{Decoder, Next},
    },
    event::TimeNs,
};

/// Bytes after which a writer gets their room back.
const RELEASE_EVERY: u64 = 16 << 10;

/// All of a session.
pub struct CpuRings {
    rings: Vec<Ring>,
    merge: Merge,
}

/// The two maps.
struct Maps {
    control: Mapping,
    chunks: OwnedFd,
}

impl CpuRings {
    /// The maps with their [`Control`]s and their chunks.
    pub fn new(control: &OwnedFd, chunks: OwnedFd, sizes: &CpuRingSizes) -> Result<Self, RingError> {
        let page = rustix::param::page_size();
        let len = (sizes.rings as usize * size_of::<Control>()).next_multiple_of(page) as u64;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let control = Mapping::new(control.as_fd(), 0, len, access)?;
        let maps = Arc::new(Maps { control, chunks });
        let of_writers = sizes.places.iter().enumerate().filter(|(_, place)| place.bytes > 0);
        let rings = of_writers.flat_map(|(writer, place)| {
            let maps = &maps;
            (0..sizes.cpus).map(move |cpu| Ring {
                maps: Arc::clone(maps),
                control: (place.ring + cpu) as usize * size_of::<Control>(),
                chunk: place.chunk + cpu * place.chunks(),
                bytes: place.bytes,
                kind: Kind::of(writer),
                window: ChunkWindow::default(),
                decoder: Decoder::default(),
                position: 0,
                at: 0,
                released: 0,
                head: 0,
                restarted: 0,
                jumped: 0,
                jump_time: 0,
                last: 0,
                next: None,
                is_odd: false,
            })
        });
        let mut rings: Vec<_> = rings.collect();
        // Of two events of the same time, that of the first ring comes first.
        rings.sort_by_key(|ring| ring.kind);
        Ok(Self { rings, merge: Merge::default() })
    }

    /// See [`super::Rings::drain`].
    pub fn drain(
        &mut self,
        most: usize,
        until: TimeNs,
        visitor: &mut impl for<'a> RecordVisitor<'a>,
    ) -> Result<usize, RingError> {
        // All of them before any is read: what happened before `until` is there now. Those of frees first, which are the last: so the
        // allocation of every object whose free is seen is there, too, even if its program took long.
        self.rings.iter_mut().rev().for_each(Ring::see);
        let mut error = None;
        let taken = self.merge.run(&mut self.rings, until, most, |ring| {
            if let Err(why) = ring.take(visitor) {
                error = Some(why);
            }
        });
        self.rings.iter_mut().for_each(Ring::release);
        for ring in &mut self.rings {
            if std::mem::take(&mut ring.is_odd) {
                visitor.undecodable();
            }
        }
        match error {
            Some(why) => Err(why),
            None => taken,
        }
    }

    /// What the writers count.
    pub fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for ring in &self.rings {
            let lost = ring.number(offset_of!(Control, lost));
            *ring.kind.count(&mut counters.emitted) += ring.number(offset_of!(Control, events)) + lost;
            *ring.kind.count(&mut counters.lost) += lost;
        }
        counters
    }
}

/// What a program writes; in the order in which these happen to an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Allocs,
    Names,
    Frees,
}

impl Kind {
    fn of(writer: usize) -> Self {
        match writer {
            writer::KMEM_CACHE_FREE
            | writer::KFREE
            | writer::KMEM_CACHE_FREE_BACKUP
            | writer::KFREE_BACKUP
            | writer::FREE_FENTRY
            | writer::FREE_BULK_FENTRY
            | writer::KFREE_RCU_SHEAF_FEXIT => Self::Frees,
            writer::D_ALLOC_FEXIT | writer::D_ALLOC_PARALLEL_FEXIT | writer::D_ALLOC_KRETPROBE => Self::Names,
            _ => Self::Allocs,
        }
    }

    fn count(self, counts: &mut ByKind) -> &mut u64 {
        match self {
            Self::Allocs => &mut counts.allocs,
            Self::Frees => &mut counts.frees,
            Self::Names => &mut counts.names,
        }
    }
}

struct Ring {
    maps: Arc<Maps>,
    /// Where its [`Control`] is in the mapping.
    control: usize,
    chunk: u32,
    bytes: u32,
    kind: Kind,
    window: ChunkWindow,
    decoder: Decoder,
    /// What is in front of it was read, and where in the ring that is.
    position: u64,
    at: u32,
    /// The position that the writer knows of.
    released: u64,
    /// What the writer said when we last looked.
    head: u64,
    restarted: u64,
    jumped: u64,
    jump_time: TimeNs,
    /// Time of the event in front of `position`.
    last: TimeNs,
    /// The event at `position` with its time, if we have looked at it.
    next: Option<(TimeNs, Next)>,
    /// It holds what no program of ours wrote.
    is_odd: bool,
}

impl Ring {
    /// Looks at how far the writer is.
    fn see(&mut self) {
        self.head = self.number(offset_of!(Control, head));
        self.restarted = self.number(offset_of!(Control, restarted));
        self.jumped = self.number(offset_of!(Control, jumped));
        self.jump_time = self.number(offset_of!(Control, jump_time));
    }

    fn number(&self, offset: usize) -> u64 {
        self.maps.control.number(self.control + offset).load(Ordering::Acquire)
    }

    /// Gives the room of what was read back to the writer.
    fn release(&mut self) {
        if self.released != self.position {
            self.released = self.position;
            let tail = self.maps.control.number(self.control + offset_of!(Control, tail));
            tail.store(self.position, Ordering::Release);
        }
    }

    /// Hands the event that is next to the visitor.
    fn take(&mut self, visitor: &mut impl for<'a> RecordVisitor<'a>) -> Result<(), RingError> {
        let Some((time, Next { start, end, .. })) = self.next.take() else { return Ok(()) };
        let Self { window, maps, decoder, chunk, at, .. } = self;
        decoder.decode(&window.bytes(maps.chunks.as_fd(), *chunk, *at)?[start..], time, visitor);
        self.position += end as u64;
        self.at += end as u32;
        if self.position - self.released >= RELEASE_EVERY {
            self.release();
        }
        Ok(())
    }

    /// Leaves out what is there.
    #[cold]
    fn skip(&mut self) {
        self.is_odd = true;
        self.position = self.head;
        self.at = self.number(offset_of!(Control, at)) as u32;
    }
}

impl Source for Ring {
    type Error = RingError;

    #[inline]
    fn next_time(&mut self) -> Result<Option<TimeNs>, RingError> {
        if let Some((time, _)) = self.next {
            return Ok(Some(time));
        }
        if self.position >= self.head {
            return Ok(None);
        }
        self.at = follow(self.position, self.restarted, self.at, self.bytes);
        let Self { window, maps, decoder, chunk, at, .. } = self;
        let Ok(next) = decoder.look(window.bytes(maps.chunks.as_fd(), *chunk, *at)?) else {
            self.skip();
            return Ok(None);
        };
        // There is no first jump where the host has just started.
        let has_jumped = self.position == self.jumped && self.jump_time > 0;
        // In steps as all others: the free of an object may have the time of its allocation, and would come first.
        let time = if has_jumped { in_steps(self.jump_time) } else { time(next.stamp, self.last) };
        self.last = time;
        self.next = Some((time, next));
        Ok(Some(time))
    }
}

/// Numbers of these programs as writers; others write to no ring of a CPU.
pub fn writers(programs: impl IntoIterator<Item = &'static str>) -> Vec<usize> {
    let mut writers: Vec<_> =
        programs.into_iter().filter_map(|program| WRITERS.iter().position(|name| *name == program)).collect();
    writers.sort_unstable();
    writers.dedup();
    writers
}

pub mod imitation;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
