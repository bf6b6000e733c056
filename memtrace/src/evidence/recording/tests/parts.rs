//! Each part of a file, written and read.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use proptest::{collection::vec, option, prelude::*};

use super::entries::comm;
use crate::{
    attribution::process::{Command, Definition},
    evidence::recording::{
        Header, Place,
        block::{About, Contents, FRAME_LEN, Frame, Packer, unpack},
        definitions::Definitions,
        footer::{BlockFooter, Outstanding},
        header::{HeaderError, Ring, VERSION},
        index,
        tests::script,
        wire::{Cursor, MAX_FIGURE, put_varint},
    },
    kernel::gfp::GfpNames,
    procfs::meminfo::SlabMemory,
    stream::event::ProcessId,
    view::{
        Checkpoint, OwnCost, Sampling, Settled, Trust, Verified,
        census::UnseenAllocations,
        checkpoint::{Losses, Slabinfo},
        lookups::CacheInfo,
        reconcile::Growth,
    },
};

fn text() -> impl Strategy<Value = String> {
    "[a-z/+ é]{0,12}"
}

fn figure() -> std::ops::RangeInclusive<u64> {
    0..=MAX_FIGURE
}

fn cache() -> impl Strategy<Value = CacheInfo> {
    let fields = (text(), vec(text(), 0..3), 0..(1_u64 << 20), any::<Option<bool>>(), option::of(figure()));
    (fields, any::<bool>()).prop_map(|((name, aliases, object_size, reclaimable, slack), is_requested)| {
        CacheInfo { name, aliases, object_size, reclaimable, slack, is_requested }
    })
}

fn process() -> impl Strategy<Value = Definition> {
    let command = (vec(any::<u8>(), 0..9), vec(any::<u8>(), 0..9))
        .prop_map(|(path, arguments)| Arc::new(Command { path: path.into(), arguments: arguments.into() }));
    let fields = (any::<[u32; 3]>(), comm(), vec(comm(), 0..4), option::of(command), any::<bool>());
    fields.prop_map(|([tgid, started, slack], comm, chain, command, has_ended)| Definition {
        id: ProcessId { tgid, started },
        slack,
        comm,
        chain,
        command,
        has_ended,
    })
}

fn definitions() -> impl Strategy<Value = Definitions> {
    let cgroup = (any::<u64>(), option::of(vec(any::<u8>(), 0..9)));
    let fields = (
        vec((any::<u64>(), cache()), 0..4),
        vec(process(), 0..4),
        vec(cgroup, 0..4),
        vec((any::<u64>(), text()), 0..4),
        vec((any::<u32>(), vec(text(), 0..4)), 0..4),
    );
    fields.prop_map(|(caches, processes, cgroups, call_sites, stacks)| Definitions {
        caches,
        processes,
        cgroups,
        call_sites,
        stacks,
    })
}

fn time() -> impl Strategy<Value = Duration> {
    (0..i64::MAX as u64).prop_map(Duration::from_nanos)
}

fn growth() -> impl Strategy<Value = Growth> {
    let most = MAX_FIGURE as i64;
    (-most..=most, -most..=most, figure(), figure(), figure()).prop_map(
        |(slabinfo, traced, slack, outstanding, reused)| Growth {
            slabinfo,
            traced,
            slack,
            outstanding,
            reused,
        },
    )
}

fn own_cost() -> impl Strategy<Value = OwnCost> {
    let share = || option::of(-1e9..1e9_f64);
    let bytes = || option::of(figure());
    ([share(), share(), share(), share()], [bytes(), bytes(), bytes()]).prop_map(|(shares, bytes)| OwnCost {
        probe_ns_per_event: shares[0],
        probes_cpu: shares[1],
        userspace_cpu: shares[2],
        max_cpu: shares[3],
        resident_bytes: bytes[0],
        kernel_bytes: bytes[1],
        max_memory: bytes[2],
    })
}

fn trust() -> impl Strategy<Value = Trust> {
    let verified = option::of((figure(), figure(), figure(), any::<bool>())).prop_map(|of| {
        of.map(|(objects, outstanding, refuted, is_whole)| Verified {
            objects,
            outstanding,
            refuted,
            is_whole,
        })
    });
    let unseen = option::of((figure(), figure(), figure()))
        .prop_map(|of| of.map(|(objects, low, high)| UnseenAllocations { objects, ci95: (low, high) }));
    ([(); 10].map(|()| figure()), verified, unseen).prop_map(|(figures, verified, unseen)| Trust {
        verified,
        unseen_allocations: unseen,
        emitted: figures[0],
        applied: figures[1],
        lost_allocs: figures[2],
        lost_frees: figures[3],
        lost_names: figures[4],
        unknown_frees: figures[5],
        reused_pointers: figures[6],
        recursion_misses: figures[7],
        refused: figures[8],
        unresolved: figures[9],
        slabinfo_agreement: None,
    })
}

fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    let meminfo = (figure(), figure(), figure(), option::of(figure())).prop_map(
        |(slab, sreclaimable, sunreclaim, available)| SlabMemory {
            slab,
            sreclaimable,
            sunreclaim,
            available,
        },
    );
    let settled = (time(), figure()).prop_map(|(time, freed)| Settled { time, freed });
    let losses = (any::<u64>(), figure(), figure())
        .prop_map(|(cache, allocs, frees)| (cache, Losses { allocs, frees }));
    let slabinfo = (text(), figure(), option::of(-1e9..1e9_f64), figure()).prop_map(
        |(name, objects, objects_per_s, inexact)| (name, Slabinfo { objects, objects_per_s, inexact }),
    );
    let times = (any::<bool>(), time(), time(), time(), option::of(settled), 1..=65536_u32);
    let maps = (vec(losses, 0..3), vec(slabinfo, 0..3), vec((text(), growth()), 0..3));
    (times, option::of(meminfo), own_cost(), maps, trust(), vec(text(), 0..3)).prop_map(
        |(times, meminfo, own_cost, (losses, slabinfo, growth), trust, notes)| {
            let (is_final, time, now, elapsed, settled, period) = times;
            Checkpoint {
                is_final,
                time: SystemTime::UNIX_EPOCH + time,
                now: now.as_nanos() as u64,
                elapsed,
                settled,
                sampling: Sampling { period },
                meminfo,
                own_cost,
                losses: losses.into_iter().collect(),
                slabinfo: slabinfo.into_iter().collect(),
                growth: HashMap::from_iter(growth),
                trust,
                notes,
                census: None,
            }
        },
    )
}

fn header() -> impl Strategy<Value = Header> {
    let texts = (text(), vec(text(), 0..4), text(), text(), text(), text());
    let gfp_names = option::of(vec((any::<u32>(), text()), 0..3).prop_map(GfpNames::from_table));
    let numbers = (time(), time(), any::<u32>(), any::<u64>(), 1..=65536_u32, any::<Option<u32>>());
    let ring = option::of(any::<(u64, u64)>().prop_map(|(start, end)| Ring { start, end }));
    (texts, numbers, ring, gfp_names).prop_map(|(texts, numbers, ring, gfp_names)| {
        let (tool, command, host, kernel, boot_id, filters) = texts;
        let (started, started_ns, own_tgid, ledger_bytes, period, stacks_period) = numbers;
        Header {
            tool,
            command,
            host,
            kernel,
            boot_id,
            started: SystemTime::UNIX_EPOCH + started,
            started_ns: started_ns.as_nanos() as u64,
            own_tgid,
            ledger_bytes,
            period,
            stacks_period,
            filters,
            gfp_names,
            ring,
        }
    })
}

fn place() -> impl Strategy<Value = Place> {
    let last = i64::MAX as u64;
    let fields = (any::<u64>(), any::<u64>(), 0..last, 0..last, any::<u64>(), figure(), figure());
    fields.prop_map(|(sequence, offset, start, end, entries, objects, bytes)| Place {
        sequence,
        offset,
        start,
        end,
        entries,
        outstanding: Outstanding { objects, bytes },
    })
}

