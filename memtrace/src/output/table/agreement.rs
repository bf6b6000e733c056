//! How well what was traced agrees with slabinfo, in the words of the trust line.

use super::clean;
use super::parts::BOUND;
use crate::{
    text::human,
    view::{Snapshot, reconcile},
};

/// None where nothing could be compared, or not yet.
pub(in crate::output) fn words(snapshot: &Snapshot) -> Option<String> {
    if let Some((cache, growth)) = reconcile::unexplained(&snapshot.caches) {
        let (name, slabinfo, traced) = (clean(&cache.name), signed(growth.slabinfo), signed(growth.traced));
        let unexplained = human::grouped(growth.unexplained().unsigned_abs());
        return Some(format!(
            "slabinfo{BOUND}{slabinfo}{BOUND}{name}, traced{BOUND}{traced}: {unexplained}{BOUND}unexplained"
        ));
    }
    let disagreement = 1.0 - snapshot.trust.slabinfo_agreement?;
    // To the next tenth of a percent, so that nothing is said to be better than it is.
    let percent = (disagreement * 1000.0 - 1e-6).ceil().max(1.0) / 10.0;
    Some(format!("slabinfo{BOUND}agrees{BOUND}within{BOUND}{percent}%"))
}

fn signed(growth: i64) -> String {
    let sign = if growth < 0 { '-' } else { '+' };
    format!("{sign}{}", human::grouped(growth.unsigned_abs()))
}
