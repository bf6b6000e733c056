//! What is known at a point of a recording.

use std::{collections::HashMap, hash::Hash};

use crate::{
    attribution::{cgroup::Cgroups, process::Processes},
    evidence::recording::{
        Entry, Header, TooMuch,
        definitions::Definitions,
        footer::{BlockFooter, Outstanding},
        limits::{Bound, Limits, Steps, steps_of_text},
    },
    kernel::gfp::GfpNames,
    knowledge::incidents::Incidents,
    select::{filter::Filter, without_caches},
    stream::{
        calls::{CallSites, StackNames},
        event::{Address, CgroupId, Event, Label, Name, StackId, TimeNs},
        ledger::{Ledger, OriginDetail, OriginKey},
    },
    view::{
        Checkpoint, Snapshot,
        build::Builder,
        lookups::{CacheInfo, Caches, Lookups},
        object::Names,
    },
};

/// A recording tells how much its ledger may take. Nobody's word is good for more than this.
const MAX_LEDGER_BYTES: u64 = 4 << 30;

/// Bytes that names of caches, of places in the kernel and of stacks may take. Those of a host take some megabytes.
const MAX_NAME_BYTES: usize = 1 << 30;

/// What a name takes beside its text.
const NAME_BYTES: usize = 100;

/// What a process, and a cgroup's name, take.
const PROCESS_BYTES: usize = 250;
const CGROUP_BYTES: usize = 60;

/// What a report takes for each origin, where each has a row of its own.
const ROW_BYTES: usize = 2_000;

/// More slab caches than any host has had since it was booted.
const MAX_CACHES: usize = 1 << 14;

/// Memory is measured after so many steps.
const MEASURE_EVERY: u64 = 1 << 16;

/// Steps of a period that rises, besides one for each object.
const PERIOD_STEPS: u64 = 1 << 10;

/// Steps of a report for each origin.
const ROW_STEPS: usize = 8;

/// Steps more of an event that is shown: to write it takes longer than to apply it.
const SHOWN_STEPS: u64 = 2;

/// Objects whose ages are compared in a step.
const AGED_STEP: usize = 64;

/// So many bytes of copied texts take a step to be entered.
const COPIED_STEP: u64 = 256;

/// More marks, or longer labels, are not kept: files may claim any number.
pub(super) const MAX_MARKS: usize = 10_000;
const MAX_LABEL: usize = 1_000;

/// What is kept of a mark's label.
pub(super) fn shortened(label: &[u8]) -> &[u8] {
    &label[..label.len().min(MAX_LABEL)]
}

#[derive(Clone)]
pub struct State {
    pub ledger: Ledger,
    pub caches: Caches,
    pub processes: Processes,
    pub cgroups: Cgroups,
    pub call_sites: RecordedNames,
    pub stacks: Option<RecordedStacks>,
    gfp_names: Option<GfpNames>,
    host: String,
    kernel: String,
    own_tgid: u32,
    incidents: Incidents,
    filter: Filter,
    /// What the filter makes of the caches, and of the cgroups that have names.
    passed: HashMap<Address, bool>,
    passed_cgroups: HashMap<CgroupId, bool>,
    /// What was recorded, and what of it passes.
    shown: String,
    period: u32,
    room: Room,
    /// What reading it may take, and has.
    limits: Limits,
    pub(super) steps: Steps,
    measured_at: u64,
    exceeded: Option<TooMuch>,
    pub(super) marks: Vec<(TimeNs, Vec<u8>)>,
    /// When what was read last was read.
    pub read_at: TimeNs,
}

/// For names: a block may bring new ones without end.
#[derive(Clone)]
struct Room(usize);

impl Room {
    /// Puts a name in, if there is room for it.
    fn put<K: Eq + Hash, V: PartialEq>(
        &mut self,
        names: &mut HashMap<K, V>,
        key: K,
        name: V,
        bytes: impl Fn(&V) -> usize,
    ) {
        let before = names.get(&key);
        if before == Some(&name) {
            return;
        }
        let freed = before.map_or(0, |before| NAME_BYTES + bytes(before));
        if let Some(left) = (self.0 + freed).checked_sub(NAME_BYTES + bytes(&name)) {
            self.0 = left;
            names.insert(key, name);
        }
    }
}

/// Bytes of its texts.
fn text_of(entry: &Entry<'_>) -> usize {
    match entry {
        Entry::Event(Event::Name(Name { name, parent, .. })) => name.len() + parent.len(),
        Entry::Label(_, Label { filesystem, directory, name, pattern, .. }) => {
            filesystem.len() + directory.len() + name.len() + pattern.map_or(0, <[u8]>::len)
        }
        Entry::Mark(_, label) => label.len(),
        Entry::Event(_) | Entry::Refuted(_) | Entry::Period(_) | Entry::Read(_) => 0,
    }
}

fn cache_bytes(info: &CacheInfo) -> usize {
    info.aliases.iter().chain([&info.name]).map(|name| NAME_BYTES + name.len()).sum()
}

