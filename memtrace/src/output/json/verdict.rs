//! The verdict as JSON.

use std::borrow::Cow;

use serde::Serialize;

use super::{all, finite, names::Names, nanos, object, texts};
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

object! {
    pub(in crate::output) struct Leak<'a> of suspect: &'a view::Suspect {
        key: Vec<Cow<'a, str>> = texts(&suspect.keys),
        comm: Option<Cow<'a, str>> = suspect.comm.as_deref().map(escape::json),
        started_by: Vec<Cow<'a, str>> = texts(&suspect.started_by),
        processes: u64,
        cache: &'a str = &suspect.cache,
        cache_share: f64 = finite(suspect.share_of_cache),
        place: Option<Names<'a>> = suspect.place.as_ref().map(Names::of),
        negative_share: Option<f64> = suspect.negative.map(finite),
        objects_per_s: f64 = finite(suspect.slope.per_s),
        objects_per_s_ci95: [f64; 2] = [finite(suspect.slope.low), finite(suspect.slope.high)],
        bytes_per_s: f64 = finite(suspect.bytes_per_s),
        explains_share: Option<f64> = suspect.explains.map(finite),
        reclaimable: Option<bool> = suspect.is_reclaimable,
        full_in_ns: Option<u64> = suspect.full_in.map(nanos),
        doubts: Vec<&'static str> = all(&suspect.doubts, doubt),
        known: Vec<Known<'a>> = all(&suspect.known, Known::of),
    }
}

object! {
    struct Known<'a> of known: &'a view::KnownIncident {
        id: &'a str = &known.id,
        title: &'a str = &known.title,
        cause: &'a str = &known.cause,
        now: &'a [String] = &known.now,
        for_good: &'a [String] = &known.for_good,
        verify: &'a [String] = &known.verify,
        references: &'a [String] = &known.references,
        signs: &'a [String] = &known.signs,
    }
}

impl<'a> Verdict<'a> {
    pub(super) fn of(verdict: &'a view::Verdict) -> Self {
        match verdict {
            view::Verdict::Nothing => Self::Nothing,
            view::Verdict::Leak(suspect) => Self::Leak(Box::new(Leak::of(suspect))),
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
