//! Which way counts of objects may be wrong, and how far at most.

use super::{
    reconcile,
    snapshot::{Snapshot, Totals},
};

/// An error of one in so many is none to care about.
const NEGLIGIBLE: u64 = 1_000;

/// How far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Off {
    /// By so many objects at most, or by none.
    AtMost(u64),
    /// Nobody knows.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bias {
    pub too_high: Off,
    pub too_low: Off,
    /// Rows of [`super::CacheTotals::partial`] caches are marked; this is about the others.
    pub has_partial: bool,
    /// It is too small to care about, if there is any.
    pub is_negligible: bool,
}

impl Off {
    pub const NOT: Self = Self::AtMost(0);

    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::AtMost(one), Self::AtMost(other)) => Self::AtMost(one.max(other)),
            _ => Self::Unknown,
        }
    }

    fn unless_unknown(is_unknown: bool, events: u64, period: u32) -> Self {
        // Each event stands for as many objects as one is followed of.
        if is_unknown { Self::Unknown } else { Self::AtMost(events.saturating_mul(period.into())) }
    }
}

impl Bias {
    pub fn of(snapshot: &Snapshot) -> Self {
        let Snapshot { trust, caches, sampling, is_final, .. } = snapshot;
        let unexplained = reconcile::unexplained(caches).map_or(0, |(_, growth)| growth.unexplained());
        let is_out = *is_final && trust.emitted != trust.accounted();
        // Of frees that nobody saw, reused pointers are only the ones that came to light.
        let Totals { frees, objects, .. } = snapshot.totals();
        let has_partial = caches.iter().any(|cache| cache.partial.is_some());
        let is_verified = trust.is_verified();
        let are_unseen = trust.reused_pointers > frees / NEGLIGIBLE && !has_partial && !is_verified;
        // What was freed unseen is out of the figures, where the kernel was asked.
        let high = if is_verified { 0 } else { trust.lost_frees.saturating_add(trust.missed()) };
        let low = [trust.lost_allocs, trust.refused, trust.unresolved, trust.missed()];
        let known = low.into_iter().fold(0, u64::saturating_add);
        let unseen = trust.unseen_allocations.filter(|unseen| unseen.is_sure());
        let low = known.max(unseen.map_or(0, |unseen| unseen.ci95.1));
        let too_high = Off::unless_unknown(are_unseen || unexplained < 0 || is_out, high, sampling.period);
        let too_low = Off::unless_unknown(unexplained > 0 || is_out, low, sampling.period);
        let is_negligible = matches!(too_high.or(too_low), Off::AtMost(most) if most <= objects / NEGLIGIBLE);
        Self { too_high, too_low, has_partial, is_negligible }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{output::sample, view::Trust};

    #[test]
    fn skipped_probes_say_nothing_where_nothing_was_traced() {
        let bias = |emitted| {
            let trust = Trust { emitted, applied: emitted, recursion_misses: 12, ..Trust::default() };
            Bias::of(&Snapshot { trust, ..sample::incident::empty().snapshot })
        };
        assert_eq!((bias(0).too_high, bias(0).too_low), (Off::NOT, Off::NOT));
        assert_eq!((bias(9).too_high, bias(9).too_low), (Off::AtMost(12), Off::AtMost(12)));
    }
}