proptest! {
    #[test]
    fn definitions_are_read_as_they_were_put(definitions in definitions(), cut in any::<prop::sample::Index>()) {
        let mut out = Vec::new();
        definitions.put(&mut out);
        let mut cursor = Cursor::new(&out);
        prop_assert_eq!(Definitions::read(&mut cursor), Ok(definitions));
        prop_assert!(cursor.is_empty());
        let cut = cut.index(out.len());
        prop_assert!(Definitions::read(&mut Cursor::new(&out[..cut])).is_err());
    }

    #[test]
    fn a_moment_is_read_as_it_was_put(
        checkpoint in checkpoint(),
        [is_report, forgot_ended] in any::<[bool; 2]>(),
        (objects, bytes) in (figure(), figure()),
    ) {
        let outstanding = Outstanding { objects, bytes };
        let footer = BlockFooter { checkpoint, is_report, forgot_ended, outstanding };
        let mut out = Vec::new();
        footer.put(&mut out);
        footer.put_additions(&mut out);
        let mut cursor = Cursor::new(&out);
        let mut read = BlockFooter::read(&mut cursor).unwrap();
        read.read_additions(&mut cursor).unwrap();
        prop_assert_eq!(&read, &footer);
        prop_assert!(cursor.is_empty());
        // Maps have no order, files do.
        let mut again = Vec::new();
        read.put(&mut again);
        read.put_additions(&mut again);
        prop_assert_eq!(out, again);
    }

    #[test]
    fn a_header_is_read_as_it_was_written(header in header(), behind in vec(any::<u8>(), 0..80)) {
        let mut bytes = header.to_bytes();
        let len = bytes.len();
        bytes.extend(behind);
        prop_assert_eq!(Header::read(&bytes), Ok((header, len)));
    }

    #[test]
    fn a_header_that_is_cut_or_changed_is_refused(cut in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let bytes = script::header().to_bytes();
        let at = cut.index(bytes.len());
        prop_assert!(Header::read(&bytes[..at]).is_err());
        let mut changed = bytes;
        changed[at] ^= 1_u8 << bit;
        prop_assert!(Header::read(&changed).is_err());
    }

    #[test]
    fn a_frame_is_read_as_it_was_written(
        contents in proptest::sample::select(&[Contents::Block, Contents::Index, Contents::Header][..]),
        plain in vec(any::<u8>(), 0..500),
        (sequence, start, entries) in any::<(u64, u32, u64)>(),
        at in 0..FRAME_LEN,
        bit in 0..8_u8,
    ) {
        let (start, end) = (start.into(), u64::from(start) + 5);
        let mut out = vec![7; 64];
        let about = About { contents, sequence, start, end, entries };
        let frame = Packer::new().unwrap().pack(&plain, about, &mut out).unwrap();
        prop_assert_eq!(out.len() as u64, 64 + frame.room());
        let mut bytes: [u8; FRAME_LEN] = out[64..64 + FRAME_LEN].try_into().unwrap();
        prop_assert_eq!(Frame::read(&bytes), Some(frame));
        let packed = &out[64 + FRAME_LEN..][..frame.packed_len as usize];
        prop_assert_eq!(unpack(&frame, packed), Ok(plain));
        let mut broken = packed.to_vec();
        broken[at % packed.len()] ^= 1_u8 << bit;
        prop_assert!(unpack(&frame, &broken).is_err());
        bytes[at] ^= 1_u8 << bit;
        prop_assert_eq!(Frame::read(&bytes), None);
    }

    #[test]
    fn an_index_is_read_as_it_was_put(places in vec(place(), 0..20), offset in any::<u64>()) {
        let mut out = Vec::new();
        index::put(&places, &mut out);
        prop_assert_eq!(index::read(&out, places.len()), Ok(places.clone()));
        if let Some(fewer) = places.len().checked_sub(1) {
            prop_assert!(index::read(&out, fewer).is_err());
        }
        prop_assert_eq!(index::offset(&index::trailer(offset)), Some(offset));
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Definitions::read(&mut Cursor::new(&bytes));
        let _ = BlockFooter::read(&mut Cursor::new(&bytes));
        let _ = index::read(&bytes, 10);
        let _ = Header::read(&bytes);
        let _ = Header::read(&[&b"MEMTRACE\x01\0\0\0"[..], &bytes].concat());
    }
}

#[test]
fn a_header_says_what_is_wrong() {
    let bytes = script::header().to_bytes();
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        Header::read(&bytes).unwrap_err()
    };
    assert_eq!(Header::read(b""), Err(HeaderError::Empty));
    assert_eq!(Header::read(b"#!/bin/sh"), Err(HeaderError::NoRecording));
    assert_eq!(changed(0, b'm'), HeaderError::NoRecording);
    assert_eq!(changed(8, VERSION as u8 + 1), HeaderError::Newer(VERSION + 1));
    assert_eq!(changed(8, 0), HeaderError::Damaged("there is no version 0"));
    assert_eq!(changed(40, 0xff), HeaderError::Damaged("its checksum is wrong"));
    assert_eq!(changed(15, 0xff), HeaderError::Damaged("its length is impossible"));
    assert_eq!(Header::read(b"MEM"), Err(HeaderError::Damaged("it ends there")));
}

/// A text is there once and refers to itself a million times.
#[test]
fn copies_do_not_fill_the_memory() {
    let mut out = Vec::new();
    put_varint(&mut out, 1);
    put_varint(&mut out, 1 << 20);
    out.extend(vec![b'x'; 1 << 20]);
    // No caches, processes, cgroups and places; one stack of so many calls, all of that name.
    out.extend([0, 0, 0, 0, 1, 1]);
    put_varint(&mut out, 1 << 20);
    out.extend(vec![0; 1 << 20]);
    assert!(Definitions::read(&mut Cursor::new(&out)).is_err());
}
