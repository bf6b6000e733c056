//! A session by chance: the same for the same seed.

use std::{
    collections::HashMap,
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use memtrace_common::event::cache_tag;

use super::entries::Owned;
use crate::{
    attribution::process::{Command, Definition},
    evidence::recording::{
        Entry, Header, Progress, Recorder, Written,
        definitions::Definitions,
        file::{Sink, WriteError},
        footer::{self, BlockFooter},
    },
    kernel::gfp::GfpNames,
    procfs::meminfo::SlabMemory,
    stream::{
        event::{Alloc, Comm, Event, FileType, Free, ObjectId, ObjectKind, ProcessId, Task},
        ledger::Ledger,
    },
    view::{Checkpoint, Trust, checkpoint::Slabinfo, lookups::CacheInfo},
};

/// CLOCK_MONOTONIC at the start, and the wall clock.
pub const START_NS: u64 = 1_000_000_000;
pub const STARTED: Duration = Duration::from_secs(1_764_000_000);
/// From one block's end to the next.
pub const STEP_NS: u64 = 1_000_000_000;

const CACHES: [(u64, &str, u64); 3] = [
    (0xffff_8880_0100_0000, "dentry", 192),
    (0xffff_8880_0100_0200, "filp", 256),
    (0xffff_8880_0100_0400, "kmalloc-64", 64),
];
const COMMS: [&str; 3] = ["curl", "sshd", "kworker/0:1"];

pub fn header() -> Header {
    Header {
        tool: "1.0".to_owned(),
        command: ["memtrace", "record", "-o", "a.mt"].map(str::to_owned).to_vec(),
        host: "host".to_owned(),
        kernel: "6.12.0".to_owned(),
        boot_id: "b007".to_owned(),
        started: SystemTime::UNIX_EPOCH + STARTED,
        started_ns: START_NS,
        own_tgid: 999,
        ledger_bytes: 64 << 20,
        period: 1,
        stacks_period: Some(4),
        filters: "--cache dentry".to_owned(),
        gfp_names: Some(GfpNames::from_table(vec![(0xcc0, "GFP_KERNEL".to_owned())])),
        ring: None,
    }
}

/// A stretch of a session.
#[derive(Clone)]
pub struct Stretch {
    pub entries: Vec<Owned>,
    pub definitions: Definitions,
    pub footer: BlockFooter,
}

/// Numbers by chance: splitmix64.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % most
    }
}

/// So many stretches of a second, of so many entries each.
pub fn session(seed: u64, stretches: u64, entries: u64) -> Vec<Stretch> {
    let mut chance = Chance(seed);
    let mut born = HashMap::new();
    let mut ledger = Ledger::new(header().ledger_bytes as usize);
    let stretch = |number: u64| {
        let end = START_NS + (number + 1) * STEP_NS;
        let entries: Vec<Owned> = (0..entries)
            .map(|entry| entry_of(&mut chance, &mut born, end - STEP_NS + entry * STEP_NS / entries))
            .chain((number == 2).then(|| Owned::Mark(end - 1, b"deploy".to_vec())))
            .collect();
        entries.iter().for_each(|entry| apply(&mut ledger, &entry.entry()));
        Stretch { entries, definitions: definitions(number), footer: footer(&ledger, number, stretches) }
    };
    (0..stretches).map(stretch).collect()
}

/// `born` tells when objects were allocated.
fn entry_of(chance: &mut Chance, born: &mut HashMap<u64, u64>, time: u64) -> Owned {
    let ptr = 0xffff_8881_0000_0000 + 64 * chance.below(4000);
    let (cache, ..) = CACHES[chance.below(3) as usize];
    let who = chance.below(3);
    let kind = chance.below(20);
    if kind < 10 {
        born.insert(ptr, time);
    }
    match kind {
        0..10 => Owned::Alloc(Alloc {
            time,
            ptr,
            cache,
            call_site: 0xffff_ffff_8100_0000 + 16 * chance.below(5),
            cgroup: 1 + who,
            stack: chance.below(5) as u32,
            gfp: 0xcc0,
            node: chance.below(2) as u16,
            task: task(who),
            is_io_worker: false,
            may_repeat: false,
        }),
        10..17 => Owned::Free(Free { ptr, cache: Some(cache_tag(cache)) }),
        17 => Owned::Name {
            dentry: ptr,
            name: format!("core.{}", chance.below(1000)).into_bytes(),
            parent: format!("spool{}", chance.below(3)).into_bytes(),
        },
        18 => Owned::Label {
            object: ObjectId { ptr, time: born.get(&ptr).copied().unwrap_or(0) },
            kind: [Some(ObjectKind::File(FileType::Regular)), None][chance.below(2) as usize],
            texts: [b"ext4".to_vec(), b"/var/spool".to_vec(), format!("x{}", chance.below(9)).into_bytes()],
            pattern: None,
        },
        _ => Owned::Read(time),
    }
}

fn task(who: u64) -> Task {
    let comm = Comm::truncated(COMMS[who as usize].as_bytes());
    Task { tgid: 100 + who as u32, started: 5, comm, is_kthread: who == 2 }
}

