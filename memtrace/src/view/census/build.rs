//! From a sample to a census.

use std::{collections::HashMap, time::Duration};

use super::{
    CacheCensus, Census, Interval, Row,
    check::{Evidence, Told},
    dated::Now,
    estimate::{Share, interval_of_count},
    group::{Group, Seen, groups, seen},
    notes,
    traits::{By, Content, Payer, Traits},
};
use crate::{
    kernel::census::{Sample, sample::SampledCache},
    procfs::slab::Counts,
    stream::event::CgroupId,
};

pub struct Inputs<'a> {
    pub sample: &'a Sample,
    /// What the kernel counts of the caches that are asked for.
    pub counted: &'a [CountedCache],
    /// Caches that the sample alone has are of interest too: all are asked for.
    pub takes_all: bool,
    pub by: &'a [By],
    /// The error that was asked for.
    pub error: f64,
    pub page_size: u64,
    pub now: Now,
    pub host: &'a str,
    /// The kernel's release.
    pub kernel: &'a str,
    /// A cgroup's path.
    pub cgroup: &'a dyn Fn(CgroupId) -> Option<Vec<u8>>,
}

/// A cache as the kernel counts it, before and after the sample was drawn.
#[derive(Clone, Debug, Default)]
pub struct CountedCache {
    pub name: String,
    pub aliases: Vec<String>,
    pub reclaimable: Option<bool>,
    pub before: Option<Counts>,
    pub after: Option<Counts>,
}

/// A cache in the making.
struct Entry<'a> {
    counted: CountedCache,
    sampled: Option<&'a SampledCache>,
    seen: Seen,
    told: Told,
    size: Size,
}

/// What all rows of a cache come to.
#[derive(Clone, Copy)]
struct Size {
    bytes: f64,
    /// Places of objects, free or not.
    slots: f64,
    /// The kernel's count; else an estimate by so many pages.
    is_counted: bool,
    pages: f64,
}

pub fn build(inputs: &Inputs<'_>) -> Census {
    let entries = entries(inputs);
    let told = entries.iter().enumerate().filter(|(_, entry)| matches!(entry.told, Told::Rows { .. }));
    let told: Vec<_> = told.filter_map(|(number, entry)| Some((number, entry.sampled?))).collect();
    let groups = groups(inputs.by, &told);
    let mut rows = Rows { inputs, entries: &entries, given: HashMap::new() }.all(groups);
    rows.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.traits.cmp(&b.traits)));
    let sample = inputs.sample;
    Census {
        time: inputs.now.time,
        host: inputs.host.to_owned(),
        kernel: inputs.kernel.to_owned(),
        page_size: inputs.page_size,
        by: inputs.by.to_vec(),
        seed: sample.seed,
        frames: sample.frames,
        drawn: sample.drawn,
        slab_pages: sample.caches.iter().map(|cache| cache.pages.len() as u64).sum(),
        elapsed: sample.cost.elapsed.max(Duration::from_nanos(1)),
        caches: entries.iter().map(|entry| entry.census(inputs)).collect(),
        rows,
        unused: Vec::new(),
        notes: notes::notes(sample, inputs.error),
    }
}

/// The biggest first. Those of which there is nothing are left out.
fn entries<'a>(inputs: &Inputs<'a>) -> Vec<Entry<'a>> {
    let sampled: HashMap<&str, &SampledCache> =
        inputs.sample.caches.iter().map(|cache| (cache.name.as_str(), cache)).collect();
    let is_counted = |name: &str| inputs.counted.iter().any(|counted| counted.name == name);
    let others = sampled.keys().filter(|name| inputs.takes_all && !is_counted(name));
    let others = others.map(|name| CountedCache { name: (*name).to_owned(), ..CountedCache::default() });
    let all: Vec<_> = inputs.counted.iter().cloned().chain(others).collect();
    let pages = |name: &str| sampled.get(name).map_or(0, |cache| cache.pages.len() as u64);
    let all_seen = all.iter().map(|counted| pages(&counted.name)).sum();
    let entry = |counted: CountedCache| {
        Entry::new(inputs, sampled.get(counted.name.as_str()).copied(), counted, all_seen)
    };
    let mut entries: Vec<_> = all.into_iter().map(entry).filter(|entry| entry.size.bytes > 0.0).collect();
    entries.sort_by(|a, b| {
        b.size.bytes.total_cmp(&a.size.bytes).then_with(|| a.counted.name.cmp(&b.counted.name))
    });
    entries
}

