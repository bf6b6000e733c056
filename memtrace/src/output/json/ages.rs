//! `ages[]` and `generations[]`, of all and of a row.

use super::{nanos, objects};
use crate::view;

objects! {
    pub(in crate::output) struct AgeBucket of bucket: &view::AgeBucket {
        at_least_ns: u64 = nanos(bucket.at_least),
        less_than_ns: Option<u64> = bucket.less_than.map(nanos),
        objects: u64,
        bytes: u64,
    }

    pub(in crate::output) struct Generation of cohort: &view::Cohort {
        from_ns: u64 = nanos(cohort.from),
        to_ns: u64 = nanos(cohort.to),
        allocs: u64,
        survivors: u64,
    }
}
