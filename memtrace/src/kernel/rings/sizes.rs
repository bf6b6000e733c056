//! How many rings there are, and how large.

use memtrace_common::cpu_ring::{CHUNK, Chunk, MIN_RING, Place, WRITERS, writer};

/// A ring that is there whatever the size: for what processes do, where programs have rings of their own.
const FOR_PROCESSES: u64 = 1 << 20;

/// The rings of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingPlan {
    pub shared: RingSizes,
    /// None where all events go to the shared ones.
    pub of_cpus: Option<CpuRingSizes>,
}

impl RingPlan {
    pub fn shared(cpus: usize, total: u64) -> Self {
        Self { shared: RingSizes::new(cpus, total), of_cpus: None }
    }

    /// Rings for each of these programs and CPUs.
    pub fn of_cpus(cpus: usize, total: u64, writers: &[usize]) -> Self {
        let shared = RingSizes::one(total.min(FOR_PROCESSES));
        Self { shared, of_cpus: Some(CpuRingSizes::new(cpus, total, writers)) }
    }

    /// Bytes of all.
    pub fn total(&self) -> u64 {
        self.shared.total() + self.of_cpus.map_or(0, |sizes| sizes.total())
    }
}

/// Where the rings of each program and CPU are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuRingSizes {
    /// The number of the last CPU, and one.
    pub cpus: u32,
    pub rings: u32,
    pub chunks: u32,
    pub places: [Place; WRITERS.len()],
}

impl CpuRingSizes {
    /// Rings that take `total` bytes together: as much as each program writes, compared with the others.
    fn new(cpus: usize, total: u64, writers: &[usize]) -> Self {
        let cpus = cpus as u32;
        let (mut rings, mut chunks, mut places) = (0, 0, [Place::default(); WRITERS.len()]);
        let share = |writer| share(writer, writers.contains(&writer::KMALLOC));
        let all: u64 = writers.iter().map(|&writer| share(writer)).sum();
        for &writer in writers {
            let bytes =
                (total / u64::from(cpus) * share(writer) / all).clamp(MIN_RING.into(), 1 << 30) as u32;
            let whole = bytes / CHUNK * CHUNK;
            // Records are multiples of 16 bytes.
            let bytes = if whole > 0 { whole } else { bytes / 16 * 16 };
            places[writer] = Place { ring: rings, chunk: chunks, bytes };
            rings += cpus;
            chunks += places[writer].chunks() * cpus;
        }
        Self { cpus, rings, chunks, places }
    }

    fn total(&self) -> u64 {
        u64::from(self.chunks) * size_of::<Chunk>() as u64
    }
}

/// An allocation is as long as two frees; `kfree` hardly ever frees what kmalloc did not give; backups see what their probe could not,
/// which comes in batches; names are long, and come with few caches.
fn share(writer: usize, has_kmalloc: bool) -> u64 {
    match writer {
        writer::KMEM_CACHE_ALLOC | writer::ALLOC_FEXIT => 8,
        writer::KMALLOC => 6,
        writer::KMEM_CACHE_FREE | writer::FREE_FENTRY => 4,
        writer::KFREE if has_kmalloc => 4,
        writer::D_ALLOC_FEXIT | writer::D_ALLOC_PARALLEL_FEXIT | writer::D_ALLOC_KRETPROBE => 4,
        _ => 1,
    }
}

/// Shared rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSizes {
    /// A power of two.
    pub count: u32,
    /// Of each, in bytes: a power of two, and whole pages.
    pub bytes: u32,
}

impl RingSizes {
    /// Rings for this many CPUs that take `total` bytes together, rounded down to a power of two: two for each CPU, so that
    /// two CPUs seldom want the same one at the same time, and fewer where they would be too small.
    pub fn new(cpus: usize, total: u64) -> Self {
        const MAX_RINGS: u64 = 128;
        let page = rustix::param::page_size() as u64;
        let total = 1 << total.clamp(page, 1 << 37).ilog2();
        let count = (cpus as u64 * 2).next_power_of_two().min(MAX_RINGS).min(total / page);
        Self { count: count as u32, bytes: (total / count).min(1 << 30) as u32 }
    }

    /// A single one: processes start and end seldom enough, and for each ring that it is given a map of maps waits until
    /// all CPUs have let go of the one before, some 10 ms.
    fn one(total: u64) -> Self {
        Self::new(0, total)
    }

    pub fn total(self) -> u64 {
        u64::from(self.count) * u64::from(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_are_two_rings_for_each_cpu_if_there_is_room() {
        let sizes = |cpus, total| {
            let RingSizes { count, bytes } = RingSizes::new(cpus, total);
            (count, bytes)
        };
        assert_eq!(sizes(1, 8 << 20), (2, 4 << 20));
        assert_eq!(sizes(2, 128 << 20), (4, 32 << 20));
        assert_eq!(sizes(6, 100 << 20), (16, 4 << 20));
        assert_eq!(sizes(256, 8 << 30), (128, 64 << 20));
        assert_eq!(sizes(8, 16384), (4, 4096));
        assert_eq!(sizes(8, 1), (1, 4096));
        assert_eq!(RingSizes::one(1 << 20), RingSizes { count: 1, bytes: 1 << 20 });
    }

    proptest! {
        #[test]
        fn sizes_are_powers_of_two_within_the_total(cpus in 1_usize..1024, total in 4096_u64..1 << 40) {
            let sizes = RingSizes::new(cpus, total);
            prop_assert!(sizes.count.is_power_of_two() && sizes.bytes.is_power_of_two());
            prop_assert!(sizes.bytes >= 4096 && sizes.total() <= total);
        }

        #[test]
        fn each_ring_has_its_chunks(
            cpus in 1_usize..300,
            total in 4096_u64..1 << 32,
            of in proptest::sample::subsequence((0..WRITERS.len()).collect::<Vec<_>>(), 1..=WRITERS.len()),
        ) {
            let sizes = CpuRingSizes::new(cpus, total, &of);
            let (mut rings, mut chunks) = (0, 0);
            for writer in 0..WRITERS.len() {
                let place = sizes.places[writer];
                if !of.contains(&writer) {
                    prop_assert_eq!(place, Place::default());
                    continue;
                }
                prop_assert_eq!((place.ring, place.chunk), (rings, chunks));
                prop_assert!(place.bytes >= MIN_RING && place.bytes.is_multiple_of(16));
                prop_assert!(place.bytes < CHUNK || place.bytes.is_multiple_of(CHUNK));
                rings += cpus as u32;
                chunks += place.chunks() * cpus as u32;
            }
            prop_assert_eq!((sizes.rings, sizes.chunks), (rings, chunks));
            let least = u64::from(rings) * size_of::<Chunk>() as u64;
            prop_assert!(sizes.total() <= total + total / 32 + least, "{} of {total}", sizes.total());
        }
    }
}
