//! What limits a census, one sentence each.

use crate::{kernel::census::Sample, text::human};

/// Above, what lives shortly is seen too seldom.
const MANY_CHANGED: f64 = 0.01;

pub fn notes(sample: &Sample) -> Vec<String> {
    let pages = sample.caches.iter().map(|cache| cache.pages.len() as u64).sum::<u64>().max(1);
    let share = |of: u64| of as f64 / pages as f64;
    let changed = (share(sample.changed) > MANY_CHANGED).then(|| {
        format!(
            "{} of the pages changed while they were read, {} of them again and again: objects that live shortly are seen too seldom",
            human::percent(share(sample.changed)),
            human::grouped(sample.given_up)
        )
    });
    let strange = (sample.strange > 0).then(|| {
        let pages = human::number(sample.strange, "page");
        format!("{pages} of slabs that are not laid out like those of their cache left out, such as KFENCE's")
    });
    let charges = sample.charges_unavailable.as_ref().map(|why| format!("cgroups are not known: {why}"));
    let cut = sample.is_cut.then(|| {
        let drawn = human::grouped(sample.drawn);
        format!(
            "ended after {drawn} page frames, before all that were wanted: errors are greater than asked for"
        )
    });
    [cut, charges, changed, strange].into_iter().flatten().collect()
}
