//! A single event, as it is shown: with what was known of its object when it happened.

use std::time::{Duration, SystemTime};

use super::object::Allocated;
use crate::stream::event::Address;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "lowercase")]
pub enum EventKind {
    /// A slab cache handed out an object
    Alloc,
    /// It went back
    Free,
    /// A dentry got its name
    Name,
    /// An object that was there was looked at, and told its name
    Look,
    /// Somebody marked this time
    Mark,
    /// Events are missing here; always shown
    Gap,
}

impl EventKind {
    pub const ALL: [Self; 6] = [Self::Alloc, Self::Free, Self::Name, Self::Look, Self::Mark, Self::Gap];
}

/// What is not known is None. Raw text: escape it.
#[derive(Clone, Debug, PartialEq)]
pub struct EventView<'a> {
    pub kind: EventKind,
    /// Since the start of the session; negative for events while it was starting.
    pub elapsed_ns: i64,
    /// The event happened shortly before: this is when it was read from the rings.
    pub is_time_of_reading: bool,
    pub object: Option<Address>,
    /// About the allocation of the object. Who frees it is not known.
    pub allocated: Allocated<'a>,
    /// How long ago the object was allocated.
    pub age: Option<Duration>,
    /// Of an object that was looked at, the whole path of its directory; else that one's name.
    pub directory: Option<&'a [u8]>,
    /// Of an object; of a mark, its label; of a gap, why it is there.
    pub name: Option<&'a [u8]>,
    pub filesystem: Option<&'a [u8]>,
    /// Of a dentry that was looked at: nothing has this name.
    pub is_negative: Option<bool>,
    /// How many objects it stands for.
    pub weight: u32,
    /// Of a gap: how many events are missing, and since when.
    pub missing: Option<u64>,
    pub missing_since_ns: Option<i64>,
}

impl EventView<'_> {
    pub fn new(kind: EventKind, elapsed_ns: i64) -> Self {
        Self {
            kind,
            elapsed_ns,
            is_time_of_reading: false,
            object: None,
            allocated: Allocated::default(),
            age: None,
            directory: None,
            name: None,
            filesystem: None,
            is_negative: None,
            weight: 1,
            missing: None,
            missing_since_ns: None,
        }
    }
}

/// What the events are of: said once.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub host: String,
    pub kernel: String,
    /// Empty where it is not known.
    pub boot_id: String,
    /// Of the session, by the wall clock.
    pub started: SystemTime,
    /// Version of the memtrace that traced.
    pub tool: String,
}

impl Source {
    /// By the wall clock, as it went at the start. Never before 1970.
    pub fn wall(&self, elapsed_ns: i64) -> SystemTime {
        let time = Duration::from_nanos(elapsed_ns.unsigned_abs());
        let wall =
            if elapsed_ns < 0 { self.started.checked_sub(time) } else { self.started.checked_add(time) };
        wall.unwrap_or(self.started).max(SystemTime::UNIX_EPOCH)
    }
}
