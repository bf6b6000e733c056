//! What the slab holds, by a sample of the host's memory: estimates with their errors, scaled to the kernel's own counts.
//!
//! [`estimate`] is the arithmetic of one share, [`check`] compares the sample with the kernel's counts, [`traits`] says what objects
//! have in common, [`group`] collects them, [`fold`] joins what is scattered, and [`build`] makes rows of that. [`dated`] reads the time from
//! names that are clocks. [`unseen`] says what a session missed, and [`unused`] what the
//! kernel counts itself.

pub mod build;
mod check;
pub mod compare;
pub mod dated;
mod estimate;
mod fold;
mod group;
mod notes;
mod traits;
mod unseen;
pub mod unused;

use std::time::{Duration, SystemTime};

pub use self::{
    check::Told,
    compare::Comparison,
    dated::{Clock, Now, Period},
    traits::{By, Content, Kind, Payer, Place, Traits},
    unseen::{PageCount, UnseenAllocations},
    unused::UnusedRow,
};

/// 95 % of such intervals hold the truth.
pub type Interval<T> = (T, T);

/// A census as plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct Census {
    pub time: SystemTime,
    pub host: String,
    /// The kernel's release.
    pub kernel: String,
    pub by: Vec<By>,
    pub seed: u64,
    /// Page frames of the host, and how many of them were drawn.
    pub frames: u64,
    pub drawn: u64,
    /// Of these, pages of slabs.
    pub slab_pages: u64,
    pub page_size: u64,
    pub elapsed: Duration,
    /// The biggest first.
    pub caches: Vec<CacheCensus>,
    /// The biggest first. Their bytes add up to those of the caches.
    pub rows: Vec<Row>,
    /// What the kernel counts of unused dentries and inodes, where they were asked for; most objects first. No recording has it.
    pub unused: Vec<UnusedRow>,
    pub notes: Vec<String>,
}

/// A slab cache as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheCensus {
    pub name: String,
    /// Other caches that the kernel merged into it.
    pub aliases: Vec<String>,
    pub reclaimable: Option<bool>,
    /// Of its slabs: by slabinfo, or by the sample where there is no slabinfo.
    pub bytes: u64,
    /// By the sample alone.
    pub sampled_bytes: u64,
    pub sampled_bytes_ci95: Interval<u64>,
    /// Objects that are allocated: an estimate.
    pub objects: u64,
    pub objects_ci95: Interval<u64>,
    pub slabinfo_objects: Option<u64>,
    pub slabinfo_bytes: Option<u64>,
    /// Pages of it that were seen.
    pub pages: u64,
    pub told: Told,
}

impl CacheCensus {
    /// Whether the sample has as many of its pages as the kernel's count lets expect. None where there is no such count, or too few.
    pub fn agrees(&self) -> Option<bool> {
        self.slabinfo_bytes?;
        match self.told {
            Told::Rows { .. } => Some(true),
            Told::Doubted { .. } => Some(false),
            Told::TooFew { .. } => None,
        }
    }
}

/// What some objects, or places of objects, come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What all of them have in common.
    pub traits: Traits,
    /// The path of the cgroup that they are charged to, or of the nearest one that is left of it. None where that is not known.
    pub cgroup: Option<Vec<u8>>,
    /// How many removed cgroups were seen.
    pub removed_cgroups: u64,
    /// Objects that were looked at.
    pub looks: u64,
    pub objects: u64,
    pub objects_ci95: Interval<u64>,
    pub bytes: u64,
    pub bytes_ci95: Interval<u64>,
    /// Of its cache, or of all caches together if rows are not of one cache.
    pub share: f64,
    pub share_ci95: Interval<f64>,
    /// One real name.
    pub example: Option<Vec<u8>>,
    /// Of its dentries.
    pub negative_share: Option<f64>,
    /// Of its dentries: nobody asked for them again.
    pub asked_once_share: Option<f64>,
    pub made: Option<Period>,
    /// All of them were made later. No recording has this, nor the next two.
    pub not_before: Option<NotBefore>,
    /// Who has most of them open now.
    pub open_in: Option<OpenIn>,
    /// Bytes of slab that the kernel counts for the cgroup, where a row is all that a cgroup has. No recording has this either.
    pub memory_stat: Option<u64>,
}

/// When something was made that objects are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotBefore {
    pub time: SystemTime,
    pub made: Made,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Names that do not exist are no older than their directory.
    Directory,
    /// What is in memory alone is no older than its filesystem.
    Filesystem,
}

/// Processes of one name that have files or sockets open.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenIn {
    pub comm: Vec<u8>,
    /// That were seen.
    pub processes: u64,
    /// Of the row's objects.
    pub share: f64,
}

impl Row {
    /// The sample and the kernel's own count have nothing to do with each other.
    pub fn disagrees(&self) -> bool {
        let Some(counted) = self.memory_stat else { return false };
        let (low, high) = self.bytes_ci95;
        // Four standard deviations, and a tenth: the kernel counts objects with what it keeps about them, and not their slabs.
        let room = (high - low) + counted.max(self.bytes) / 10;
        counted.abs_diff(self.bytes) > room
    }
}

impl Census {
    /// Of all caches that were asked for.
    pub fn bytes(&self) -> u64 {
        self.caches.iter().map(|cache| cache.bytes).sum()
    }

    /// What a recording has of it.
    pub fn as_recorded(mut self) -> Self {
        self.unused.clear();
        for row in &mut self.rows {
            (row.not_before, row.open_in, row.memory_stat) = (None, None, None);
        }
        self
    }

    /// The cache that all objects of a row are of, if it is one.
    pub fn cache(&self, row: &Row) -> Option<&CacheCensus> {
        self.caches.get(row.traits.cache?)
    }
}

#[cfg(test)]
mod tests;
