//! A session from a script: `alloc curl:10 dentry x3 db/a.1; at 5s; free curl:10 dentry x1`.
//!
//! - `alloc WHO CACHE xN [PARENT/NAME]`: so many allocations, all of one name. WHO is `comm:pid`, or `[comm]:pid` for a
//!   kernel thread.
//! - `free WHO CACHE xN`: frees the oldest N of these, as far as there are any.
//! - `reuse WHO CACHE xN`: as if the kernel had freed the newest of these N times, untold, and handed it out again.
//! - `fork WHO PARENT-PID`: a process is made, called like its parent. `exec WHO PARENT-PID`: it becomes another program.
//! - `cgroup ID`, `stack ID`, `callsite ADDRESS`, `gfp FLAGS`, `node ID`, `io_worker true`: of the allocations from here on; stack 0
//!   is none, call site 0 is not told.
//! - `at 5s`: the time since the start.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::super::{Builder, ReportOptions};
use crate::{
    attribution::{cgroup::Cgroups, process::Processes},
    knowledge::incidents::Incidents,
    stream::{
        event::{
            Address, Alloc, CgroupId, Comm, Event, Free, Gfp, NO_GFP, NO_NODE, NO_STACK, Name, NodeId,
            ProcessEvent, ProcessId, Program, StackId, Task,
        },
        ledger::{Bounds, Ledger, OriginDetail},
    },
    text::duration,
    view::{
        AllocContext, Ancestors, By, CgroupShare, Checkpoint, NameGroup, Row, Snapshot, Sort,
        checkpoint::{Losses, Slabinfo},
        lookups::{CacheInfo, Caches, Lookups},
        reconcile::Growth,
    },
};

/// The host has been up a second when the session starts.
const START: Duration = Duration::from_secs(1);

/// The tracing process's own.
pub const OWN_TGID: u32 = 999;

/// Two have one name; `asked-for` has no events.
const CACHES: [(&str, u64); 6] = [
    ("dentry", 192),
    ("dentry#2", 192),
    ("inode", 1000),
    ("kmalloc-64", 64),
    ("filp", 256),
    ("asked-for", 8),
];

fn address(cache: &str) -> Address {
    let known = CACHES.iter().position(|(name, _)| *name == cache);
    100 + known.unwrap_or_else(|| panic!("no cache {cache}")) as Address
}

fn known_caches() -> Caches {
    let known = CACHES.iter().map(|(name, object_size)| {
        let info = CacheInfo {
            name: name.trim_end_matches("#2").to_owned(),
            object_size: *object_size,
            is_requested: *name == "asked-for",
            ..CacheInfo::default()
        };
        (address(name), info)
    });
    known.collect()
}

/// By bytes, all rows, all objects.
pub fn report_options(by: By) -> ReportOptions {
    ReportOptions { by: by.into(), sort: Sort::Bytes, older: None, top: 100 }
}

/// Runs the script, and compares these columns of its rows.
#[track_caller]
pub fn check(report_options: ReportOptions, script: &str, columns: &str, expected: &[&str]) {
    let mut session = Session::new(report_options);
    session.run(script);
    session.expect(columns, expected);
}

pub struct Session {
    ledger: Ledger,
    builder: RefCell<Builder>,
    caches: Caches,
    processes: Processes,
    cgroups: Cgroups,
    cgroup: CgroupId,
    stack: StackId,
    call_site: Address,
    gfp: Gfp,
    node: NodeId,
    is_io_worker: bool,
    incidents: Incidents,
    losses: HashMap<Address, Losses>,
    slabinfo: HashMap<String, Slabinfo>,
    growth: HashMap<String, Growth>,
    elapsed: Duration,
    is_final: bool,
    next_ptr: Address,
    outstanding: HashMap<(Task, Address), VecDeque<Address>>,
}

impl Session {
    pub fn new(report_options: ReportOptions) -> Self {
        Self::with_ledger(report_options, Ledger::new(1 << 20))
    }

    /// The ledger has room for two processes, and for two sums of others.
    pub fn of_two_processes(report_options: ReportOptions) -> Self {
        Self::with_ledger(
            report_options,
            Ledger::with_bounds(Bounds { objects: 1 << 20, origins: 2, groups: 100 }),
        )
    }

