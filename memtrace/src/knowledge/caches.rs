//! What the slab caches that matter hold, what fills them, and whether the kernel reclaims their memory.

use std::{fmt, sync::LazyLock};

use serde::{Deserialize, Serialize};

use super::{Line, Pattern, Prose};
use crate::procfs::slab::root_name;

/// Found by [`find`]; in the order of the file, the single name before the family that it belongs to.
static ENTRIES: LazyLock<Vec<CacheEntry>> =
    LazyLock::new(|| parse(include_str!("caches.toml")).expect("a test reads the same text"));

/// One kind of cache.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheEntry {
    /// Names and globs of them.
    pub names: Vec<Pattern>,
    /// What an object is, in a few words.
    pub title: Prose,
    pub holds: Prose,
    pub fills: Prose,
    pub reclaim: Reclaim,
    /// What it grows and goes with: the page cache, files that exist. Who reads, writes or looks up leaks nothing.
    #[serde(default)]
    pub bookkeeping_of: Option<Line>,
    /// The kernel frees an object so many seconds after its owner is done with it: until then all look kept.
    #[serde(default)]
    pub timer_s: Option<u64>,
    /// How and when it goes back.
    pub reclaim_how: Prose,
    /// Commands that tell more.
    #[serde(default)]
    pub look: Vec<Look>,
    /// What makes it smaller, or keeps it small.
    #[serde(default)]
    pub helps: Vec<Prose>,
    #[serde(default)]
    pub caveats: Vec<Prose>,
    #[serde(default)]
    pub references: Vec<Line>,
}

/// A command, and what it shows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    pub run: Line,
    pub tells: Prose,
}

/// When the kernel gets the memory back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reclaim {
    /// A shrinker frees unused objects when memory is short.
    Pressure,
    /// An object is freed with what it belongs to: a process, a file, a socket.
    Owner,
    /// As long as the kernel runs, or the module that made it.
    Never,
}

impl fmt::Display for Reclaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pressure => "under pressure",
            Self::Owner => "with its owner",
            Self::Never => "never",
        })
    }
}

impl CacheEntry {
    fn is_of(&self, name: &str) -> bool {
        self.names.iter().any(|pattern| pattern.matches(name))
    }
}

pub fn all() -> &'static [CacheEntry] {
    &ENTRIES
}

/// What is known of the cache of this name. None for most: there are hundreds.
pub fn find(name: &str) -> Option<&'static CacheEntry> {
    let name = root_name(name);
    ENTRIES.iter().find(|entry| entry.is_of(name))
}

/// What the cache is bookkeeping of, if it is: the page cache, files that exist. Its growth is theirs.
pub fn bookkeeping_of(name: &str) -> Option<&'static str> {
    Some(find(name)?.bookkeeping_of.as_ref()?.as_str())
}

/// Caches of sockets, called like their protocols. Other sockets (netlink, packet) are from kmalloc.
const SOCKETS: [&str; 15] = [
    "TCP",
    "TCPv6",
    "UDP",
    "UDPv6",
    "UDP-Lite",
    "UDPLITEv6",
    "RAW",
    "RAWv6",
    "PING",
    "PINGv6",
    "MPTCP",
    "MPTCPv6",
    "UNIX",
    "UNIX-STREAM",
    "AF_VSOCK",
];

pub fn is_of_sockets(name: &str) -> bool {
    SOCKETS.contains(&name)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cache: Vec<CacheEntry>,
}

fn parse(text: &str) -> Result<Vec<CacheEntry>, toml::de::Error> {
    toml::from_str::<File>(text).map(|file| file.cache)
}

#[cfg(test)]
mod tests;
