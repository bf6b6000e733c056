//! What limits a census, one sentence each.

use crate::{
    kernel::census::{Sample, plan::pages_for, sample::Cut},
    text::human,
};

/// Above, what lives shortly is seen too seldom.
const MANY_CHANGED: f64 = 0.01;
/// With a third less, errors are a fifth greater.
const ENOUGH: f64 = 1.5;

/// With the error that was asked for.
pub fn notes(sample: &Sample, error: f64) -> Vec<String> {
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
    let is_short = pages as f64 * ENOUGH < pages_for(error);
    let cut = (sample.cut.is_some() || is_short).then(|| {
        let [drawn, wanted] = [sample.drawn, pages_for(error).ceil() as u64].map(human::grouped);
        format!(
            "{}ended after {drawn} page frames with {} pages of slabs, of {wanted} that were wanted: errors are greater than asked for",
            why(sample.cut),
            human::grouped(pages)
        )
    });
    [cut, charges, changed, strange].into_iter().flatten().collect()
}

/// Where it is not the census itself that took its time.
fn why(cut: Option<Cut>) -> String {
    match cut {
        Some(Cut::Starved { waited, cpu_time }) => {
            let [waited, had] = [waited, cpu_time].map(human::duration);
            format!("this host is too busy: the census had {had} of a CPU in {waited}, and ")
        }
        Some(Cut::Asked | Cut::Spent) | None => String::new(),
    }
}
