//! Pieces of HTML that several parts of the page are made of.

use std::{borrow::Cow, time::SystemTime};

use maud::{Markup, html};

use crate::{
    output::json,
    text::escape,
    view::{Class, NameGroup},
};

/// Text from the host: what is invisible, or moves other text, is written out. What HTML would obey is escaped later, by `html!`.
pub(super) fn host(bytes: &[u8]) -> Cow<'_, str> {
    escape::terminal(bytes)
}

/// Several, with words between them.
pub(super) fn hosts<'a>(texts: impl IntoIterator<Item = &'a [u8]>, between: &str) -> String {
    texts.into_iter().map(host).collect::<Vec<_>>().join(between)
}

/// A sentence in which `commands` stand between backticks.
pub(super) fn prose(sentence: &str) -> Markup {
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let sentence = words.join(" ");
    let is_paired = sentence.matches('`').count() % 2 == 0;
    let parts = sentence.split(|c| is_paired && c == '`').enumerate();
    html! {
        @for (at, part) in parts {
            @if at % 2 == 1 { code { (host(part.as_bytes())) } } @else { (host(part.as_bytes())) }
        }
    }
}

/// A path that may break at its slashes.
pub(super) fn path(bytes: &[u8]) -> Markup {
    let path = host(bytes);
    html! { span.path { @for part in path.split_inclusive('/') { (part) @if part.ends_with('/') { wbr; } } } }
}

/// `/etc/pki/nssdb/.<n>_dOeSnotExist_.db`; of sockets the protocol and the service.
pub(super) fn place(group: &NameGroup) -> Markup {
    let directory = group.path.as_deref().unwrap_or(&group.parent);
    let between: &[u8] = match group.kind {
        Some(Class::Socket) => b" ",
        _ if directory.is_empty() || directory.ends_with(b"/") || directory.ends_with(b":") => b"",
        _ => b"/",
    };
    path(&[directory, between, &group.pattern].concat())
}

/// A share, 0 to 1, as a bar. Drawn as a shape, because the page's policy allows no styles of elements.
pub(super) fn bar(share: f64, kind: &str) -> Markup {
    let width = if share.is_finite() { (share * 100.0).clamp(0.0, 100.0) } else { 0.0 };
    html! {
        svg.bar.(kind) viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect.track width="100" height="8" {}
            rect.fill width=(format!("{width:.2}")) height="8" {}
        }
    }
}

/// A list of sentences; nothing where there are none.
pub(super) fn list(sentences: &[String]) -> Markup {
    html! { @if !sentences.is_empty() { ul { @for sentence in sentences { li { (prose(sentence)) } } } } }
}

/// To the second, in UTC: `2026-11-25 03:12:04`.
pub(super) fn utc(time: SystemTime) -> String {
    json::rfc3339(time)[..19].replace('T', " ")
}
