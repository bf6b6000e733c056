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
        slab::{self, MissingSource, ResolveError, SlabCaches, nearest::nearest, printable},
    },
    text::escape,
};

/// What a host has that can be waited for.
pub struct Host<'a> {
    pub meminfo: &'a Meminfo,
    pub caches: &'a SlabCaches,
    pub page_size: u64,
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
            What::Figure { name, column, .. } => Some(self.figure(&condition, name, *column)?),
        };
        Ok(Watch::new(condition, figure, self.page_size))
    }

    /// A slab cache by its name, then a line of /proc/meminfo in any case, then slab caches by a glob.
    fn figure(&self, condition: &Condition, name: &str, column: usize) -> Result<Figure, UnknownName> {
        let resolved = slab::resolve(&[name.to_owned()], self.caches);
        let is_named = resolved.as_ref().is_ok_and(|selection| !selection.named.is_empty());
        let line = self.meminfo.keys().find(|key| key.eq_ignore_ascii_case(name));
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
        let meminfo =
            Meminfo::parse(b"MemTotal: 100 kB\nSlab: 50 kB\nSUnreclaim: 20 kB\nHugePages_Total: 3\n");
        let host = Host { meminfo: &meminfo, caches: &caches, page_size: 4096 };
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
        let host = Host { meminfo: &meminfo, caches: &caches, page_size: 4096 };
        assert!(host.watch(parse("slab > 1%").unwrap()).is_ok());
        let error = host.watch(parse("dentry > 1G").unwrap()).unwrap_err();
        assert!(error.to_string().contains("run as root"), "{error}");
    }
}