impl<'a> Entry<'a> {
    fn new(
        inputs: &Inputs<'_>,
        sampled: Option<&'a SampledCache>,
        counted: CountedCache,
        all_seen: u64,
    ) -> Self {
        let sample = inputs.sample;
        let chance = sample.drawn as f64 / sample.frames.max(1) as f64;
        let expected = |counts: Option<Counts>| Some(counts?.pages as f64 * chance);
        let expected =
            expected(counted.before.or(counted.after)).zip(expected(counted.after.or(counted.before)));
        let seen = sampled.map(seen).unwrap_or_default();
        let pages = sampled.map_or(0, |cache| cache.pages.len() as u64);
        let evidence = Evidence {
            seen: pages,
            expected,
            whole: &seen.whole,
            all_seen,
            drawn: sample.drawn,
            frames: sample.frames,
            error: inputs.error,
        };
        let told = evidence.judge();
        let size = match counted.after.or(counted.before) {
            Some(counts) => Size {
                bytes: (counts.pages * inputs.page_size) as f64,
                slots: counts.total_objects as f64,
                is_counted: true,
                pages: pages as f64,
            },
            None => Size {
                bytes: pages as f64 * inputs.page_size as f64 / chance.max(f64::MIN_POSITIVE),
                slots: seen.whole.objects / chance.max(f64::MIN_POSITIVE),
                is_counted: false,
                pages: pages as f64,
            },
        };
        Self { counted, sampled, seen, told, size }
    }

    fn census(&self, inputs: &Inputs<'_>) -> CacheCensus {
        let sample = inputs.sample;
        let each = inputs.page_size as f64 * sample.frames as f64 / sample.drawn.max(1) as f64;
        let pages = self.size.pages as u64;
        let (low, high) = interval_of_count(pages);
        let counts = self.counted.after.or(self.counted.before);
        let active = counts.map(|counts| counts.active_objects);
        let allocated = self.seen.whole.share(&self.seen.allocated);
        let of = |share: f64| (share * self.size.slots).round() as u64;
        let (least, most) = allocated.interval();
        // What cannot be estimated is the kernel's count.
        let (objects, objects_ci95) = match (self.told, active) {
            (Told::Rows { .. }, _) | (_, None) => (of(allocated.value), (of(least), of(most))),
            (_, Some(active)) => (active, (active, active)),
        };
        CacheCensus {
            name: self.counted.name.clone(),
            aliases: self.counted.aliases.clone(),
            reclaimable: self.counted.reclaimable,
            bytes: self.size.bytes.round() as u64,
            sampled_bytes: (pages as f64 * each).round() as u64,
            sampled_bytes_ci95: ((low * each) as u64, (high * each).ceil() as u64),
            objects,
            objects_ci95,
            slabinfo_objects: active,
            slabinfo_bytes: counts.map(|counts| counts.pages * inputs.page_size),
            pages,
            told: self.told,
        }
    }
}

/// Rows in the making.
struct Rows<'a> {
    inputs: &'a Inputs<'a>,
    entries: &'a [Entry<'a>],
    /// Share, bytes and objects of each cache that rows have so far: with what is rounded, none is lost.
    given: HashMap<usize, (f64, u64, u64)>,
}