    fn with_ledger(report_options: ReportOptions, mut ledger: Ledger) -> Self {
        ledger.set_detail(report_options.by.detail());
        Self {
            ledger,
            builder: RefCell::new(Builder::new(report_options)),
            caches: known_caches(),
            processes: Processes::default(),
            cgroups: Cgroups::known([
                (1, b"/".to_vec()),
                (2, b"/system.slice/cron.service".to_vec()),
                (3, b"/jobs/7".to_vec()),
            ]),
            cgroup: 1,
            stack: NO_STACK,
            call_site: 0,
            gfp: NO_GFP,
            node: NO_NODE,
            is_io_worker: false,
            incidents: Incidents::built_in(),
            losses: HashMap::new(),
            slabinfo: HashMap::new(),
            growth: HashMap::new(),
            elapsed: Duration::ZERO,
            is_final: false,
            next_ptr: 8,
            outstanding: HashMap::new(),
        }
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Places in the kernel are told apart from here on.
    pub fn tell_call_sites(&mut self) {
        self.ledger.set_detail(OriginDetail { call_sites: true, ..OriginDetail::default() });
    }

    /// One object in so many is followed from here on.
    pub fn sample(&mut self, period: u32) {
        self.ledger.set_period(period);
    }

    pub fn slabinfo(&mut self, cache: &str, says: Slabinfo) {
        self.slabinfo.insert(cache.to_owned(), says);
    }

    /// The next snapshot is the last.
    pub fn finish(&mut self) {
        self.is_final = true;
    }

    pub fn run(&mut self, script: &str) {
        for line in script.split(';') {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                ["alloc", who, cache, count] => self.alloc(task(who), address(cache), number(count), None),
                ["alloc", who, cache, count, name] => {
                    self.alloc(task(who), address(cache), number(count), Some(name));
                }
                ["reuse", who, cache, count] => {
                    for _ in 0..number(count) {
                        self.next_ptr -= 8;
                        self.alloc(task(who), address(cache), 1, None);
                    }
                }
                ["free", who, cache, count] => self.free(task(who), address(cache), number(count)),
                ["fork", who, parent] => {
                    let task = task(who);
                    let parent = ProcessId { tgid: parent.parse().unwrap(), started: 0 };
                    let event =
                        ProcessEvent::Fork { process: task.process(), parent, parent_comm: task.comm };
                    self.processes.apply(event, |_| None);
                }
                ["exec", who, parent] => {
                    let task = task(who);
                    let parent = ProcessId { tgid: parent.parse().unwrap(), started: 0 };
                    let program = Program { path: b"/bin/it", arguments: b"it\0-v\0" };
                    let event =
                        ProcessEvent::Exec { process: task.process(), parent, comm: task.comm, program };
                    self.processes.apply(event, |_| None);
                }
                ["cgroup", id] => self.cgroup = id.parse().unwrap(),
                ["stack", id] => self.stack = id.parse().unwrap(),
                ["callsite", address] => self.call_site = address.parse().unwrap(),
                ["gfp", flags] => self.gfp = flags.parse().unwrap(),
                ["node", id] => self.node = id.parse().unwrap(),
                ["io_worker", is_one] => self.is_io_worker = is_one.parse().unwrap(),
                ["at", elapsed] => self.elapsed = duration::parse(elapsed).unwrap(),
                _ => panic!("not a step: {line:?}"),
            }
        }
    }

    fn now(&self) -> u64 {
        (START + self.elapsed).as_nanos() as u64
    }

    fn alloc(&mut self, task: Task, cache: Address, count: usize, path: Option<&str>) {
        for _ in 0..count {
            let ptr = self.next_ptr;
            self.next_ptr += 8;
            self.ledger.apply(Event::Alloc(Alloc {
                time: self.now(),
                ptr,
                cache,
                call_site: self.call_site,
                cgroup: self.cgroup,
                stack: self.stack,
                gfp: self.gfp,
                node: self.node,
                task,
                is_io_worker: self.is_io_worker,
                may_repeat: false,
            }));
            if let Some((parent, name)) = path.map(|path| path.split_once('/').expect("PARENT/NAME")) {
                let (parent, name) = (parent.as_bytes(), name.as_bytes());
                self.ledger.apply(Event::Name(Name { dentry: ptr, name, parent }));
            }
            self.outstanding.entry((task, cache)).or_default().push_back(ptr);
        }
    }

    fn free(&mut self, task: Task, cache: Address, count: usize) {
        let objects = self.outstanding.entry((task, cache)).or_default();
        for ptr in objects.drain(..count.min(objects.len())) {
            self.ledger.apply(Event::Free(Free { ptr, cache: Some(7) }));
        }
    }

    /// Events of a cache that do not arrive.
    pub fn lose(&mut self, cache: &str, losses: Losses) {
        self.losses.insert(address(cache), losses);
    }

    pub fn snapshot(&mut self) -> Snapshot {
        self.with_lookups(|ledger, checkpoint, lookups| {
            self.builder.borrow_mut().snapshot(ledger, checkpoint, lookups)
        })
    }

