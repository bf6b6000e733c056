//! `rows[].names[]`: what objects are called and where they are; `directories[]`: where most are.

use std::borrow::Cow;

use super::{escape, finite, objects};
use crate::view;

objects! {
    pub(super) struct Names<'a> of group: &'a view::NameGroup {
        parent: Cow<'a, str> = escape::json(&group.parent),
        path: Option<Cow<'a, str>> = group.path.as_deref().map(escape::json),
        pattern: Cow<'a, str> = escape::json(&group.pattern),
        objects: u64,
        example: Cow<'a, str> = escape::json(&group.example),
        filesystem: Option<Cow<'a, str>> = group.filesystem.as_deref().map(escape::json),
        kind: Option<&'static str> = group.kind.map(|kind| kind.into_str()),
        file_type: Option<&'static str> = group.file_type.map(|file_type| file_type.into_str()),
        negative_share: Option<f64> = group.negatives.map(negative_share),
        name_bytes: Option<u64> = group.negatives.map(|_| group.name_bytes),
    }

    /// `directories[]`.
    pub(in crate::output) struct Directory<'a> of directory: &'a view::Directory {
        path: Cow<'a, str> = escape::json(&directory.path),
        depth: usize,
        objects: u64,
        share: f64 = finite(directory.share),
        negative_share: f64 = negative_share(directory.negatives),
        filesystem: Option<Cow<'a, str>> = directory.filesystem.as_deref().map(escape::json),
    }
}

pub(super) fn negative_share(negatives: view::Negatives) -> f64 {
    finite(negatives.share())
}