/// Of all in the first stretch, and some more later.
fn definitions(number: u64) -> Definitions {
    let cache = |(address, name, object_size): (u64, &str, u64)| {
        (address, CacheInfo { name: name.to_owned(), object_size, ..CacheInfo::default() })
    };
    let process = |who: u64| {
        let Task { comm, .. } = task(who);
        let command = Command { path: b"/usr/bin/x"[..].into(), arguments: b"x\0-v\0"[..].into() };
        Definition {
            id: ProcessId { tgid: 100 + who as u32, started: 5 },
            slack: 0,
            comm,
            chain: vec![Comm::truncated(b"bash"), Comm::truncated(b"sshd")],
            command: (who < 2).then(|| Arc::new(command)),
            has_ended: false,
        }
    };
    if number > 0 {
        return Definitions::default();
    }
    Definitions {
        caches: CACHES.map(cache).to_vec(),
        processes: (0..3).map(process).collect(),
        cgroups: vec![(1, Some(b"/".to_vec())), (2, Some(b"/system.slice/ssh.service".to_vec())), (3, None)],
        call_sites: Vec::new(),
        stacks: (1..5).map(|id| (id, vec![format!("open_{id}"), "main".to_owned()])).collect(),
    }
}

fn footer(ledger: &Ledger, number: u64, stretches: u64) -> BlockFooter {
    let elapsed = Duration::from_nanos((number + 1) * STEP_NS);
    let tally = ledger.tally();
    let slabinfo = HashMap::from([("dentry".to_owned(), Slabinfo { objects: 7, ..Slabinfo::default() })]);
    let checkpoint = Checkpoint {
        is_final: number + 1 == stretches,
        time: SystemTime::UNIX_EPOCH + STARTED + elapsed,
        now: START_NS + elapsed.as_nanos() as u64,
        elapsed,
        meminfo: Some(SlabMemory {
            slab: 1 << 30,
            sreclaimable: 1 << 29,
            sunreclaim: 1 << 29,
            available: Some(1 << 32),
        }),
        slabinfo,
        trust: Trust {
            emitted: tally.total(),
            applied: tally.total(),
            unknown_frees: tally.unknown_frees,
            reused_pointers: tally.reused_pointers,
            ..Trust::default()
        },
        ..Checkpoint::default()
    };
    BlockFooter { checkpoint, is_report: true, forgot_ended: false, outstanding: outstanding(ledger) }
}

fn outstanding(ledger: &Ledger) -> footer::Outstanding {
    let size = |cache: u64| CACHES.iter().find(|(address, ..)| *address == cache).map_or(0, |cache| cache.2);
    let bytes = ledger.origins().map(|origin| origin.outstanding() * size(origin.key.cache)).sum();
    footer::Outstanding { objects: ledger.outstanding() as u64, bytes }
}

/// After entries were changed: each footer says again what is outstanding.
pub fn count_outstanding(stretches: &mut [Stretch]) {
    let mut ledger = Ledger::new(header().ledger_bytes as usize);
    for stretch in stretches {
        stretch.entries.iter().for_each(|entry| apply(&mut ledger, &entry.entry()));
        stretch.footer.outstanding = outstanding(&ledger);
    }
}

/// As a session applies it.
pub fn apply(ledger: &mut Ledger, entry: &Entry<'_>) {
    match *entry {
        Entry::Event(event) => ledger.apply(event),
        Entry::Label(object, label) => ledger.label(object, &label),
        Entry::Refuted(object) => {
            ledger.refute(object);
        }
        Entry::Period(period) => ledger.set_period(period),
        Entry::Read(_) | Entry::Mark(..) => {}
    }
}

/// Records a session.
pub fn record(sink: Sink, stretches: &[Stretch]) -> Result<Written, WriteError> {
    let mut recorder = Recorder::start(header(), sink, None, Arc::new(Progress::default()))?;
    push(&mut recorder, stretches);
    recorder.finish()
}

pub fn push(recorder: &mut Recorder, stretches: &[Stretch]) {
    for Stretch { entries, definitions, footer } in stretches {
        recorder.define(definitions.clone());
        entries.iter().for_each(|entry| recorder.push(&entry.entry()));
        recorder.close(footer.clone());
    }
}

/// Into a file that is not there yet.
pub fn record_to(path: &Path, ring: Option<u64>, stretches: &[Stretch]) -> Written {
    record(Sink::create(path, false, ring).unwrap(), stretches).unwrap()
}

/// A stream whose bytes can be had afterwards.
#[derive(Clone, Default)]
pub struct Pipe(pub Arc<std::sync::Mutex<Vec<u8>>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Nothing but allocations, frees and names is counted.
pub fn events(stretches: &[Stretch]) -> u64 {
    let entries = stretches.iter().flat_map(|stretch| &stretch.entries);
    entries
        .filter(|entry| {
            matches!(entry.entry(), Entry::Event(Event::Alloc(_) | Event::Free(_) | Event::Name(_)))
        })
        .count() as u64
}
