//! How things stood at the end of each block: see [`Moment`].

use std::{
    collections::HashMap,
    hash::Hash,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    census,
    wire::{Cursor, Malformed, put_bool, put_bytes, put_f64, put_list, put_option, put_signed, put_varint},
};
use crate::{
    procfs::meminfo::SlabMemory,
    view::{
        Checkpoint, OwnCost, Sampling, Settled, Trust, Verified,
        census::UnseenAllocations,
        checkpoint::{Losses, Slabinfo},
        reconcile::Growth,
    },
};

/// The end of a block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockFooter {
    pub checkpoint: Checkpoint,
    /// The live session made a report of it.
    pub is_report: bool,
    /// Those that ended and held nothing were forgotten just before.
    pub forgot_ended: bool,
    /// Objects that were outstanding, and their bytes.
    pub outstanding: Outstanding,
}

/// How much was outstanding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outstanding {
    pub objects: u64,
    pub bytes: u64,
}

impl BlockFooter {
    pub fn put(&self, out: &mut Vec<u8>) {
        put_bool(out, self.is_report);
        put_bool(out, self.forgot_ended);
        put_varint(out, self.outstanding.objects);
        put_varint(out, self.outstanding.bytes);
        put_moment(out, &self.checkpoint);
    }

    /// What version 2 added, behind all else in a block.
    pub fn put_additions(&self, out: &mut Vec<u8>) {
        put_option(out, self.checkpoint.trust.verified, put_verified);
        put_option(out, self.checkpoint.census.as_deref(), |out, census| census::put(census, out));
        put_option(out, self.checkpoint.trust.unseen_allocations, put_unseen);
    }

    pub fn read_additions(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        self.checkpoint.trust.verified = cursor.option(verified)?;
        self.checkpoint.census = cursor.option(census::read)?.map(Arc::new);
        // The first files of version 2 end here.
        if !cursor.is_empty() {
            self.checkpoint.trust.unseen_allocations = cursor.option(unseen)?;
        }
        Ok(())
    }

    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            is_report: cursor.bool()?,
            forgot_ended: cursor.bool()?,
            outstanding: Outstanding { objects: cursor.figure()?, bytes: cursor.figure()? },
            checkpoint: checkpoint(cursor)?,
        })
    }
}

fn put_moment(out: &mut Vec<u8>, checkpoint: &Checkpoint) {
    put_bool(out, checkpoint.is_final);
    put_time(out, checkpoint.time);
    put_varint(out, checkpoint.now);
    put_duration(out, checkpoint.elapsed);
    put_option(out, checkpoint.settled, |out, settled| {
        put_duration(out, settled.time);
        put_varint(out, settled.freed);
    });
    put_varint(out, checkpoint.sampling.period.into());
    put_option(out, checkpoint.meminfo, put_meminfo);
    put_own_cost(out, &checkpoint.own_cost);
    put_map(
        out,
        &checkpoint.losses,
        |out, &cache| put_varint(out, cache),
        |out, losses| {
            put_varint(out, losses.allocs);
            put_varint(out, losses.frees);
        },
    );
    put_map(out, &checkpoint.slabinfo, put_name, put_slabinfo);
    put_map(out, &checkpoint.growth, put_name, put_growth);
    put_trust(out, &checkpoint.trust);
    put_list(out, checkpoint.notes.iter(), put_name);
}

fn checkpoint(cursor: &mut Cursor<'_>) -> Result<Checkpoint, Malformed> {
    Ok(Checkpoint {
        is_final: cursor.bool()?,
        time: time(cursor)?,
        now: cursor.time()?,
        elapsed: duration(cursor)?,
        settled: cursor.option(|cursor| Ok(Settled { time: duration(cursor)?, freed: cursor.figure()? }))?,
        sampling: Sampling { period: cursor.period()? },
        meminfo: cursor.option(meminfo)?,
        own_cost: own_cost(cursor)?,
        losses: cursor.list(|cursor| {
            Ok((cursor.varint()?, Losses { allocs: cursor.figure()?, frees: cursor.figure()? }))
        })?,
        slabinfo: cursor.list(|cursor| Ok((cursor.text()?, slabinfo(cursor)?)))?,
        growth: cursor.list(|cursor| Ok((cursor.text()?, growth(cursor)?)))?,
        trust: trust(cursor)?,
        notes: cursor.list(Cursor::text)?,
        // Among the additions.
        census: None,
    })
}

/// In a fixed order, so that the same recording has the same bytes.
fn put_map<K: Ord + Hash, V>(
    out: &mut Vec<u8>,
    map: &HashMap<K, V>,
    mut put_key: impl FnMut(&mut Vec<u8>, &K),
    mut put_value: impl FnMut(&mut Vec<u8>, &V),
) {
    let mut entries: Vec<(&K, &V)> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    put_list(out, entries.into_iter(), |out, (key, value)| {
        put_key(out, key);
        put_value(out, value);
    });
}

fn put_name(out: &mut Vec<u8>, name: &String) {
    put_bytes(out, name.as_bytes());
}

