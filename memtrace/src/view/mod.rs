//! What a report shows, as plain data: made from the ledger once per interval, then read by every output.
//!
//! Text that processes on the host choose (command names, file names) stays raw bytes here; each output escapes it for its own
//! medium.

pub mod sampling;
pub mod trend;
pub mod ages;
mod task;
pub mod alloc_context;
pub mod lookups;
pub mod key;
pub mod names;
pub mod census;
pub mod checkpoint;
pub mod reconcile;
mod points;
pub mod survival;
pub mod finding;
pub mod snapshot;
pub mod bias;
pub mod judge;
mod places;
mod tree;
pub mod build;
pub mod object;
pub mod event;
pub mod profile;
pub mod series;
pub mod key_series;
pub mod calls;
pub mod diff;

pub use self::{
    ages::{AgeBucket, Cohort},
    alloc_context::{AllocContext, Context, GfpFlags},
    census::Census,
    checkpoint::{Checkpoint, OwnCost, Settled, Trust, Verified},
    diff::Difference,
    finding::{Finding, KnownIncident, Verdict},
    key::{By, Keys},
    names::{Class, Directory, NameGroup, Negatives},
    sampling::Sampling,
    snapshot::{
        Ancestors, CacheShare, CacheTotals, CallSite, CgroupShare, ProcessInfo, Rest, Row, Snapshot, Sort,
        StackShare,
    },
    trend::{Slope, Trend},
};
