//! The ring of this program on this CPU: see [`memtrace_common::cpu_ring`].

use aya_ebpf::helpers::{bpf_ktime_get_ns, generated::bpf_get_smp_processor_id};
use memtrace_common::cpu_ring::{
    By, CHUNK, Context, Control, Head, Spot, alloc_time, jumps, page_place, stamp,
};

use crate::{config::config, maps, swap::compare_and_swap};

/// Whether events go to such rings.
#[inline(always)]
pub fn is_used() -> bool {
    config!(rings.cpus) != 0
}

/// One of `writer::*` on this CPU.
pub struct CpuRing {
    control: *mut Control,
    writer: usize,
    cpu: u32,
}

/// Room for records in the ring.
pub struct Room {
    control: *mut Control,
    start: *mut u8,
    /// Where in the ring it begins, and how long it is.
    at: u64,
    head: u64,
    len: u64,
    /// Of the record in front of it, and its own.
    last: u64,
    time: u64,
}

impl CpuRing {
    /// None on a CPU that was not there when the session began.
    #[inline(always)]
    pub fn of(writer: usize) -> Option<Self> {
        // SAFETY: no arguments, no side effects.
        let cpu = unsafe { bpf_get_smp_processor_id() };
        if cpu >= config!(rings.cpus) {
            return None;
        }
        let control = maps::CPU_RING_CONTROL.get_ptr_mut(config!(rings.places[writer].ring) + cpu)?;
        Some(Self { control, writer, cpu })
    }

    /// Whether the reader knows that allocations are by these.
    #[inline(always)]
    pub fn is_by(&self, by: &By) -> bool {
        // SAFETY: the pointer is to the live map value, which nobody else writes to.
        unsafe { (&raw const (*self.control).by).read() == *by }
    }

    /// Room for an event of now, of so many bytes with what goes in front of it: what else happens on the object's page will be later.
    /// Where there is none, the event counts as lost.
    #[inline(always)]
    pub fn reserve(&self, len: u64, ptr: u64) -> Option<Room> {
        let mut room = self.room(len)?;
        let page = Page::of(ptr)?;
        // SAFETY: no arguments, no side effects.
        room.not_before(alloc_time(unsafe { bpf_ktime_get_ns() }, page.noted));
        page.note(room.time);
        Some(room)
    }

    /// The same for the free of an object.
    #[inline(always)]
    pub fn reserve_free(&self, len: u64, ptr: u64) -> Option<Room> {
        let mut room = self.room(len)?;
        let page = Page::of(ptr)?;
        room.not_before(page.noted);
        // It is that of the free before it: the object's next allocation must be later than that.
        page.note(room.time);
        Some(room)
    }

    /// Whether an event of so many bytes would be lost.
    #[inline(always)]
    pub fn is_full_for(&self, len: u64) -> bool {
        let (control, bytes) = (self.control, config!(rings.places[self.writer].bytes));
        // SAFETY: as in `room`.
        let (head, tail) = unsafe { ((*control).head, (&raw const (*control).tail).read_volatile()) };
        Spot::find(head, tail, 0, bytes, len).is_none()
    }

    #[inline(always)]
    fn room(&self, len: u64) -> Option<Room> {
        let control = self.control;
        let bytes = config!(rings.places[self.writer].bytes);
        // SAFETY: the pointer is to the live map value; the tail is the reader's, and only read, the rest nobody else writes.
        let (head, tail, at, last) = unsafe {
            let tail = (&raw const (*control).tail).read_volatile();
            ((*control).head, tail, (&raw const (*control).at).read_volatile(), (*control).time)
        };
        let Some(Spot { at, restarts }) = Spot::find(head, tail, at, bytes, len) else {
            // SAFETY: as above.
            unsafe { (*control).lost += 1 };
            return None;
        };
        if restarts {
            // SAFETY: as above. The reader looks at it when it sees a head that is further.
            unsafe { (*control).restarted = head };
        }
        let chunk = config!(rings.places[self.writer].chunk) + self.cpu * bytes.div_ceil(CHUNK);
        let start = maps::CPU_RING_CHUNKS.get_ptr_mut(chunk + (at as u32 / CHUNK))?.cast::<u8>();
        let start = start.wrapping_add((at as u32 % CHUNK) as usize);
        Some(Room { control, start, at, head, len, last, time: last })
    }
}

impl Room {
    /// In a ring, times never go back.
    #[inline(always)]
    fn not_before(&mut self, time: u64) {
        if time > self.last {
            self.time = time;
        }
    }

    /// Writes whom allocations are by from here on.
    #[inline(always)]
    pub fn write_context(&self, context: Context) {
        // SAFETY: the room is at least as long and aligned, as all records are, and the control word is ours.
        unsafe {
            self.start.cast::<Context>().write(context);
            (&raw mut (*self.control).by).write(context.by);
        }
    }

    /// The event's record, behind `before` bytes.
    #[inline(always)]
    pub fn record<T>(&self, before: u64) -> *mut T {
        self.start.wrapping_add(before as usize).cast()
    }

    /// How a record begins.
    #[inline(always)]
    pub fn head(&self, object: u64, detail: u32) -> Head {
        Head { object, detail, stamp: stamp(self.time) }
    }

    /// Lets the reader have it.
    #[inline(always)]
    pub fn publish(self) {
        let control = self.control;
        // SAFETY: as above.
        unsafe {
            if jumps(self.time, self.last) {
                (*control).jumped = self.head;
                (*control).jump_time = self.time;
            }
            (*control).at = self.at + self.len;
            (*control).time = self.time;
            (*control).events += 1;
            publish(&raw mut (*control).head, self.head + self.len);
        }
    }
}

/// The time that is noted for an object's page. It never goes back, whoever notes at once.
struct Page {
    place: *mut u64,
    noted: u64,
}

impl Page {
    #[inline(always)]
    fn of(ptr: u64) -> Option<Self> {
        let place = maps::PAGE_TIMES.get_ptr_mut(page_place(ptr))?;
        // SAFETY: the pointer is to the live map value. Volatile, because others write it.
        let (place, noted) = unsafe { (&raw mut (*place).time, (&raw const (*place).time).read_volatile()) };
        Some(Self { place, noted })
    }

    /// Notes that something happened on it.
    #[inline(always)]
    fn note(self, time: u64) {
        let mut seen = self.noted;
        for _ in 0..MAX_TRIES {
            if seen >= time {
                return;
            }
            let before = compare_and_swap(self.place, seen, time);
            if before == seen {
                return;
            }
            seen = before;
        }
    }
}

/// Each time that it fails, another CPU has noted its time meanwhile.
const MAX_TRIES: u32 = 16;

/// Stores the head behind everything that was stored before: the compiler keeps them in front of the instruction, and the processor does,
/// too, where rings like these are used (x86).
#[inline(always)]
unsafe fn publish(to: *mut u64, head: u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: the caller passes a pointer to a live control word.
    unsafe {
        core::arch::asm!("*(u64 *)({to} + 0) = {head}", to = in(reg) to, head = in(reg) head);
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = (to, head);
}
