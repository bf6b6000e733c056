//! Recordings that are made by hand.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use memtrace::{
    attribution::process::{Command, Definition},
    evidence::recording::{
        Entry, Header, Progress, Recorder, definitions::Definitions, file::Sink, footer::BlockFooter,
    },
    stream::event::{
        Address, Alloc, CacheTag, CgroupId, Comm, Event, Free, Label, NO_GFP, NO_NODE, Name, ObjectId,
        ObjectKind, ProcessId, Task, cache_tag,
    },
    view::{Checkpoint, lookups::CacheInfo},
};

pub const SECOND: u64 = 1_000_000_000;
/// When sessions start, by the monotonic clock.
pub const START: u64 = 1000 * SECOND;
pub const DENTRY: Address = 0xffff_8881_0004_2000;
pub const FILP: Address = 0xffff_8881_0004_3000;
/// A place in the kernel.
pub const D_ALLOC: Address = 0xffff_ffff_8123_4567;
pub const CRON: CgroupId = 77;

/// Midnight of the Monday on which it all begins.
pub fn monday() -> SystemTime {
    humantime::parse_rfc3339("2026-11-23T00:00:00Z").unwrap()
}

pub fn task(tgid: u32, comm: &[u8]) -> Task {
    Task { tgid, started: tgid.wrapping_mul(10), comm: Comm::truncated(comm), is_kthread: false }
}

pub fn alloc(ptr: Address, cache: Address, time: u64, task: Task) -> Alloc {
    let (call_site, cgroup) = (D_ALLOC, CRON);
    Alloc {
        time: START + time,
        ptr,
        cache,
        call_site,
        cgroup,
        stack: 0,
        task,
        gfp: NO_GFP,
        node: NO_NODE,
        is_io_worker: false,
        may_repeat: false,
    }
}

pub fn free(ptr: Address, cache: Option<Address>) -> Free {
    Free { ptr, cache: cache.map(|cache| -> CacheTag { cache_tag(cache) }) }
}

/// A recording that is being made.
pub struct Tape {
    recorder: Recorder,
    started: SystemTime,
}

impl Tape {
    pub fn start(path: &Path, host: &str, started: SystemTime) -> Self {
        let header = Header {
            tool: "0.1.0".to_owned(),
            command: vec!["memtrace".to_owned(), "record".to_owned()],
            host: host.to_owned(),
            kernel: "6.12.9-amd64".to_owned(),
            boot_id: format!("boot-of-{host}"),
            started,
            started_ns: START,
            own_tgid: 1,
            ledger_bytes: 64 << 20,
            period: 1,
            stacks_period: None,
            filters: String::new(),
            gfp_names: None,
            ring: None,
        };
        let sink = Sink::create(path, true, None).unwrap();
        let mut recorder = Recorder::start(header, sink, None, Arc::new(Progress::default())).unwrap();
        recorder.define(definitions());
        Self { recorder, started }
    }

    pub fn read(&mut self, time: u64) {
        self.recorder.push(&Entry::Read(START + time));
    }

    pub fn alloc(&mut self, alloc: Alloc) {
        self.recorder.push(&alloc.into());
    }

    pub fn free(&mut self, free: Free) {
        self.recorder.push(&free.into());
    }

    pub fn name(&mut self, dentry: Address, parent: &[u8], name: &[u8]) {
        self.recorder.push(&Entry::Event(Event::Name(Name { dentry, name, parent })));
    }

    /// A dentry is looked at.
    pub fn inspect(&mut self, alloc: &Alloc, directory: &[u8], name: &[u8], negative: bool) {
        let kind = Some(ObjectKind::Dentry { negative, in_root: false, name_bytes: 0 });
        let object = ObjectId { ptr: alloc.ptr, time: alloc.time };
        let label = Label { kind, filesystem: b"ext4", directory, name, pattern: None };
        self.recorder.push(&Entry::Label(object, label));
    }

    pub fn mark(&mut self, time: u64, label: &[u8]) {
        self.recorder.push(&Entry::Mark(START + time, label));
    }

    pub fn period(&mut self, period: u32) {
        self.recorder.push(&Entry::Period(period));
    }

    /// The end of a block.
    pub fn close(&mut self, time: u64, is_final: bool) {
        let checkpoint = Checkpoint {
            is_final,
            time: self.started + Duration::from_nanos(time),
            now: START + time,
            elapsed: Duration::from_nanos(time),
            ..Checkpoint::default()
        };
        self.recorder.close(BlockFooter { checkpoint, is_report: true, ..BlockFooter::default() });
    }

    pub fn finish(mut self, time: u64) {
        self.close(time, true);
        self.recorder.finish().unwrap();
    }
}

fn definitions() -> Definitions {
    let cache = |name: &str, object_size| CacheInfo {
        name: name.to_owned(),
        object_size,
        reclaimable: Some(true),
        ..CacheInfo::default()
    };
    let process = |tgid: u32, comm: &[u8], arguments: &[u8]| Definition {
        id: ProcessId { tgid, started: tgid * 10 },
        slack: 0,
        comm: Comm::truncated(comm),
        chain: vec![Comm::truncated(b"probe.sh"), Comm::truncated(b"cron")],
        command: Some(Arc::new(Command { path: b"/usr/bin/curl"[..].into(), arguments: arguments.into() })),
        has_ended: false,
    };
    Definitions {
        caches: vec![(DENTRY, cache("dentry", 192)), (FILP, cache("filp", 232))],
        processes: vec![
            process(500, b"curl", b"curl\0-s\0https://example.com\0"),
            process(501, b"curl", b"curl\0-s\0"),
        ],
        cgroups: vec![(CRON, Some(b"/system.slice/cron.service".to_vec()))],
        ..Definitions::default()
    }
}

/// A leak of dentries by curl, a bystander, and what is freed: `objects` of curl's stay, of which each second one is looked at.
pub fn leak(path: &Path, host: &str, started: SystemTime, objects: u64) {
    let mut tape = Tape::start(path, host, started);
    let object = |n: u64| 0xffff_8882_0000_0000 + n * 192;
    for n in 0..objects {
        let curl = alloc(object(n), DENTRY, n * 1000, task(500 + (n % 2) as u32, b"curl"));
        tape.read(n * 1000 + 500);
        tape.alloc(curl);
        tape.name(object(n), b"nssdb", format!(".{n}_dOeSnotExist_.db").as_bytes());
        if n % 2 == 0 {
            let name = format!(".{n}_dOeSnotExist_.db");
            tape.inspect(&curl, b"/etc/pki/nssdb", name.as_bytes(), true);
        }
    }
    tape.close(SECOND, false);
    tape.read(SECOND + 5000);
    for n in 0..10 {
        let at = 0xffff_8883_0000_0000 + n * 256;
        tape.alloc(alloc(at, FILP, SECOND + n, task(900, b"postgres")));
        if n < 7 {
            tape.free(free(at, Some(FILP)));
        }
    }
    tape.mark(SECOND + 6000, b"deploy");
    tape.finish(2 * SECOND);
}