fn put_duration(out: &mut Vec<u8>, time: Duration) {
    put_varint(out, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}

fn duration(cursor: &mut Cursor<'_>) -> Result<Duration, Malformed> {
    cursor.time().map(Duration::from_nanos)
}

/// In nanoseconds since 1970; what is before counts as then.
fn put_time(out: &mut Vec<u8>, time: SystemTime) {
    put_duration(out, time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
}

fn time(cursor: &mut Cursor<'_>) -> Result<SystemTime, Malformed> {
    Ok(SystemTime::UNIX_EPOCH + duration(cursor)?)
}

fn put_meminfo(out: &mut Vec<u8>, meminfo: SlabMemory) {
    let SlabMemory { slab, sreclaimable, sunreclaim, available } = meminfo;
    [slab, sreclaimable, sunreclaim].into_iter().for_each(|bytes| put_varint(out, bytes));
    put_option(out, available, put_varint);
}

fn meminfo(cursor: &mut Cursor<'_>) -> Result<SlabMemory, Malformed> {
    Ok(SlabMemory {
        slab: cursor.figure()?,
        sreclaimable: cursor.figure()?,
        sunreclaim: cursor.figure()?,
        available: cursor.option(Cursor::figure)?,
    })
}

fn put_own_cost(out: &mut Vec<u8>, cost: &OwnCost) {
    for share in [cost.probe_ns_per_event, cost.probes_cpu, cost.userspace_cpu, cost.max_cpu] {
        put_option(out, share, put_f64);
    }
    for bytes in [cost.resident_bytes, cost.kernel_bytes, cost.max_memory] {
        put_option(out, bytes, put_varint);
    }
}

fn own_cost(cursor: &mut Cursor<'_>) -> Result<OwnCost, Malformed> {
    let [probe_ns_per_event, probes_cpu, userspace_cpu, max_cpu] =
        array(|| cursor.option(Cursor::f64).map(Option::flatten))?;
    let [resident_bytes, kernel_bytes, max_memory] = array(|| cursor.option(Cursor::figure))?;
    Ok(OwnCost {
        probe_ns_per_event,
        probes_cpu,
        userspace_cpu,
        resident_bytes,
        kernel_bytes,
        max_memory,
        max_cpu,
    })
}

fn put_slabinfo(out: &mut Vec<u8>, slabinfo: &Slabinfo) {
    put_varint(out, slabinfo.objects);
    put_option(out, slabinfo.objects_per_s, put_f64);
    put_varint(out, slabinfo.inexact);
}

fn slabinfo(cursor: &mut Cursor<'_>) -> Result<Slabinfo, Malformed> {
    Ok(Slabinfo {
        objects: cursor.figure()?,
        objects_per_s: cursor.option(Cursor::f64)?.flatten(),
        inexact: cursor.figure()?,
    })
}

fn put_growth(out: &mut Vec<u8>, growth: &Growth) {
    let Growth { slabinfo, traced, slack, outstanding, reused } = *growth;
    put_signed(out, slabinfo);
    put_signed(out, traced);
    [slack, outstanding, reused].into_iter().for_each(|figure| put_varint(out, figure));
}

fn growth(cursor: &mut Cursor<'_>) -> Result<Growth, Malformed> {
    Ok(Growth {
        slabinfo: cursor.signed_figure()?,
        traced: cursor.signed_figure()?,
        slack: cursor.figure()?,
        outstanding: cursor.figure()?,
        reused: cursor.figure()?,
    })
}

fn put_trust(out: &mut Vec<u8>, trust: &Trust) {
    // The agreement is the view's to say.
    let Trust {
        emitted,
        applied,
        lost_allocs,
        lost_frees,
        lost_names,
        unknown_frees,
        reused_pointers,
        recursion_misses,
        refused,
        unresolved,
        slabinfo_agreement: _,
        // At the footer's end.
        verified: _,
        unseen_allocations: _,
    } = *trust;
    let lost = [lost_allocs, lost_frees, lost_names];
    let figures = [emitted, applied, unknown_frees, reused_pointers, recursion_misses, refused, unresolved];
    figures.into_iter().chain(lost).for_each(|figure| put_varint(out, figure));
}

fn trust(cursor: &mut Cursor<'_>) -> Result<Trust, Malformed> {
    let [emitted, applied, unknown_frees, reused_pointers, recursion_misses, refused, unresolved] =
        array(|| cursor.figure())?;
    let [lost_allocs, lost_frees, lost_names] = array(|| cursor.figure())?;
    Ok(Trust {
        emitted,
        applied,
        lost_allocs,
        lost_frees,
        lost_names,
        unknown_frees,
        reused_pointers,
        recursion_misses,
        refused,
        unresolved,
        slabinfo_agreement: None,
        verified: None,
        unseen_allocations: None,
    })
}

fn put_verified(out: &mut Vec<u8>, verified: Verified) {
    let Verified { objects, outstanding, refuted, is_whole } = verified;
    put_varint(out, objects);
    put_varint(out, outstanding);
    put_varint(out, refuted);
    put_bool(out, is_whole);
}

fn put_unseen(out: &mut Vec<u8>, unseen: UnseenAllocations) {
    let UnseenAllocations { objects, ci95: (low, high) } = unseen;
    [objects, low, high].into_iter().for_each(|figure| put_varint(out, figure));
}

fn unseen(cursor: &mut Cursor<'_>) -> Result<UnseenAllocations, Malformed> {
    Ok(UnseenAllocations { objects: cursor.figure()?, ci95: (cursor.figure()?, cursor.figure()?) })
}

fn verified(cursor: &mut Cursor<'_>) -> Result<Verified, Malformed> {
    Ok(Verified {
        objects: cursor.figure()?,
        outstanding: cursor.figure()?,
        refuted: cursor.figure()?,
        is_whole: cursor.bool()?,
    })
}

fn array<T: Default + Copy, const N: usize>(
    mut read: impl FnMut() -> Result<T, Malformed>,
) -> Result<[T; N], Malformed> {
    let mut values = [T::default(); N];
    for value in &mut values {
        *value = read()?;
    }
    Ok(values)
}
