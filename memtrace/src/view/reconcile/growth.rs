//! What was traced of a cache, how it grew by that and by slabinfo, and what follows from the difference.

/// Fewer reused addresses prove nothing: a probe may have missed some frees.
pub(super) const MIN_REUSED: u64 = 16;

/// Nor does a smaller share of all frees. Before v5.12 `kmem_cache_free` fires after the free: another CPU may have the object
/// by then, and its allocation comes first, a few times in a million.
pub(super) const MIN_SHARE: f64 = 0.001;

/// Fewer objects that are missing in slabinfo, or a smaller share of what is outstanding, would not change the picture.
const MIN_HIDDEN: u64 = 64;
pub(super) const MIN_HIDDEN_SHARE: f64 = 0.1;

/// Growth of this many times the slack is enough to say how well two figures agree.
const ENOUGH_SLACKS: u64 = 8;

/// What was traced of a cache since attach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traced {
    pub allocs: u64,
    /// Seen, of the objects allocated since attach.
    pub frees: u64,
    /// Seen, of objects from before.
    pub unknown_frees: u64,
    /// Not seen: the object's address was handed out again, or the kernel's memory showed that it is free.
    pub reused: u64,
    /// Events that may be missing: lost, or of probes that the kernel skipped.
    pub missing: u64,
}

impl Traced {
    /// How many more objects the cache has since attach.
    fn growth(&self) -> i64 {
        let freed = self.frees.saturating_add(self.unknown_frees).saturating_add(self.reused);
        difference(self.allocs, freed)
    }

    fn outstanding(&self) -> u64 {
        self.allocs.saturating_sub(self.frees).saturating_sub(self.reused)
    }

    /// Frees that certainly fired no event: each missing event may have been one of the others.
    fn surely_reused(&self) -> u64 {
        self.reused.saturating_sub(self.missing)
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            allocs: self.allocs + other.allocs,
            frees: self.frees + other.frees,
            unknown_frees: self.unknown_frees + other.unknown_frees,
            reused: self.reused + other.reused,
            missing: self.missing + other.missing,
        }
    }
}

/// A reading of slabinfo. It takes some milliseconds, so it has what was traced just before and just after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// `active_objs`.
    pub objects: u64,
    /// How many of these may be free.
    pub slack: u64,
    pub before: Traced,
    pub after: Traced,
}

/// How a cache grew between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Of `active_objs`.
    pub slabinfo: i64,
    /// Allocations less frees, those of objects from before attach too.
    pub traced: i64,
    /// The two may differ by this much although every event was seen.
    pub slack: u64,
    /// At the later reading.
    pub outstanding: u64,
    pub reused: u64,
}

impl Growth {
    pub fn between(start: &Reading, now: &Reading) -> Self {
        let growth = |reading: &Reading| {
            let (before, after) = (reading.before.growth(), reading.after.growth());
            (before.min(after), before.max(after))
        };
        let ((start_least, start_most), (least, most)) = (growth(start), growth(now));
        let slabinfo = difference(now.objects, start.objects);
        let traced = slabinfo.clamp(least.saturating_sub(start_most), most.saturating_sub(start_least));
        Self {
            slabinfo,
            // slabinfo was read somewhere in between: take the value that agrees best.
            traced,
            slack: start.slack.max(now.slack).saturating_add(now.after.missing),
            outstanding: now.after.outstanding(),
            reused: now.after.surely_reused(),
        }
    }

    /// How many objects more slabinfo has than were traced.
    pub fn unexplained(&self) -> i64 {
        self.slabinfo.saturating_sub(self.traced)
    }

    /// Whether the two differ by more than the slack.
    pub fn disagrees(&self) -> bool {
        self.unexplained().unsigned_abs() > self.slack
    }

    /// The unexplained share of the growth, 0 to 1; None where too little grew or shrank to tell.
    pub fn disagreement(&self) -> Option<f64> {
        let moved = self.slabinfo.unsigned_abs().max(self.traced.unsigned_abs());
        let is_enough = moved >= self.slack.saturating_mul(ENOUGH_SLACKS) || self.disagrees();
        (is_enough && moved > 0).then(|| (self.unexplained().unsigned_abs() as f64 / moved as f64).min(1.0))
    }

    /// Objects that look outstanding, and that the cache does not have.
    fn hidden(&self) -> u64 {
        let beyond_slack = self.unexplained().min(0).unsigned_abs().saturating_sub(self.slack);
        // More than these are from before attach, and not counted as outstanding.
        beyond_slack.min(self.outstanding)
    }

    fn hides_much(&self) -> bool {
        let hidden = self.hidden();
        hidden >= MIN_HIDDEN && hidden as f64 >= self.outstanding as f64 * MIN_HIDDEN_SHARE
    }
}

/// How we know that some frees of a cache fire no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "lowercase")]
pub enum Sign {
    /// Outstanding addresses are handed out again.
    Reused,
    /// What is outstanding grows, and slabinfo does not.
    Slabinfo,
}

/// The kernel frees some objects of this cache without an event: what is outstanding may be free.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Partial {
    pub sign: Sign,
    /// Estimated share of all frees, 0 to 1.
    pub unseen_frees_share: f64,
}

impl Partial {
    /// None without such a sign. `growth` is as of the last reading, if there was one.
    pub fn find(traced: &Traced, growth: Option<&Growth>) -> Option<Self> {
        let seen = traced.frees.saturating_add(traced.unknown_frees);
        let share = |unseen: u64| unseen as f64 / seen.saturating_add(unseen).max(1) as f64;
        let reused = traced.surely_reused();
        let sign = if reused >= MIN_REUSED && share(reused) >= MIN_SHARE {
            Sign::Reused
        } else if growth.is_some_and(Growth::hides_much) {
            Sign::Slabinfo
        } else {
            return None;
        };
        // What was hidden at the reading may have been handed out again since.
        let unseen = growth.map_or(0, |growth| growth.reused.saturating_add(growth.hidden())).max(reused);
        Some(Self { sign, unseen_frees_share: share(unseen) })
    }
}

fn difference(a: u64, b: u64) -> i64 {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    signed(a).saturating_sub(signed(b))
}
