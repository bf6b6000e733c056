//! A host whose slabs are known to the last object.

use std::collections::BTreeMap;

use super::super::build::CountedCache;
use crate::{
    kernel::{
        census::{
            Sample,
            sample::{Charge, SampledCache, SampledPage, Signs, Slot, State},
        },
        inspect::Inspection,
    },
    procfs::slab::Counts,
    stream::event::ObjectKind,
};

const PAGE: u64 = 4096;
/// Objects that are looked at in each page.
const LOOKS: usize = 2;

/// One object. Owner 0: nobody, its place is free.
#[derive(Clone)]
pub struct Object {
    pub owner: u64,
    pub name: Option<String>,
}

struct Slab {
    cache: &'static str,
    order: u32,
    size: u64,
    objects: Vec<Object>,
}

/// Where each page belongs to: a slab, and which of its pages it is.
#[derive(Default)]
pub struct Host {
    slabs: Vec<Slab>,
    frames: Vec<Option<(usize, u64)>>,
}

impl Host {
    /// Slabs one behind the other, each made by the number of its first object.
    pub fn add_slabs(
        &mut self,
        cache: &'static str,
        order: u32,
        size: u64,
        slabs: u64,
        object: &dyn Fn(u64) -> Object,
    ) {
        let each = (PAGE << order) / size;
        for slab in 0..slabs {
            let objects = (0..each).map(|at| object(slab * each + at)).collect();
            self.frames.extend((0..1 << order).map(|page| Some((self.slabs.len(), page))));
            self.slabs.push(Slab { cache, order, size, objects });
        }
    }

    fn add_other(&mut self, frames: usize) {
        self.frames.extend((0..frames).map(|_| None));
    }

    pub fn share(&self, cache: &str, is_it: fn(&Object) -> bool) -> f64 {
        let objects = || self.slabs.iter().filter(|slab| slab.cache == cache).flat_map(|slab| &slab.objects);
        objects().filter(|object| is_it(object)).count() as f64 / objects().count() as f64
    }

    /// What slabinfo says.
    pub fn counted(&self) -> Vec<CountedCache> {
        let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
        for slab in &self.slabs {
            let counts = counts.entry(slab.cache).or_default();
            counts.active_objects += slab.objects.iter().filter(|object| object.owner != 0).count() as u64;
            counts.total_objects += slab.objects.len() as u64;
            counts.slabs += 1;
            counts.pages += 1 << slab.order;
        }
        let counted = |(name, counts): (&str, Counts)| CountedCache {
            name: name.to_owned(),
            before: Some(counts),
            after: Some(counts),
            ..CountedCache::default()
        };
        let mut all: Vec<_> = counts.into_iter().map(counted).collect();
        all.sort_by_key(|counted| std::cmp::Reverse(counted.after.map(|counts| counts.pages)));
        all
    }

    /// One frame of each stripe.
    pub fn sample(&self, seed: u64, drawn: u64) -> Sample {
        let mut random = fastrand::Rng::with_seed(seed);
        let stripe = self.frames.len() as f64 / drawn as f64;
        let mut caches: BTreeMap<&str, SampledCache> = BTreeMap::new();
        for at in 0..drawn {
            let frame = (stripe * (at as f64 + random.f64())) as usize;
            let Some((slab, page)) = self.frames[frame.min(self.frames.len() - 1)] else { continue };
            let slab = &self.slabs[slab];
            let cache = caches.entry(slab.cache).or_insert_with(|| SampledCache {
                name: slab.cache.to_owned(),
                size: slab.size,
                order: slab.order,
                ..SampledCache::default()
            });
            cache.pages.push(look(slab, page, &mut random));
        }
        let caches = caches.into_values().collect();
        Sample { seed, frames: self.frames.len() as u64, drawn, caches, ..Sample::default() }
    }
}

/// Some of the objects that begin in a page.
fn look(slab: &Slab, page: u64, random: &mut fastrand::Rng) -> SampledPage {
    let begins = |at: &usize| *at as u64 * slab.size / PAGE == page;
    let here: Vec<usize> = (0..slab.objects.len()).filter(begins).collect();
    let slots =
        random.choose_multiple(here.iter(), LOOKS).into_iter().map(|&at| slot(&slab.objects[at], at as u64));
    SampledPage { objects: here.len() as u32, node: 0, slots: slots.collect() }
}

fn slot(object: &Object, at: u64) -> Slot {
    let is_free = object.owner == 0;
    let charge = match object.owner {
        0 | 4 => Charge::Nobody,
        5 => Charge::Removed { ancestor: 2, removed: at % 12 },
        owner => Charge::Cgroup(owner),
    };
    let inspection = object.name.as_ref().filter(|_| !is_free).map(|name| Inspection {
        kind: ObjectKind::Dentry { negative: object.owner == 1, in_root: false, name_bytes: 0 },
        filesystem: b"ext4".to_vec(),
        directory: format!("/data/{}", object.owner).into_bytes(),
        name: name.clone().into_bytes(),
        pattern: None,
    });
    Slot {
        address: 0,
        state: if is_free { State::Free } else { State::Allocated },
        charge,
        signs: Signs {
            asked_once: inspection.as_ref().map(|_| !at.is_multiple_of(40)),
            uid: None,
            inode: None,
        },
        inspection,
        words: Vec::new(),
        points_to: None,
        open_in: Vec::new(),
    }
}

/// A number without order.
fn mixed(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 29
}

/// Names that do not exist flood the dentry cache of a host of 160 MB. Most slabs are of one owner; free places are anywhere.
pub fn flood() -> Host {
    let mut host = Host::default();
    let dentry = |at: u64| {
        let page = at / 21;
        let owner = match mixed(page) >> 32 & 0xff {
            _ if mixed(at) >> 40 & 0xff < 30 => 0,
            // One page in ten has several.
            0..26 => 1 + (mixed(at * 7) >> 33) % 3,
            26..160 => 1,
            160..215 => 2,
            215..235 => 4,
            235..253 => 5,
            _ => 3,
        };
        let ms = 86_400_000 + mixed(at) % (864_000_000 - 86_400_000);
        let name = if owner == 1 { format!(".{ms}_dOeSnotExist_.db") } else { format!("file{at}.log") };
        Object { owner, name: Some(name) }
    };
    host.add_slabs("dentry", 0, 192, 3_000, &dentry);
    host.add_other(5_000);
    host.add_slabs("dentry", 0, 192, 3_000, &|at| dentry(at + 1_000_000));
    // 30 objects in 8 pages.
    let inode = |at: u64| Object {
        owner: [1, 2, 2, 0, 4][(mixed(at / 30) >> 35) as usize % 5],
        name: Some("x".to_owned()),
    };
    host.add_slabs("ext4_inode_cache", 3, 1_088, 600, &inode);
    host.add_other(17_000);
    host.add_slabs("kmalloc-64", 0, 64, 1_500, &|at| Object { owner: 4 + (at / 64) % 2, name: None });
    host.add_other(5_700);
    host
}
