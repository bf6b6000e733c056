//! The ledger as one would write it without regard to cost: a list of objects, searched for everything.

use std::collections::{BTreeMap, BTreeSet};

use memtrace_common::sample;

use super::{
    super::{Ledger, TICK_NS, Tally, pattern::pattern},
    Step,
};
use crate::stream::event::{Address, Alloc, Comm, TimeNs};

/// Whose objects: cache, process, command name, kernel thread or not.
pub type Who = (Address, u32, Comm, bool);
/// Parent and pattern.
pub type Called = (Vec<u8>, Vec<u8>);

pub struct Model {
    /// One object in so many is followed, and stands for so many.
    pub period: u32,
    pub tally: Tally,
    pub unseen_frees: BTreeMap<Address, u64>,
    pub totals: BTreeMap<Who, Totals>,
    /// Outstanding, in the order in which they came.
    pub objects: Vec<Object>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub allocs: u64,
    pub frees: u64,
}

pub struct Object {
    pub ptr: Address,
    pub time: TimeNs,
    pub who: Who,
    pub called: Option<Called>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            period: 1,
            tally: Tally::default(),
            unseen_frees: BTreeMap::new(),
            totals: BTreeMap::new(),
            objects: Vec::new(),
        }
    }
}

impl Model {
    pub fn set_period(&mut self, period: u32) {
        self.period = period;
        self.objects.retain(|object| sample::keeps(object.ptr, sample::limit(period)));
    }

    fn follows(&self, ptr: Address) -> bool {
        sample::keeps(ptr, sample::limit(self.period))
    }

    fn weight(&self) -> u64 {
        self.period.into()
    }

    pub fn apply(&mut self, time: TimeNs, step: &Step, most_objects: usize) {
        match step {
            Step::Alloc { alloc, late } => self.alloc(Alloc { time: time - late, ..*alloc }, most_objects),
            Step::Free(ptr) => {
                self.tally.frees += 1;
                if self.follows(*ptr) {
                    self.tally.unknown_frees += u64::from(self.take(*ptr).is_none());
                }
            }
            Step::Name { ptr, parent, name } => {
                self.tally.names += 1;
                self.call(|object| object.ptr == *ptr, parent, name);
            }
            Step::Label { ptr, age, parent, name } => {
                let then = time.saturating_sub(*age);
                self.call(|object| object.ptr == *ptr && object.time == to_tick(then), parent, name);
            }
            Step::Refute { ptr, age } => {
                let then = to_tick(time.saturating_sub(*age));
                if self.objects.iter().any(|object| object.ptr == *ptr && object.time == then) {
                    self.tally.refuted += 1;
                    let cache = self.take(*ptr).expect("it is there").who.0;
                    *self.unseen_frees.entry(cache).or_default() += 1;
                }
            }
        }
    }

    fn alloc(&mut self, alloc: Alloc, most_objects: usize) {
        self.tally.allocs += 1;
        let who = (alloc.cache, alloc.task.tgid, alloc.task.comm, alloc.task.is_kthread);
        let is_repeated = |object: &Object| alloc.may_repeat && object.ptr == alloc.ptr && object.who == who;
        if !self.follows(alloc.ptr) || self.objects.iter().any(is_repeated) {
            return;
        }
        if let Some(older) = self.take(alloc.ptr) {
            self.tally.reused_pointers += 1;
            *self.unseen_frees.entry(older.who.0).or_default() += 1;
        }
        if self.objects.len() == most_objects {
            self.tally.refused += 1;
            return;
        }
        self.totals.entry(who).or_default().allocs += self.weight();
        self.objects.push(Object { ptr: alloc.ptr, time: to_tick(alloc.time), who, called: None });
    }

    fn take(&mut self, ptr: Address) -> Option<Object> {
        let at = self.objects.iter().position(|object| object.ptr == ptr)?;
        let object = self.objects.remove(at);
        self.totals.get_mut(&object.who).unwrap().frees += self.weight();
        Some(object)
    }

    fn call(&mut self, which: impl Fn(&Object) -> bool, parent: &[u8], name: &[u8]) {
        if let Some(object) = self.objects.iter_mut().find(|object| which(object)) {
            object.called = Some((parent.to_vec(), pattern(name)));
        }
    }

    fn of(&self, who: Who) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(move |object| object.who == who)
    }
}

/// As precise as the ledger keeps a time.
fn to_tick(time: TimeNs) -> TimeNs {
    time / TICK_NS * TICK_NS
}

/// All that a report may ask of an origin.
#[derive(Debug, PartialEq)]
pub struct Seen {
    pub totals: Totals,
    pub outstanding: u64,
    pub oldest: Option<TimeNs>,
    pub names: BTreeMap<Called, u64>,
    /// For each time asked about.
    pub until: Vec<(u64, BTreeMap<Called, u64>)>,
}

pub fn seen_in_model(model: &Model, times: &[TimeNs]) -> BTreeMap<Who, Seen> {
    let see = |&who: &Who| Seen {
        totals: model.totals[&who],
        outstanding: model.of(who).count() as u64 * model.weight(),
        oldest: model.of(who).map(|object| object.time).min(),
        names: count(model.of(who), model.weight()),
        until: times
            .iter()
            .map(|&time| {
                let until = || model.of(who).filter(move |object| object.time <= time);
                (until().count() as u64 * model.weight(), count(until(), model.weight()))
            })
            .collect(),
    };
    model.totals.keys().map(|who| (*who, see(who))).collect()
}

fn count<'a>(objects: impl Iterator<Item = &'a Object>, weight: u64) -> BTreeMap<Called, u64> {
    let mut counts = BTreeMap::new();
    for called in objects.filter_map(|object| object.called.clone()) {
        *counts.entry(called).or_default() += weight;
    }
    counts
}

/// The same of the ledger. Fails where it has two origins for one, or one name twice.
pub fn seen_in_ledger(ledger: &Ledger, times: &[TimeNs]) -> BTreeMap<Who, Seen> {
    let mut seen = BTreeMap::new();
    for origin in ledger.origins() {
        let task = origin.key.task;
        let names = |named: Vec<super::super::NamedObjects<'_>>| {
            let distinct: BTreeSet<_> = named.iter().map(|named| (named.directory, named.pattern)).collect();
            assert_eq!(distinct.len(), named.len(), "a name stands twice in {named:?}");
            named
                .into_iter()
                .map(|named| ((named.directory.to_vec(), named.pattern.to_vec()), named.objects))
                .collect::<BTreeMap<Called, u64>>()
        };
        let see = Seen {
            totals: Totals { allocs: origin.allocs, frees: origin.frees },
            outstanding: origin.outstanding(),
            oldest: ledger.oldest(origin),
            names: names(ledger.names(origin).collect()),
            until: times
                .iter()
                .map(|&time| {
                    let aged = ledger.allocated_until(time);
                    (aged.objects(origin), names(aged.names(origin).collect()))
                })
                .collect(),
        };
        let who = (origin.key.cache, task.tgid, task.comm, task.is_kthread);
        assert!(seen.insert(who, see).is_none(), "two origins of {who:?}");
    }
    seen
}
