//! Collects what was seen into groups.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    OpenIn,
    dated::{Now, Period, period},
    estimate::{Part, Whole},
    fold::Folding,
    traits::{By, Content, Kind, Traits},
};
use crate::kernel::census::sample::{Charge, SampledCache, SampledPage, Slot};

/// Names of a group that are kept, to read the time from.
const MOST_NAMES: usize = 4_096;

/// Objects that have in common what rows are grouped by.
#[derive(Default)]
pub struct Group<'a> {
    pub common: Traits,
    /// By cache.
    pub parts: BTreeMap<usize, Part>,
    pub looks: u64,
    pub negative: Tally,
    pub asked_once: Tally,
    removed: HashSet<u64>,
    open_in: BTreeMap<&'a [u8], Holding>,
    /// Of all its objects.
    weight: f64,
    names: Vec<&'a [u8]>,
}

/// How much of something has a property, where that is known. An object counts for all that begin in its page, by those of them that
/// were looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    yes: f64,
    all: f64,
}

impl Tally {
    fn add(&mut self, is: Option<bool>, weight: f64) {
        if let Some(is) = is {
            self.all += weight;
            self.yes += if is { weight } else { 0.0 };
        }
    }

    pub fn share(self) -> Option<f64> {
        (self.all > 0.0).then(|| (self.yes / self.all).min(1.0))
    }
}

/// Processes of one name that have some of a group open.
#[derive(Default)]
struct Holding {
    weight: f64,
    pids: HashSet<u32>,
}

impl<'a> Group<'a> {
    fn add(&mut self, traits: Traits, slot: &'a Slot, weight: f64) {
        self.negative.add(is_negative(traits.kind), weight);
        self.asked_once.add(slot.signs.asked_once, weight);
        if let Charge::Removed { removed, .. } = slot.charge {
            self.removed.insert(removed);
        }
        if let Some(inspection) = slot.inspection.as_ref().filter(|_| self.names.len() < MOST_NAMES) {
            self.names.push(&inspection.name);
        }
        self.hold(slot, weight);
        if self.looks == 0 {
            self.common = traits;
        } else {
            self.common.keep_common(&traits);
        }
        self.looks += 1;
    }

    fn hold(&mut self, slot: &'a Slot, weight: f64) {
        self.weight += weight;
        let comms: BTreeSet<&[u8]> = slot.open_in.iter().map(|holder| &holder.comm[..]).collect();
        for comm in comms {
            self.open_in.entry(comm).or_default().weight += weight;
        }
        for holder in &slot.open_in {
            self.open_in.entry(&holder.comm).or_default().pids.insert(holder.pid);
        }
    }

    /// The name of the processes that have most of it open.
    pub fn open_in(&self) -> Option<OpenIn> {
        let most = |one: &Holding, other: &Holding| one.weight.total_cmp(&other.weight);
        let (comm, holding) = self.open_in.iter().max_by(|(_, one), (_, other)| most(one, other))?;
        let share = (holding.weight / self.weight).min(1.0);
        Some(OpenIn { comm: comm.to_vec(), processes: holding.pids.len() as u64, share })
    }

    /// Removed cgroups among the payers that were seen.
    pub fn removed(&self) -> u64 {
        self.removed.len() as u64
    }

    pub fn example(&self) -> Option<&'a [u8]> {
        self.names.first().copied()
    }

    /// When its objects were made, if their names tell.
    pub fn made(&self, now: Now) -> Option<Period> {
        // Names of several places have nothing in common.
        self.common.place.as_ref().filter(|place| !place.is_flat && !place.is_below)?;
        period(self.names.iter().copied(), now)
    }
}

fn is_negative(kind: Option<Kind>) -> Option<bool> {
    match kind? {
        Kind::NegativeDentry => Some(true),
        Kind::Dentry => Some(false),
        Kind::Inode(_) | Kind::File(_) | Kind::Socket => None,
    }
}

/// What was seen of one cache.
#[derive(Default)]
pub struct Seen {
    pub whole: Whole,
    /// Its objects that are allocated.
    pub allocated: Part,
}

/// Collects the pages of some caches, each with its number, into groups of what rows are grouped by.
pub fn groups<'a>(by: &[By], caches: &[(usize, &'a SampledCache)]) -> HashMap<Traits, Group<'a>> {
    let folding = by.contains(&By::Place).then(|| folding(by, caches));
    let mut groups = HashMap::new();
    for &(number, cache) in caches {
        for page in &cache.pages {
            add_page(&mut groups, by, folding.as_ref(), number, page);
        }
    }
    groups
}

/// Where what is scattered counts.
fn folding(by: &[By], caches: &[(usize, &SampledCache)]) -> Folding {
    let mut folding = Folding::default();
    let mut looks: HashMap<Option<usize>, u64> = HashMap::new();
    for &(number, cache) in caches {
        for page in &cache.pages {
            *looks.entry(Some(number)).or_default() += page.slots.len() as u64;
            *looks.entry(None).or_default() += page.slots.len() as u64;
            for slot in &page.slots {
                let mut others = Traits::of_slot(slot, page, number).masked(by);
                if let Some(place) = others.place.take() {
                    folding.add(others, place);
                }
            }
        }
    }
    folding.fold(|cache| looks.get(&cache).copied().unwrap_or(0));
    folding
}

fn add_page<'a>(
    groups: &mut HashMap<Traits, Group<'a>>,
    by: &[By],
    folding: Option<&Folding>,
    cache: usize,
    page: &'a SampledPage,
) {
    // How many of the page's objects each group has.
    let mut here: HashMap<Traits, f64> = HashMap::new();
    let weight = weight(page);
    for slot in &page.slots {
        let mut traits = Traits::of_slot(slot, page, cache);
        let mut key = traits.masked(by);
        if let (Some(folding), Some(place)) = (folding, key.place.take()) {
            key.place = folding.place(&key, &place);
            traits.place.clone_from(&key.place);
        }
        *here.entry(key.clone()).or_default() += weight;
        groups.entry(key).or_default().add(traits, slot, weight);
    }
    for (key, objects) in here {
        let group = groups.get_mut(&key).expect("it was just added");
        group.parts.entry(cache).or_default().add(objects, page.objects);
    }
}

/// For how many objects one that was looked at stands.
fn weight(page: &SampledPage) -> f64 {
    f64::from(page.objects) / page.slots.len().max(1) as f64
}

/// What the pages of a cache come to, whatever the groups.
pub fn seen(cache: &SampledCache) -> Seen {
    let mut seen = Seen::default();
    for page in cache.pages.iter().filter(|page| !page.slots.is_empty()) {
        seen.whole.add(page.objects, page.slots.len());
        let is_object = |slot: &&Slot| Traits::of_slot(slot, page, 0).content == Content::Object;
        let allocated = page.slots.iter().filter(is_object).count() as f64 * weight(page);
        if allocated > 0.0 {
            seen.allocated.add(allocated, page.objects);
        }
    }
    seen
}
