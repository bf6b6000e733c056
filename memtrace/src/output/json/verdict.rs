//! The verdict as JSON.

use std::borrow::Cow;

use serde::Serialize;

use super::{finite, names::Names, nanos};
use crate::{
    text::escape,
    view::{self, verdict::Doubt},
};

#[derive(Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(in crate::output) enum Verdict<'a> {
    Nothing,
    Leak(Box<Leak<'a>>),
}

#[derive(Serialize)]
pub(in crate::output) struct Leak<'a> {
    key: Vec<Cow<'a, str>>,
    comm: Option<Cow<'a, str>>,
    started_by: Vec<Cow<'a, str>>,
    processes: u64,
    cache: &'a str,
    cache_share: f64,
    place: Option<Names<'a>>,
    negative_share: Option<f64>,
    objects_per_s: f64,
    objects_per_s_ci95: [f64; 2],
    bytes_per_s: f64,
    explains_share: Option<f64>,
    reclaimable: Option<bool>,
    full_in_ns: Option<u64>,
    doubts: Vec<&'static str>,
    known: Vec<Known<'a>>,
}

#[derive(Serialize)]
struct Known<'a> {
    id: &'a str,
    title: &'a str,
    cause: &'a str,
    now: &'a [String],
    for_good: &'a [String],
    verify: &'a [String],
    references: &'a [String],
    signs: &'a [String],
}

impl<'a> From<&'a view::KnownIncident> for Known<'a> {
    fn from(known: &'a view::KnownIncident) -> Self {
        let view::KnownIncident { id, title, cause, now, for_good, verify, references, signs } = known;
        Known { id, title, cause, now, for_good, verify, references, signs }
    }
}

impl<'a> From<&'a view::Verdict> for Verdict<'a> {
    fn from(verdict: &'a view::Verdict) -> Self {
        match verdict {
            view::Verdict::Nothing => Verdict::Nothing,
            view::Verdict::Leak(suspect) => Verdict::Leak(Box::new(Leak::from(&**suspect))),
        }
    }
}

impl<'a> From<&'a view::Suspect> for Leak<'a> {
    fn from(suspect: &'a view::Suspect) -> Self {
        let names = |names: &'a [Vec<u8>]| names.iter().map(|name| escape::json(name)).collect();
        Leak {
            key: names(&suspect.keys),
            comm: suspect.comm.as_deref().map(escape::json),
            started_by: names(&suspect.started_by),
            processes: suspect.processes,
            cache: &suspect.cache,
            cache_share: finite(suspect.share_of_cache),
            place: suspect.place.as_ref().map(Names::from),
            negative_share: suspect.negative.map(finite),
            objects_per_s: finite(suspect.slope.per_s),
            objects_per_s_ci95: [finite(suspect.slope.low), finite(suspect.slope.high)],
            bytes_per_s: finite(suspect.bytes_per_s),
            explains_share: suspect.explains.map(finite),
            reclaimable: suspect.is_reclaimable,
            full_in_ns: suspect.full_in.map(nanos),
            doubts: suspect.doubts.iter().map(doubt).collect(),
            known: suspect.known.iter().map(Known::from).collect(),
        }
    }
}

fn doubt(doubt: &Doubt) -> &'static str {
    match doubt {
        Doubt::Lost { .. } => "lost",
        Doubt::Missed(_) => "missed",
        Doubt::Refused => "refused",
    }
}
