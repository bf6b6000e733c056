//! `ages[]` and `generations[]`, of all and of a row.

use serde::Serialize;

use super::nanos;
use crate::view;

#[derive(Serialize)]
pub(in crate::output) struct AgeBucket {
    at_least_ns: u64,
    less_than_ns: Option<u64>,
    objects: u64,
    bytes: u64,
}

impl From<&view::AgeBucket> for AgeBucket {
    fn from(bucket: &view::AgeBucket) -> Self {
        AgeBucket {
            at_least_ns: nanos(bucket.at_least),
            less_than_ns: bucket.less_than.map(nanos),
            objects: bucket.objects,
            bytes: bucket.bytes,
        }
    }
}

#[derive(Serialize)]
pub(in crate::output) struct Generation {
    from_ns: u64,
    to_ns: u64,
    allocs: u64,
    survivors: u64,
}

impl From<&view::Cohort> for Generation {
    fn from(generation: &view::Cohort) -> Self {
        Generation {
            from_ns: nanos(generation.from),
            to_ns: nanos(generation.to),
            allocs: generation.allocs,
            survivors: generation.survivors,
        }
    }
}
