//! What the slab held when the session began.

use maud::{Markup, html};

use super::explained;
use crate::{output::phrases::census::already_there, view::Snapshot};

const LEDE: &str = "By a random sample of the host's memory when the session began: whose the slab was, without having traced. Figures \
                    with ± are 95 % intervals.";

/// Nothing where it was little, or is not known.
pub(super) fn section(snapshot: &Snapshot) -> Markup {
    let there = snapshot.census.as_deref().map(already_there).unwrap_or_default();
    if there.is_empty() {
        return html! {};
    }
    explained(
        "already",
        "Already there at the start",
        LEDE,
        &html! { ul { @for cache in there { li { (cache) } } } },
    )
}
