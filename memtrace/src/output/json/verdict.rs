//! Verdict and findings as JSON.

use std::borrow::Cow;

use serde::Serialize;

use super::{all, finite, names::Names, nanos, objects, texts};
use crate::{
    text::escape,
    view::{self, finding},
};

/// The first accusation, if there is any.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::output) enum Verdict<'a> {
    Accusation(Box<Finding<'a>>),
    TooFew(TooFew<'a>),
    Ended(Ended<'a>),
    Nothing { is: &'static str },
}

objects! {
    pub(in crate::output) struct Finding<'a> of finding: &'a view::Finding {
        is: &'static str = finding.kind.into_str(),
        key: Vec<Cow<'a, str>> = texts(&finding.keys),
        comm: Option<Cow<'a, str>> = finding.comm.as_deref().map(escape::json),
        started_by: Vec<Cow<'a, str>> = texts(&finding.started_by),
        processes: u64,
        cache: &'a str = &finding.cache,
        cache_share: f64 = finite(finding.share_of_cache),
        with: &'a [String] = &finding.with,
        place: Option<Names<'a>> = finding.place.as_ref().map(Names::of),
        negative_share: Option<f64> = finding.negative.map(finite),
        objects: u64,
        objects_per_s: f64 = finite(finding.slope.per_s),
        objects_per_s_ci95: [f64; 2] = [finite(finding.slope.low), finite(finding.slope.high)],
        bytes_per_s: f64 = finite(finding.bytes_per_s),
        kept_share: f64 = finite(finding.kept),
        explains_share: Option<f64> = finding.explains.map(finite),
        slab_growth_share: f64 = finite(finding.slab_growth_share),
        reclaimable: Option<bool> = finding.is_reclaimable,
        full_in_ns: Option<u64> = finding.full_in.map(nanos),
        doubts: Vec<&'static str> = all(&finding.doubts, |doubt| doubt.into_str()),
        known: Vec<Known<'a>> = all(&finding.known, Known::of),
    }

    pub(in crate::output) struct TooFew<'a> of few: &'a finding::TooFew {
        is: &'static str = "too_few",
        key: Vec<Cow<'a, str>> = texts(&few.keys),
        comm: Option<Cow<'a, str>> = few.comm.as_deref().map(escape::json),
        cache: &'a str = &few.cache,
        objects: u64,
    }

    pub(in crate::output) struct Ended<'a> of ended: &'a finding::Ended {
        is: &'static str = "ended",
        key: Vec<Cow<'a, str>> = texts(&ended.keys),
        comm: Option<Cow<'a, str>> = ended.comm.as_deref().map(escape::json),
        cache: &'a str = &ended.cache,
        objects: u64,
        bytes: u64,
        until_ns: u64 = nanos(ended.until),
    }

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
        match (verdict.first(), &verdict.too_few, &verdict.ended) {
            (Some(first), ..) => Self::Accusation(Box::new(Finding::of(first))),
            (None, Some(few), _) => Self::TooFew(TooFew::of(few)),
            (None, None, Some(ended)) => Self::Ended(Ended::of(ended)),
            (None, None, None) => Self::Nothing { is: "nothing" },
        }
    }
}