impl Rows<'_> {
    fn all(mut self, groups: HashMap<Traits, Group<'_>>) -> Vec<Row> {
        let mut groups: Vec<(Traits, Group<'_>)> = groups.into_iter().collect();
        groups.sort_by(|a, b| a.0.cmp(&b.0));
        let told: Vec<Row> = groups.into_iter().map(|(key, group)| self.row(key, &group)).collect();
        told.into_iter().chain(self.untold()).collect()
    }

    fn row(&mut self, key: Traits, group: &Group<'_>) -> Row {
        let shares: Vec<(usize, Share)> = group
            .parts
            .iter()
            .map(|(&cache, part)| (cache, self.entries[cache].seen.whole.share(part)))
            .collect();
        let (mut bytes, mut objects) = (0, 0);
        for &(cache, share) in &shares {
            let (more_bytes, more_objects) = self.give(cache, share.value);
            (bytes, objects) = (bytes + more_bytes, objects + more_objects);
        }
        let weighted: Vec<(Share, f64)> =
            shares.iter().map(|&(cache, share)| (share, self.entries[cache].size.bytes)).collect();
        let base: f64 = weighted.iter().map(|(_, weight)| weight).sum();
        let share = Share::of_all(&weighted);
        let (low, high) = self.widened(&shares, share);
        let whole = self.whole(&key);
        let of_whole = |share: f64| if whole > 0.0 { (share * base / whole).clamp(0.0, 1.0) } else { 0.0 };
        let relative = |bound: f64| if share.value > 0.0 { bound / share.value } else { 1.0 };
        let estimate = Estimate {
            objects,
            objects_ci95: (scale(objects, relative(low)), scale(objects, relative(high))),
            bytes,
            bytes_ci95: (((low * base) as u64).min(bytes), ((high * base).ceil() as u64).max(bytes)),
            share: of_whole(share.value),
            share_ci95: (of_whole(low), of_whole(high)),
        };
        self.describe(key, group, estimate)
    }

    /// What of a cache goes to a row with this share of it.
    fn give(&mut self, cache: usize, share: f64) -> (u64, u64) {
        let size = self.entries[cache].size;
        let given = self.given.entry(cache).or_default();
        let before = *given;
        let sum = (before.0 + share).min(1.0);
        *given = (sum, (sum * size.bytes).round() as u64, (sum * size.slots).round() as u64);
        (given.1 - before.1, given.2 - before.2)
    }

    /// With the error of the caches' sizes, where the kernel does not count them.
    fn widened(&self, shares: &[(usize, Share)], share: Share) -> Interval<f64> {
        let sizes = shares.iter().map(|&(cache, _)| self.entries[cache].size);
        let uncounted: f64 = sizes.filter(|size| !size.is_counted).map(|size| size.pages).sum();
        let (low, high) = share.interval();
        if uncounted <= 0.0 {
            return (low, high);
        }
        let (least, most) = interval_of_count(uncounted as u64);
        (low * least / uncounted, high * most / uncounted)
    }

    /// What a row's share is of.
    fn whole(&self, key: &Traits) -> f64 {
        match key.cache {
            Some(cache) => self.entries[cache].size.bytes,
            None => self.entries.iter().map(|entry| entry.size.bytes).sum(),
        }
    }

    fn describe(&self, key: Traits, group: &Group<'_>, estimate: Estimate) -> Row {
        let content = key.content;
        let common = Traits { content, ..group.common.clone() };
        Row {
            cgroup: self.cgroup(common.payer),
            traits: if content == Content::Object { common } else { key },
            removed_cgroups: group.removed(),
            looks: group.looks,
            example: group.example().map(<[u8]>::to_vec),
            negative_share: group.negative.share(),
            asked_once_share: group.asked_once.share(),
            made: group.made(self.inputs.now),
            open_in: group.open_in(),
            ..Row::of(estimate)
        }
    }

    fn cgroup(&self, payer: Option<Payer>) -> Option<Vec<u8>> {
        match payer? {
            Payer::Cgroup(id) | Payer::RemovedOf(id) => (self.inputs.cgroup)(id),
            Payer::Nobody | Payer::Unknown => None,
        }
    }

    /// Caches of which the sample cannot tell anything, or is not believed.
    fn untold(&self) -> Vec<Row> {
        let mut sums: HashMap<Traits, (f64, u64)> = HashMap::new();
        for (number, entry) in self.entries.iter().enumerate() {
            let content = match entry.told {
                Told::Rows { .. } => continue,
                Told::TooFew { .. } => Content::TooFew,
                Told::Doubted { .. } => Content::Doubted,
            };
            let key = Traits { content, cache: Some(number), ..Traits::default() }.masked(self.inputs.by);
            let sum = sums.entry(key).or_default();
            sum.0 += entry.size.bytes;
            sum.1 += entry.census(self.inputs).objects;
        }
        let row = |(key, (bytes, objects)): (Traits, (f64, u64))| {
            let share = if self.whole(&key) > 0.0 { bytes / self.whole(&key) } else { 0.0 };
            let bytes = bytes.round() as u64;
            let estimate = Estimate {
                objects,
                objects_ci95: (objects, objects),
                bytes,
                bytes_ci95: (bytes, bytes),
                share,
                share_ci95: (share, share),
            };
            Row { traits: key, ..Row::of(estimate) }
        };
        sums.into_iter().map(row).collect()
    }
}

/// The figures of a row.
#[derive(Default)]
struct Estimate {
    objects: u64,
    objects_ci95: Interval<u64>,
    bytes: u64,
    bytes_ci95: Interval<u64>,
    share: f64,
    share_ci95: Interval<f64>,
}

impl Row {
    fn of(estimate: Estimate) -> Self {
        let Estimate { objects, objects_ci95, bytes, bytes_ci95, share, share_ci95 } = estimate;
        Self {
            traits: Traits::default(),
            cgroup: None,
            removed_cgroups: 0,
            looks: 0,
            objects,
            objects_ci95,
            bytes,
            bytes_ci95,
            share,
            share_ci95,
            example: None,
            negative_share: None,
            asked_once_share: None,
            made: None,
            not_before: None,
            open_in: None,
            memory_stat: None,
        }
    }
}

fn scale(count: u64, by: f64) -> u64 {
    (count as f64 * by).round() as u64
}