    /// How things stand at this moment, and what is known.
    pub fn with_lookups<T>(&self, ask: impl FnOnce(&Ledger, &Checkpoint, Lookups<'_>) -> T) -> T {
        let checkpoint = Checkpoint {
            is_final: self.is_final,
            now: self.now(),
            elapsed: self.elapsed,
            losses: self.losses.clone(),
            slabinfo: self.slabinfo.clone(),
            growth: self.growth.clone(),
            ..Checkpoint::default()
        };
        let lookups = Lookups {
            host: "host",
            kernel: "6.12",
            filter: "",
            caches: &self.caches,
            processes: &self.processes,
            cgroups: &self.cgroups,
            call_sites: None,
            stacks: None,
            gfp_names: None,
            incidents: &self.incidents,
            is_shown: &|origin| origin.task.tgid != OWN_TGID,
        };
        ask(&self.ledger, &checkpoint, lookups)
    }

    #[track_caller]
    pub fn expect(&mut self, columns: &str, expected: &[&str]) {
        assert_eq!(self.show(columns), expected, "{columns}");
    }

    /// A line for each row of the next snapshot.
    pub fn show(&mut self, columns: &str) -> Vec<String> {
        let show = |row| columns.split(' ').map(|name| column(row, name)).collect::<Vec<_>>().join(" ");
        self.snapshot().rows.iter().map(show).collect()
    }

    /// A line for each cache of the next snapshot.
    pub fn show_caches(&mut self) -> Vec<String> {
        let caches = self.snapshot().caches;
        let show = caches.iter().map(|cache| {
            let (objects, bytes) = (cache.outstanding_objects, cache.outstanding_bytes);
            format!("{} +{} -{} = {objects}, {bytes} B", cache.name, cache.allocs, cache.frees)
        });
        show.collect()
    }
}

fn task(who: &str) -> Task {
    let (comm, tgid) = who.rsplit_once(':').expect("comm:pid");
    let kthread = comm.strip_prefix('[').and_then(|comm| comm.strip_suffix(']'));
    Task {
        tgid: tgid.parse().unwrap(),
        started: 0,
        comm: Comm::truncated(kthread.unwrap_or(comm).as_bytes()),
        is_kthread: kthread.is_some(),
    }
}

fn number(count: &str) -> usize {
    count.strip_prefix('x').expect("xN").parse().unwrap()
}

fn column(row: &Row, name: &str) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let place = |name: &NameGroup| format!("{}/{}={}", text(&name.parent), text(&name.pattern), name.objects);
    match name {
        "key" => row.keys.iter().map(|key| text(key)).collect::<Vec<_>>().join(", "),
        "started_by" => {
            let chain = |ancestors: &Ancestors| {
                let comms: Vec<_> = ancestors.comms.iter().map(|comm| text(comm)).collect();
                format!("{}={}", comms.join("<"), ancestors.objects)
            };
            row.started_by.iter().map(chain).collect::<Vec<_>>().join(",")
        }
        "cgroups" => {
            let cgroup = |cgroup: &CgroupShare| {
                format!("{}={}", or_none(cgroup.path.as_deref().map(text)), cgroup.objects)
            };
            row.cgroups.iter().map(cgroup).collect::<Vec<_>>().join(",")
        }
        "command" => or_none(row.process.as_ref().map(|process| text(&process.command_line))),
        "comm" => or_none(row.comm.as_deref().map(text)),
        "pid" => or_none(row.pid.map(|pid| pid.to_string())),
        "circumstances" => {
            let AllocContext { context, gfp, node } = &row.alloc_context;
            let gfp = or_none(gfp.as_ref().map(|gfp| format!("{:#x}", gfp.flags)));
            let context = or_none(context.map(|context| format!("{context:?}")));
            format!("{context}/{gfp}/{}", or_none(node.map(|node| node.to_string())))
        }
        "cache" => or_none(row.cache.clone()),
        "processes" => row.processes.to_string(),
        "objects" => row.objects.to_string(),
        "bytes" => row.bytes.to_string(),
        "partial" => row.partial_objects.to_string(),
        "allocs" => row.allocs.to_string(),
        "frees" => row.frees.to_string(),
        "allocs/s" => row.allocs_per_s.to_string(),
        "frees/s" => row.frees_per_s.to_string(),
        "growth" => row.growth_per_s.to_string(),
        "age" => or_none(row.oldest.map(|age| format!("{age:?}"))),
        "places" => row.names.len().to_string(),
        "names" => row.names.iter().map(place).collect::<Vec<_>>().join(","),
        "named" => row.named_objects.to_string(),
        _ => panic!("no column {name}"),
    }
}
