//! The kernel's slab caches: their names, sizes and numbers of objects.
//!
//! /proc/slabinfo has the numbers, under the name in the kernel's `struct kmem_cache`, which is the name that events
//! carry. /sys/kernel/slab has the names that were merged into each cache, and whether its memory can be reclaimed.
//! Where only one of the two can be read, [`SlabCaches`] says which is missing and has what the other one knows.

pub mod nearest;
pub mod resolve;
pub mod slabinfo;
pub mod sysfs;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
};

pub use resolve::{
    ResolveError, SelectedCaches, printable, resolve, resolve_without, root_name, size_of_kmalloc,
};
pub use slabinfo::{SlabinfoError, SlabinfoLine};
use sysfs::Group;
pub use sysfs::SysfsError;
use thiserror::Error;

use super::Files;

/// The host's slab caches, sorted by name.
#[derive(Debug, Default)]
pub struct SlabCaches {
    pub caches: Vec<SlabCache>,
    /// The source that could not be read, if one could not.
    pub missing: Option<MissingSource>,
}

/// One `struct kmem_cache`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlabCache {
    /// The kernel's name of it, which its events carry.
    pub name: String,
    /// The other names that were merged into it: their objects cannot be told apart.
    pub aliases: Vec<String>,
    /// False where slabinfo does not list the cache: then the kernel's name is this one or one of the aliases.
    pub name_is_certain: bool,
    /// Bytes that the cache's user asked for; None before [`Files::read_object_sizes`].
    pub object_size: Option<u64>,
    /// Bytes of memory that one object takes, padding included.
    pub slab_size: Option<u64>,
    /// The kernel can reclaim this memory under pressure.
    pub reclaimable: Option<bool>,
    /// None where slabinfo cannot be read.
    pub counts: Option<Counts>,
}

/// How full a cache is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects in use, those in per-CPU lists included.
    pub active_objects: u64,
    /// Objects that its slabs have room for.
    pub total_objects: u64,
    pub slabs: u64,
    /// Of all slabs together.
    pub pages: u64,
}

/// One of the two sources cannot be read, and what that costs.
#[derive(Debug, Error)]
pub enum MissingSource {
    #[error("{0}; the numbers of objects are unknown")]
    Slabinfo(SlabinfoError),
    #[error("{0}; merged caches and reclaimable memory are unknown")]
    Sysfs(SysfsError),
}

#[derive(Debug, Error)]
#[error("the slab caches cannot be listed: {slabinfo}; {sysfs}")]
pub struct SlabError {
    pub slabinfo: SlabinfoError,
    pub sysfs: SysfsError,
}

impl Files {
    pub fn slab_caches(&self) -> Result<SlabCaches, SlabError> {
        // sysfs first: a cache that appears in between has its numbers, and lacks only its attributes.
        let groups = sysfs::read(&self.slab_directory());
        let lines = self.slabinfo();
        let (lines, groups, missing) = match (lines, groups) {
            (Ok(lines), Ok(groups)) => (lines, groups, None),
            (Ok(lines), Err(error)) => (lines, Vec::new(), Some(MissingSource::Sysfs(error))),
            (Err(error), Ok(groups)) => (Vec::new(), groups, Some(MissingSource::Slabinfo(error))),
            (Err(slabinfo), Err(sysfs)) => return Err(SlabError { slabinfo, sysfs }),
        };
        let mut caches = combine(lines, &groups);
        // The others' are in slabinfo.
        for cache in caches.iter_mut().filter(|cache| cache.slab_size.is_none()) {
            cache.slab_size = self.slab_attribute(cache, "slab_size");
        }
        Ok(SlabCaches { caches, missing })
    }

    /// Only the numbers, for [`SlabCaches::update`]. Takes locks that allocations take: every five seconds at most.
    pub fn slabinfo(&self) -> Result<Vec<SlabinfoLine>, SlabinfoError> {
        slabinfo::read(&self.proc().join("slabinfo"))
    }

    /// Reads what the users of these caches asked for: a file for each.
    pub fn read_object_sizes(&self, caches: &mut SlabCaches) {
        for cache in &mut caches.caches {
            cache.object_size = self.slab_attribute(cache, "object_size");
        }
    }

    fn slab_attribute(&self, cache: &SlabCache, file: &str) -> Option<u64> {
        let of = |name: &str| sysfs::number(&self.slab_directory().join(name), file);
        of(&cache.name).or_else(|| of(root_name(&cache.name)))
    }

    /// What sysfs says of the caches with these names, which are the kernel's own. No object counts, and no locks.
    pub fn described_caches<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<SlabCaches, SysfsError> {
        let groups = sysfs::read(&self.slab_directory())?;
        let names: BTreeSet<&str> = names.collect();
        let group_of = groups_by_name(&groups);
        let caches = names.iter().map(|name| described(name, &group_of, |alias| names.contains(alias)));
        Ok(SlabCaches { caches: caches.collect(), missing: None })
    }

