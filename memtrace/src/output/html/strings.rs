//! Pieces of HTML that tables parts of the page are made of.

use crate::{
    text::{escape, human},
    view::{Class, NameGroup, Sampling},
};

/// Text from the host, made harmless: what cannot be seen is written out first.
pub(super) fn host(bytes: &[u8]) -> String {
    escape::html(&escape::terminal(bytes)).into_owned()
}

/// The same for text that is no bytes.
pub(super) fn clean(text: &str) -> String {
    host(text.as_bytes())
}

/// Text that was made harmless for a terminal already.
pub(super) fn text(harmless: &str) -> String {
    escape::html(harmless).into_owned()
}

/// A path that may break at its slashes.
pub(super) fn path(bytes: &[u8]) -> String {
    format!("<span class=\"path\">{}</span>", host(bytes).replace('/', "/<wbr>"))
}

/// `/etc/pki/nssdb/.<n>_dOeSnotExist_.db`; of sockets the protocol and the service.
pub(super) fn place(group: &NameGroup) -> String {
    let directory = group.path.as_deref().unwrap_or(&group.parent);
    let between: &[u8] = match group.kind {
        Some(Class::Socket) => b" ",
        _ if directory.is_empty() || directory.ends_with(b"/") || directory.ends_with(b":") => b"",
        _ => b"/",
    };
    path(&[directory, between, &group.pattern].concat())
}

/// A count, with its error where it is an estimate.
pub(super) fn objects(objects: u64, sampling: Sampling) -> String {
    let error = sampling.error(objects);
    let error = error.map(|error| format!(" <small>{}</small>", human::error(error))).unwrap_or_default();
    human::grouped(objects) + &error
}

/// A share, 0 to 1, as a bar beside its figure. Drawn as a shape: the page's policy has no styles of elements.
pub(super) fn bar(share: f64, kind: &str) -> String {
    let width = if share.is_finite() { (share * 100.0).clamp(0.0, 100.0) } else { 0.0 };
    format!(
        "<svg class=\"bar {kind}\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"track\" width=\"100\" height=\"8\"/><rect class=\"fill\" width=\"{width:.2}\" height=\"8\"/></svg>"
    )
}

/// A cell of figures: `exact` is what it is sorted by.
pub(super) fn number(exact: impl std::fmt::Display, shown: &str, class: &str) -> String {
    format!("<td class=\"num {class}\" data-v=\"{exact}\">{shown}</td>")
}

/// JSON and attributes have no infinity: what was not measured sorts as nothing.
pub(super) fn finite(rate: f64) -> f64 {
    if rate.is_finite() { rate } else { 0.0 }
}