fn stack_bytes(calls: &[String]) -> usize {
    calls.iter().map(|call| NAME_BYTES + call.len()).sum()
}

/// Names of places in the kernel.
#[derive(Clone, Default)]
pub struct RecordedNames(HashMap<Address, String>);

impl RecordedNames {
    pub fn knows(&self, address: Address) -> bool {
        self.0.contains_key(&address)
    }
}

impl CallSites for RecordedNames {
    fn name(&self, address: Address) -> Option<String> {
        self.0.get(&address).cloned()
    }
}

#[derive(Clone)]
pub struct RecordedStacks {
    period: u32,
    names: HashMap<StackId, Vec<String>>,
}

impl StackNames for RecordedStacks {
    fn period(&self) -> u32 {
        self.period
    }

    fn names(&self, id: StackId) -> Vec<String> {
        self.names.get(&id).cloned().unwrap_or_default()
    }
}

/// What a report of a recording with these filters shows, with those of its own.
fn shown(recorded: &str, own: &str) -> String {
    let parts = [recorded, own].map(without_caches);
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

impl State {
    pub fn new(header: &Header, filter: Filter, incidents: Incidents, apart: OriginDetail) -> Self {
        let mut ledger = Ledger::new(header.ledger_bytes.min(MAX_LEDGER_BYTES) as usize);
        ledger.set_period(header.period);
        ledger.set_detail(apart);
        Self {
            ledger,
            caches: Caches::new(),
            processes: Processes::default(),
            cgroups: Cgroups::new(None),
            call_sites: RecordedNames::default(),
            stacks: header.stacks_period.map(|period| RecordedStacks { period, names: HashMap::new() }),
            gfp_names: header.gfp_names.clone(),
            host: header.host.clone(),
            kernel: header.kernel.clone(),
            own_tgid: header.own_tgid,
            incidents,
            shown: shown(&header.filters, filter.text()),
            filter,
            passed: HashMap::new(),
            passed_cgroups: HashMap::new(),
            period: header.period,
            room: Room(MAX_NAME_BYTES),
            limits: Limits::NONE,
            steps: Steps::new(Limits::NONE),
            measured_at: 0,
            exceeded: None,
            marks: Vec::new(),
            read_at: header.started_ns,
        }
    }

    /// It takes no more than this: see [`Self::check`].
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, steps: Steps::new(limits), ..self }
    }

    /// The file has grown, and it may take more.
    pub(super) fn raise_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.steps.raise(limits);
    }

    /// Whether it is within its limits. Beyond, nothing is applied any more.
    pub fn check(&self) -> Result<(), TooMuch> {
        self.exceeded.map_or(Ok(()), Err)
    }

    /// Whether so many steps more are within the limits.
    #[inline]
    fn take(&mut self, steps: u64) -> bool {
        if !self.steps.take(steps) {
            self.exceeded.get_or_insert(self.steps.exceeded());
        } else if self.steps.taken() - self.measured_at >= MEASURE_EVERY {
            self.measure();
        }
        self.exceeded.is_none()
    }

    #[cold]
    fn measure(&mut self) {
        self.measured_at = self.steps.taken();
        if self.bytes() as u64 > self.limits.memory {
            self.exceeded.get_or_insert(TooMuch(Bound::Memory(self.limits.memory)));
        }
    }

    /// Memory that all of it takes, and a report of it, about.
    pub(super) fn bytes(&self) -> usize {
        let rows = self.ledger.origin_count() * ROW_BYTES;
        let tasks = self.processes.count() * PROCESS_BYTES;
        let cgroups = self.cgroups.count() * CGROUP_BYTES + self.cgroups.path_bytes();
        self.ledger.bytes() + rows + tasks + cgroups + (MAX_NAME_BYTES - self.room.0)
    }

    pub fn define(&mut self, definitions: Definitions) {
        if !self.take(1 + definitions.count() as u64 + definitions.copied() / COPIED_STEP) {
            return;
        }
        let Definitions { caches, processes, cgroups, call_sites, stacks } = definitions;
        for (number, info) in caches {
            let passes = self.filter.passes_cache(info.names());
            self.room.put(&mut self.caches, number, info, cache_bytes);
            if self.caches.contains_key(&number) {
                self.passed.insert(number, passes);
            }
        }
        if self.caches.len() > MAX_CACHES {
            self.exceeded.get_or_insert(TooMuch(Bound::Caches(MAX_CACHES as u64)));
        }
        processes.into_iter().for_each(|process| self.processes.define(process));
        for (id, path) in cgroups {
            self.cgroups.define(id, path);
            // There is no more of them than there is room for.
            if let Some(path) = self.cgroups.path(id) {
                self.passed_cgroups.insert(id, self.filter.passes_cgroup(Some(path)));
            }
        }
        for (place, name) in call_sites {
            self.room.put(&mut self.call_sites.0, place, name, String::len);
        }
        if let Some(known) = &mut self.stacks {
            stacks.into_iter().for_each(|(id, calls)| {
                self.room.put(&mut known.names, id, calls, |calls| stack_bytes(calls));
            });
        }
    }

    pub fn apply(&mut self, entry: &Entry<'_>) {
        if !self.take(1 + steps_of_text(text_of(entry))) {
            return;
        }
        match *entry {
            Entry::Event(event) => self.ledger.apply(event),
            Entry::Label(object, label) => self.ledger.label(object, &label),
            Entry::Refuted(object) => {
                self.ledger.refute(object);
            }
            // It only rises, where nobody has changed the file.
            Entry::Period(period) if period > self.period => {
                self.take(PERIOD_STEPS + self.ledger.outstanding() as u64);
                self.period = period;
                self.ledger.set_period(period);
            }
            Entry::Period(_) => {}
            Entry::Read(time) => self.read_at = time,
            Entry::Mark(time, label) if self.marks.len() < MAX_MARKS => {
                self.marks.push((time, shortened(label).to_vec()));
            }
            Entry::Mark(..) => {}
        }
    }

    /// So many events were shown.
    pub(super) fn note_shown(&mut self, events: u64) {
        self.take(SHOWN_STEPS * events);
    }

    /// What was asked for and is not there.
    pub(super) fn unmatched(&self) -> Vec<String> {
        self.filter.unmatched(&self.ledger, &self.cgroups)
    }

    /// From here on, frees are of what was outstanding at the session's end.
    pub(super) fn note_end(&mut self) {
        let Self { ledger, processes, .. } = self;
        ledger.note_end(|id| processes.lives(id));
    }

    /// The end of a block.
    pub(super) fn close(&mut self, footer: &BlockFooter) {
        if footer.forgot_ended {
            self.take((self.processes.count() + self.ledger.origin_count()) as u64);
            self.processes.forget_ended(self.ledger.holders());
        }
    }

    pub fn with_lookups<T>(&self, ask: impl FnOnce(Lookups<'_>) -> T) -> T {
        ask(Lookups {
            host: &self.host,
            kernel: &self.kernel,
            filter: &self.shown,
            caches: &self.caches,
            processes: &self.processes,
            cgroups: &self.cgroups,
            call_sites: Some(&self.call_sites),
            stacks: self.stacks.as_ref().map(|stacks| stacks as &dyn StackNames),
            gfp_names: self.gfp_names.as_ref(),
            incidents: &self.incidents,
            is_shown: &|origin| self.shows(origin),
        })
    }

    pub fn names(&self) -> Names<'_> {
        Names { caches: &self.caches, cgroups: &self.cgroups, call_sites: Some(&self.call_sites) }
    }

    pub(super) fn shows(&self, origin: &OriginKey) -> bool {
        let passes_cache = self.passed.get(&origin.cache).copied().unwrap_or(!self.filter.is_on());
        let passes_cgroup = || {
            let passes = self.passed_cgroups.get(&origin.cgroup).copied();
            passes.unwrap_or_else(|| self.filter.passes_cgroup(None))
        };
        origin.task.tgid != self.own_tgid
            && passes_cache
            && self.filter.passes_task(origin)
            && passes_cgroup()
    }

    /// Whether what is of this cache is shown where nobody knows whose it is.
    pub(super) fn shows_unknown_of(&self, cache: Option<Address>) -> bool {
        let passes_cache = cache.and_then(|cache| self.passed.get(&cache)).copied();
        passes_cache.unwrap_or(!self.filter.is_on()) && self.filter.passes_unknown_tasks()
    }

    pub(super) fn snapshot(&mut self, builder: &mut Builder, checkpoint: &Checkpoint) -> Snapshot {
        let aged = if builder.looks_at_objects() { self.ledger.outstanding() / AGED_STEP } else { 0 };
        let lists = checkpoint.slabinfo.len() + checkpoint.growth.len() + checkpoint.losses.len();
        let caches = self.caches.len() + lists;
        self.take((ROW_STEPS * (self.ledger.origin_count() + caches) + aged) as u64);
        self.measure();
        let mut snapshot = self.with_lookups(|lookups| builder.snapshot(&self.ledger, checkpoint, lookups));
        if self.filter.is_on() {
            let shown = |name: &str| {
                self.caches.values().any(|info| info.name == name && self.filter.passes_cache(info.names()))
            };
            snapshot.caches.retain(|cache| shown(&cache.name));
        }
        snapshot
    }

    /// What is outstanding of what is shown.
    pub(super) fn outstanding(&mut self) -> Outstanding {
        self.take(self.ledger.origin_count() as u64);
        self.with_lookups(|lookups| {
            let mut outstanding = Outstanding::default();
            for origin in lookups.shown(&self.ledger) {
                let size = self.caches.get(&origin.key.cache).map_or(0, |info| info.object_size);
                outstanding.objects = outstanding.objects.saturating_add(origin.outstanding());
                let bytes = origin.outstanding().saturating_mul(size);
                outstanding.bytes = outstanding.bytes.saturating_add(bytes);
            }
            outstanding
        })
    }
}
