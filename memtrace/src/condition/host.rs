//! Which figure of a host a name is.

use std::collections::BTreeSet;

use thiserror::Error;

use super::{
    grammar::{Condition, What},
    parse::EXAMPLES,
    watch::{Figure, Watch},
};
use crate::{
    procfs::{
        meminfo::Meminfo,
        memory_events::{MemoryEvent, MemoryEvents},
        slab::{self, MissingSource, ResolveError, SlabCaches, nearest::nearest, printable},
    },
    text::escape,
};

/// What a host has that can be waited for.
pub struct Host<'a> {
    pub meminfo: &'a Meminfo,
    pub caches: &'a SlabCaches,
    pub page_size: u64,
    pub has_pressure: bool,
    pub events: &'a MemoryEvents,
}

/// A condition whose name is nothing on this host.
#[derive(Debug, Error)]
pub enum UnknownName {
    #[error(
        "{}: column {column}: '{}' is neither a slab cache nor a line of /proc/meminfo; {}; examples: {}",
        quoted(.condition), printable(.name), advice(.nearest), EXAMPLES
    )]
    Unknown { condition: String, name: String, column: usize, nearest: Vec<String> },
    #[error("{}: column {column}: {source}; examples: {}", quoted(.condition), EXAMPLES)]
    Pattern { condition: String, column: usize, source: ResolveError },
    #[error("{}: the size of slab caches is unknown: {why}", quoted(.condition))]
    Unreadable { condition: String, why: String },
    #[error(
        "{}: there is no /proc/pressure/memory: the kernel has no CONFIG_PSI, or was booted with psi=0",
        quoted(.0)
    )]
    NoPressure(String),
    #[error("{}: no cgroups of version 2 count their memory here", quoted(.0))]
    NoEvents(String),
}

fn quoted(condition: &str) -> String {
    format!("'{}'", escape::terminal(condition.as_bytes()))
}

fn advice(nearest: &[String]) -> String {
    match nearest {
        [] => "`memtrace caches` lists the caches".to_owned(),
        [one] => format!("the nearest is {}", printable(one)),
        names => {
            format!(
                "the nearest are: {}",
                names.iter().map(|name| printable(name)).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

impl Host<'_> {
    /// The condition, ready to take readings of this host.
    pub fn watch(&self, condition: Condition) -> Result<Watch, UnknownName> {
        let figure = match &condition.what {
            What::Finding => None,
            What::Pressure(_) if !self.has_pressure => {
                return Err(UnknownName::NoPressure(condition.to_string()));
            }
            What::Event(event) if !self.counts(*event) => {
                return Err(UnknownName::NoEvents(condition.to_string()));
            }
            What::Pressure(_) | What::Event(_) => None,
            What::Figure { name, column, .. } => Some(self.figure(&condition, name, *column)?),
        };
        Ok(Watch::new(condition, figure, self.page_size))
    }

    /// What the OOM killer does on the host is counted without cgroups too.
    fn counts(&self, event: MemoryEvent) -> bool {
        self.events.has_cgroups || event == MemoryEvent::OomKill
    }

    /// A slab cache by its name, then a line of /proc/meminfo in any case, with or without its `Mem`, then slab caches by a glob.
    fn figure(&self, condition: &Condition, name: &str, column: usize) -> Result<Figure, UnknownName> {
        let resolved = slab::resolve(&[name.to_owned()], self.caches);
        let is_named = resolved.as_ref().is_ok_and(|selection| !selection.named.is_empty());
        let is_line = |key: &str, name: &str| key.eq_ignore_ascii_case(name);
        let of_mem = |key: &str| key.strip_prefix("Mem").is_some_and(|rest| is_line(rest, name));
        let line = self.meminfo.keys().find(|key| is_line(key, name));
        let line = line.or_else(|| self.meminfo.keys().find(|key| of_mem(key)));
        if let Some(line) = line.filter(|_| !is_named) {
            return Ok(Figure::Meminfo(line.to_owned()));
        }
        let condition = condition.to_string();
        match (resolved, &self.caches.missing) {
            (Ok(_), Some(MissingSource::Slabinfo(why))) => {
                Err(UnknownName::Unreadable { condition, why: why.to_string() })
            }
            (Ok(selection), _) => Ok(Figure::Caches(selection.caches.into_iter().collect::<BTreeSet<_>>())),
            (Err(ResolveError::Unknown { .. }), _) => {
                let nearest = self.nearest(name);
                Err(UnknownName::Unknown { condition, name: name.to_owned(), column, nearest })
            }
            (Err(source), _) => Err(UnknownName::Pattern { condition, column, source }),
        }
    }

    /// The names most like this one, of caches and of lines.
    fn nearest(&self, name: &str) -> Vec<String> {
        let caches = self.caches.caches.iter().flat_map(|cache| cache.names());
        nearest(name, caches.chain(self.meminfo.keys()).map(|name| (name, 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    fn told(line: &str) -> String {
        let caches = ["dentry", "filp", "inode_cache", "kmalloc-64", "kmalloc-rcl-64"];
        let cache = |name: &str| slab::SlabCache {
            name: name.to_owned(),
            name_is_certain: true,
            ..Default::default()
        };
        let caches = SlabCaches { caches: caches.map(cache).into(), missing: None };
        let meminfo = Meminfo::parse(
            b"MemTotal: 100 kB\nMemAvailable: 60 kB\nSlab: 50 kB\nSUnreclaim: 20 kB\nHugePages_Total: 3\n",
        );
        let events = MemoryEvents::default();
        let host = Host {
            meminfo: &meminfo,
            caches: &caches,
            page_size: 4096,
            has_pressure: false,
            events: &events,
        };
        match host.watch(parse(line).unwrap()) {
            Ok(watch) => format!("{line}: {:?}", watch.figure()),
            Err(error) => format!("{error}"),
        }
    }

    #[test]
    fn names_of_a_host() {
        let lines = [
            "finding",
            "dentry > 1G",
            "kmalloc-* > 1G",
            "slab > 1%",
            "sunreclaim +1M/1h",
            "available lasts < 10m",
            "memory.events oom_kill",
            "memory.events max",
            "pressure > 10%",
            "dentri > 1G",
            "  SUnreclaimable > 1G",
            "hugepages_total > 1",
            "xyz > 1G",
            "kmalloc-9* > 1G",
            "[ > 1G",
        ];
        insta::assert_snapshot!(lines.map(told).join("\n"));
    }

    #[test]
    fn caches_without_sizes_cannot_be_waited_for() {
        let why = slab::SlabinfoError::NotPermitted { path: "/proc/slabinfo".into() };
        let cache = slab::SlabCache { name: "dentry".to_owned(), ..Default::default() };
        let caches = SlabCaches { caches: vec![cache], missing: Some(MissingSource::Slabinfo(why)) };
        let meminfo = Meminfo::parse(b"MemTotal: 100 kB\nSlab: 50 kB\n");
        let events = MemoryEvents::default();
        let host =
            Host { meminfo: &meminfo, caches: &caches, page_size: 4096, has_pressure: true, events: &events };
        assert!(host.watch(parse("slab > 1%").unwrap()).is_ok());
        let error = host.watch(parse("dentry > 1G").unwrap()).unwrap_err();
        assert!(error.to_string().contains("run as root"), "{error}");
    }
}
