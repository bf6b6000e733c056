//! One outstanding object in 16 bytes.

use crate::stream::event::TimeNs;

pub type OriginId = u32;
pub type GroupId = u16;

/// Tenths of milliseconds of CLOCK_MONOTONIC: the precision at which times of objects are kept.
pub type Tick = u64;

pub const TICK_NS: TimeNs = 100_000;

/// A time later than an entry can hold becomes the latest: an object leaves with the time it came with.
pub fn tick(time: TimeNs) -> Tick {
    (time / TICK_NS).min(LAST_TICK)
}

/// What is kept of an object besides its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    pub time: Tick,
    pub origin: OriginId,
    /// What it is called, or [`NO_GROUP`](super::names::NO_GROUP).
    pub group: GroupId,
}

/// Bits of the parts of an entry. The key stands highest, so that entries sort by it.
pub const KEY_BITS: u32 = 51;
const TIME_BITS: u32 = 41;
const ORIGIN_BITS: u32 = 20;
const GROUP_BITS: u32 = GroupId::BITS;

const ORIGIN_AT: u32 = GROUP_BITS;
const TIME_AT: u32 = ORIGIN_AT + ORIGIN_BITS;
const KEY_AT: u32 = TIME_AT + TIME_BITS;
const _: () = assert!(KEY_AT + KEY_BITS == u128::BITS);

/// The last time there is, seven years after boot: what comes later is taken for this.
pub const LAST_TICK: Tick = (1 << TIME_BITS) - 1;

/// How many origins there may be: all ids but the last, which is that of [`Entry::VACANT`].
pub const MAX_ORIGIN_IDS: usize = (1 << ORIGIN_BITS) - 1;

/// An object, or none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry(u128);

const _: () = assert!(size_of::<Entry>() == 16);

impl Entry {
    /// No object; behind all objects.
    pub const VACANT: Self = Self(u128::MAX);

    pub fn new(key: u64, object: Object) -> Self {
        let Object { time, origin, group } = object;
        let place = |part: u64, at: u32| u128::from(part) << at;
        Self(
            place(key, KEY_AT)
                | place(time.min(LAST_TICK), TIME_AT)
                | place(origin.into(), ORIGIN_AT)
                | place(group.into(), 0),
        )
    }

    /// Before every object of this key, and behind those of lower ones.
    pub fn first(key: u64) -> Self {
        Self(u128::from(key) << KEY_AT)
    }

    pub fn is_vacant(self) -> bool {
        self == Self::VACANT
    }

    pub fn key(self) -> u64 {
        (self.0 >> KEY_AT) as u64
    }

    pub fn object(self) -> Object {
        let part = |at: u32, bits: u32| (self.0 >> at) as u64 & ((1 << bits) - 1);
        Object {
            time: part(TIME_AT, TIME_BITS),
            origin: part(ORIGIN_AT, ORIGIN_BITS) as OriginId,
            group: part(0, GROUP_BITS) as GroupId,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_entry_keeps_all_parts(
            key in 0..1_u64 << KEY_BITS,
            time in 0..=LAST_TICK,
            origin in 0..MAX_ORIGIN_IDS as OriginId,
            group in any::<GroupId>(),
        ) {
            let object = Object { time, origin, group };
            let entry = Entry::new(key, object);
            prop_assert_eq!((entry.key(), entry.object()), (key, object));
            prop_assert!(!entry.is_vacant() && entry < Entry::VACANT);
            prop_assert!(entry >= Entry::first(key) && (key == 0 || entry > Entry::first(key - 1)));
            let late = Entry::new(key, Object { time: LAST_TICK + time, ..object });
            prop_assert_eq!(late.object(), Object { time: LAST_TICK, ..object });
        }
    }
}