    /// Changes when a cache or an alias comes or goes. None where sysfs cannot be read.
    pub fn slab_fingerprint(&self) -> Option<u64> {
        sysfs::fingerprint(&self.slab_directory()).ok()
    }

    fn slab_directory(&self) -> PathBuf {
        self.root.join("sys/kernel/slab")
    }
}

impl SlabCaches {
    pub fn get(&self, name: &str) -> Option<&SlabCache> {
        let index = self.caches.binary_search_by(|cache| cache.name.as_str().cmp(name)).ok()?;
        self.caches.get(index)
    }

    /// Takes the numbers of a later reading. Caches that are new since are left out; those that are gone lose theirs.
    pub fn update(&mut self, lines: &[SlabinfoLine]) {
        let counts = counts_by_name(lines);
        for cache in &mut self.caches {
            cache.counts = counts.get(cache.name.as_str()).copied();
        }
    }
}

impl SlabCache {
    /// The names that the kernel may give it in events.
    pub fn kernel_names(&self) -> impl Iterator<Item = &str> {
        let uncertain = self.aliases.iter().filter(|_| !self.name_is_certain);
        std::iter::once(self.name.as_str()).chain(uncertain.map(String::as_str))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}

impl Counts {
    /// Memory of all slabs, whether their objects are in use or not.
    pub fn bytes(&self, page_size: u64) -> u64 {
        self.pages.saturating_mul(page_size)
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            active_objects: self.active_objects.saturating_add(other.active_objects),
            total_objects: self.total_objects.saturating_add(other.total_objects),
            slabs: self.slabs.saturating_add(other.slabs),
            pages: self.pages.saturating_add(other.pages),
        }
    }

    /// Share of the room that is in use, 0 to 1; None where there is no room.
    pub fn active_share(self) -> Option<f64> {
        (self.total_objects > 0).then(|| self.active_objects as f64 / self.total_objects as f64)
    }
}

/// Adds up lines of one name: nothing stops two modules from using the same.
fn counts_by_name(lines: &[SlabinfoLine]) -> HashMap<&str, Counts> {
    let mut counts: HashMap<&str, Counts> = HashMap::with_capacity(lines.len());
    for line in lines {
        let sum = counts.entry(&line.name).or_default();
        *sum = sum.plus(Counts {
            active_objects: line.active_objs,
            total_objects: line.num_objs,
            slabs: line.slabs,
            pages: line.slabs.saturating_mul(line.pages_per_slab),
        });
    }
    counts
}

/// A slabinfo line and a group are one cache where the line's name lives in the group. Normally each group has exactly
/// one such line. With several, each is a cache and has the group's other names; with none, the group's first name
/// stands for it.
fn combine(lines: Vec<SlabinfoLine>, groups: &[Group]) -> Vec<SlabCache> {
    let counts = counts_by_name(&lines);
    let group_of = groups_by_name(groups);
    let mut caches = BTreeMap::new();
    for line in &lines {
        let name = line.name.as_str();
        let mut cache = described(name, &group_of, |alias| counts.contains_key(alias));
        cache.slab_size = cache.slab_size.or(Some(line.objsize));
        cache.counts = counts.get(name).copied();
        caches.insert(name, cache);
    }
    for group in
        groups.iter().filter(|group| !group.names.iter().any(|name| counts.contains_key(name.as_str())))
    {
        let Some(first) = group.names.first() else { continue };
        let mut cache = from_group(group, |alias| alias != first);
        cache.name = first.clone();
        cache.name_is_certain = cache.aliases.is_empty();
        caches.insert(first, cache);
    }
    caches.into_values().collect()
}

fn groups_by_name(groups: &[Group]) -> HashMap<&str, &Group> {
    groups.iter().flat_map(|group| group.names.iter().map(move |name| (name.as_str(), group))).collect()
}

/// The cache that the kernel calls so, as far as sysfs knows it.
fn described(name: &str, group_of: &HashMap<&str, &Group>, is_kernels: impl Fn(&str) -> bool) -> SlabCache {
    let group = group_of.get(name).or_else(|| group_of.get(root_name(name)));
    let cache = group.map_or_else(SlabCache::default, |group| {
        from_group(group, |alias| alias != name && !is_kernels(alias))
    });
    SlabCache { name: name.to_owned(), name_is_certain: true, ..cache }
}

fn from_group(group: &Group, is_alias: impl Fn(&str) -> bool) -> SlabCache {
    SlabCache {
        aliases: group.names.iter().filter(|name| is_alias(name)).cloned().collect(),
        reclaimable: group.reclaimable,
        ..SlabCache::default()
    }
}

#[cfg(test)]
mod tests;
