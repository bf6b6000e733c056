//! What was allocated at a time or before.

use super::{Ledger, NamedObjects, Origin, entry::tick, names::NO_GROUP, origins::Called};
use crate::stream::event::TimeNs;

/// The outstanding objects that were allocated at a time or before.
pub struct Aged<'a> {
    ledger: &'a Ledger,
    /// By the id of their origin.
    origins: Vec<OfOrigin>,
}

#[derive(Clone, Default)]
struct OfOrigin {
    followed: u64,
    called: Called,
}

impl Ledger {
    /// The outstanding objects that were allocated at `time` or before, or in the same tick. Walks all there are.
    pub fn allocated_until(&self, time: TimeNs) -> Aged<'_> {
        let mut origins = vec![OfOrigin::default(); self.origins.end()];
        for (_, object) in self.objects.iter().filter(|(_, object)| object.time <= tick(time)) {
            let origin = &mut origins[object.origin as usize];
            origin.followed += 1;
            if object.group != NO_GROUP {
                *origin.called.entry(object.group).or_default() += 1;
            }
        }
        Aged { ledger: self, origins }
    }
}

impl Aged<'_> {
    /// How many of the origin's objects are among them.
    pub fn objects(&self, origin: &Origin) -> u64 {
        self.origins[origin.id as usize].followed * self.ledger.weight()
    }

    /// These by what they are called, in no order.
    pub fn names<'a>(&'a self, origin: &Origin) -> impl Iterator<Item = NamedObjects<'a>> {
        self.ledger.named(&self.origins[origin.id as usize].called)
    }
}
