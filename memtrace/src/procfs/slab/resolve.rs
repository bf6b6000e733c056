//! From the patterns after `--cache` to the caches that the kernel has.

use std::{borrow::Cow, collections::HashSet};

use thiserror::Error;

use super::{SlabCache, SlabCaches, nearest::nearest};
use crate::text::escape;

/// The caches that a list of patterns means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectedCaches {
    /// `all` was among the patterns: nothing needs to be filtered but what is excluded.
    pub all: bool,
    /// The kernel's names of those that are left out.
    pub excluded: Vec<String>,
    /// The kernel's names, without duplicates, in the order of the patterns.
    pub caches: Vec<String>,
    /// Those of `caches` that were asked for by name, not by a glob.
    pub named: Vec<String>,
    /// One sentence each: what a pattern selects besides what it seems to.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResolveError {
    #[error(
        "the name of the slab cache is empty: give a name such as dentry, a glob such as 'kmalloc-*', or all"
    )]
    Empty,
    #[error(
        "'{}' is not a valid glob: {problem} at character {position}; write [[] for a bracket itself",
        printable(pattern)
    )]
    BadGlob { pattern: String, position: usize, problem: &'static str },
    #[error("no slab cache is called '{}'; {}", printable(name), advice(nearest))]
    Unknown { name: String, nearest: Vec<String> },
    #[error("no slab cache matches '{}'; {}", printable(pattern), advice(nearest))]
    NoMatch { pattern: String, nearest: Vec<String> },
    #[error("--exclude-cache leaves out all caches that --cache names")]
    NothingLeft,
}

fn advice(nearest: &[String]) -> String {
    match nearest {
        [] => "`memtrace caches` lists them all".to_owned(),
        [one] => format!("the nearest is {}; `memtrace caches` lists them all", printable(one)),
        names => format!("the nearest are: {}; `memtrace caches` lists them all", list(names)),
    }
}

pub fn printable(name: &str) -> Cow<'_, str> {
    escape::terminal(name.as_bytes())
}

/// Caches that kernels before 5.9 made per memory cgroup are called `dentry(123:cgroup)`, and belong to `dentry`
/// (gone with Linux commit 9855609bde03 ("mm: memcg/slab: use a single set of kmem_caches for all accounted
/// allocations") (in v5.9)).
pub fn root_name(name: &str) -> &str {
    let Some((root, rest)) = name.split_once('(') else { return name };
    let Some((id, _cgroup)) = rest.strip_suffix(')').and_then(|rest| rest.split_once(':')) else {
        return name;
    };
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    if is_id && !root.is_empty() { root } else { name }
}

/// `kmalloc-512`, `kmalloc-rnd-05-1k`; not those that are charged to cgroups, or reclaimable.
pub fn size_of_kmalloc(name: &str) -> Option<u64> {
    let family =
        name.strip_prefix("kmalloc-").filter(|rest| !rest.starts_with("cg-") && !rest.starts_with("rcl-"))?;
    let (digits, unit) = match family.rsplit('-').next()? {
        size if size.ends_with('k') => (&size[..size.len() - 1], 1024),
        size => (size, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// The caches of some patterns without those of others. Stops at the first pattern that means nothing.
pub fn resolve_without(
    patterns: &[String],
    excluded: &[String],
    caches: &SlabCaches,
) -> Result<SelectedCaches, ResolveError> {
    let mut selected = resolve(patterns, caches)?;
    if excluded.is_empty() {
        return Ok(selected);
    }
    let SelectedCaches { caches: excluded, notes, .. } = resolve(excluded, caches)?;
    selected.caches.retain(|name| !excluded.contains(name));
    selected.named.retain(|name| !excluded.contains(name));
    if selected.caches.is_empty() {
        return Err(ResolveError::NothingLeft);
    }
    let notes: Vec<String> = notes.into_iter().filter(|note| !selected.notes.contains(note)).collect();
    selected.notes.extend(notes);
    Ok(SelectedCaches { excluded, ..selected })
}

/// Stops at the first pattern that selects nothing.
pub fn resolve(patterns: &[String], caches: &SlabCaches) -> Result<SelectedCaches, ResolveError> {
    if patterns.is_empty() {
        return Err(ResolveError::Empty);
    }
    let mut resolver =
        Resolver { caches: &caches.caches, selection: SelectedCaches::default(), seen: HashSet::new() };
    for pattern in patterns {
        resolver.add(pattern)?;
    }
    for pattern in patterns {
        resolver.note_siblings(pattern);
    }
    Ok(resolver.selection)
}

impl SelectedCaches {
    /// Whether a cache is selected, by the name that a kernel event carries.
    pub fn contains(&self, kernel_name: &str) -> bool {
        let is_of =
            |names: &[String]| names.iter().any(|name| name == kernel_name || name == root_name(kernel_name));
        (self.all || is_of(&self.caches)) && !is_of(&self.excluded)
    }
}

struct Resolver<'a> {
    caches: &'a [SlabCache],
    selection: SelectedCaches,
    seen: HashSet<&'a str>,
}

impl<'a> Resolver<'a> {
    fn add(&mut self, pattern: &str) -> Result<(), ResolveError> {
        if pattern.trim().is_empty() {
            return Err(ResolveError::Empty);
        }
        // A name goes before what it would mean as a glob, or as `all`.
        if self.add_named(pattern) {
            return Ok(());
        }
        if pattern == "all" {
            self.selection.all = true;
            self.caches.iter().for_each(|cache| self.select(cache));
            return Ok(());
        }
        if is_glob(pattern) {
            return self.add_glob(pattern);
        }
        Err(ResolveError::Unknown { name: pattern.to_owned(), nearest: nearest_of(pattern, self.caches) })
    }

    /// By its own name, by that of the cache it was merged into, or as the root of per-cgroup caches.
    fn add_named(&mut self, name: &str) -> bool {
        let root = root_name(name);
        let found: Vec<&'a SlabCache> =
            self.caches.iter().filter(|cache| cache.names().any(|own| root_name(own) == root)).collect();
        for &cache in &found {
            self.select(cache);
            if !self.selection.named.contains(&cache.name) {
                self.selection.named.push(cache.name.clone());
            }
            self.note_merged(name, cache);
        }
        if !found.is_empty() {
            self.note_cgroup(name);
            self.add_random_copies(name);
        }
        !found.is_empty()
    }

    fn add_glob(&mut self, pattern: &str) -> Result<(), ResolveError> {
        let glob = Glob::new(pattern)?;
        let mut by_alias = Vec::new();
        let mut is_empty = true;
        for cache in self.caches.iter().filter(|cache| cache.names().any(|name| glob.matches(name))) {
            is_empty = false;
            self.select(cache);
            if !glob.matches(&cache.name) {
                by_alias.push(cache);
            }
        }
        if is_empty {
            return Err(no_match(pattern, self.caches));
        }
        self.note_matched_aliases(pattern, &glob, &by_alias);
        Ok(())
    }

    fn select(&mut self, cache: &'a SlabCache) {
        for name in cache.kernel_names() {
            if self.seen.insert(name) {
                self.selection.caches.push(name.to_owned());
            }
        }
    }

    fn note(&mut self, note: String) {
        if !self.selection.notes.contains(&note) {
            self.selection.notes.push(note);
        }
    }

    fn note_merged(&mut self, name: &str, cache: &SlabCache) {
        let others: Vec<String> = cache.names().filter(|other| *other != name).map(str::to_owned).collect();
        if cache.aliases.is_empty() {
            return;
        }
        let shown_as = if cache.aliases.iter().any(|alias| alias == name) && cache.name_is_certain {
            format!("; the cache is shown as {}", printable(&cache.name))
        } else {
            String::new()
        };
        self.note(format!(
            "{} is merged with {}: their objects cannot be told apart{shown_as}",
            printable(name),
            list(&others)
        ));
    }

    fn note_matched_aliases(&mut self, pattern: &str, glob: &Glob, by_alias: &[&SlabCache]) {
        if by_alias.is_empty() {
            return;
        }
        let shown: Vec<String> = by_alias
            .iter()
            .map(|cache| {
                let aliases: Vec<String> =
                    cache.aliases.iter().filter(|alias| glob.matches(alias)).cloned().collect();
                format!("{} (for {})", printable(&cache.name), list(&aliases))
            })
            .collect();
        self.note(format!(
            "'{}' also selects merged caches, whose objects cannot be told apart: {}",
            printable(pattern),
            shown.join(", ")
        ));
    }

    fn note_cgroup(&mut self, name: &str) {
        let root = root_name(name);
        if root != name {
            let (name, root) = (printable(name), printable(root));
            self.note(format!(
                "{name} selects all of {root}: the caches of single cgroups are not told apart"
            ));
        }
    }

    /// The kernel takes one of 16 caches of a size, by call site: Linux commit 3c6152940584 ("Randomized slab caches
    /// for kmalloc()") (in v6.6).
    fn add_random_copies(&mut self, name: &str) {
        let Some(size) = kmalloc_size(name) else { return };
        let is_copy = |cache: &&SlabCache| {
            let copy = cache.name.strip_prefix("kmalloc-rnd-").and_then(|rest| rest.split_once('-'));
            copy.is_some_and(|(number, of)| of == size && number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let copies: Vec<&'a SlabCache> = self.caches.iter().filter(is_copy).collect();
        copies.iter().for_each(|cache| self.select(cache));
        match copies.as_slice() {
            [] => {}
            [one] => self.note(format!("{name} includes its random copy {}", one.name)),
            more => {
                self.note(format!("{name} includes its {} random copies kmalloc-rnd-*-{size}", more.len()));
            }
        }
    }

    /// Other families have caches of the same size, for accounted, reclaimable, DMA memory and for single users:
    /// Linux commits 494c1dfe855e ("mm: memcg/slab: create a new set of kmalloc-cg-<n> caches") (in v5.14) and
    /// b32801d1255b ("mm/slab: Introduce kmem_buckets_create() and family") (in v6.11).
    fn note_siblings(&mut self, pattern: &str) {
        const FAMILIES: [&str; 5] = ["kmalloc-cg", "kmalloc-rcl", "dma-kmalloc", "msg_msg", "memdup_user"];
        let Some(size) = kmalloc_size(pattern) else { return };
        let exists = |name: &String| self.caches.iter().any(|cache| cache.name == *name);
        let siblings: Vec<String> = FAMILIES
            .iter()
            .map(|family| format!("{family}-{size}"))
            .filter(|name| exists(name) && !self.seen.contains(name.as_str()))
            .collect();
        let glob = if siblings.iter().any(|name| name.contains("kmalloc")) {
            format!(", or use '*kmalloc*-{size}'")
        } else {
            String::new()
        };
        match siblings.as_slice() {
            [] => {}
            [one] => self.note(format!("{one} is a separate cache; add it{glob}")),
            more => self.note(format!("{} are separate caches; add those you mean{glob}", and(more))),
        }
    }
}

/// `64` of `kmalloc-64`, `1k` of `kmalloc-1k`; None for other families.
fn kmalloc_size(name: &str) -> Option<&str> {
    let size = name.strip_prefix("kmalloc-")?;
    let digits = size.strip_suffix(['k', 'M']).unwrap_or(size);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(size)
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| printable(name)).collect::<Vec<_>>().join(", ")
}

/// `a, b and c`.
fn and(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => {
            format!("{} and {}", list(first), list(std::slice::from_ref(last)))
        }
        names => list(names),
    }
}

/// Whether a text means more than itself.
pub fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// A glob over cache names: `*`, `?`, `[a-z]`, `[!a-z]`.
#[derive(Clone, Debug)]
pub struct Glob(glob::Pattern);

impl Glob {
    pub fn new(pattern: &str) -> Result<Self, ResolveError> {
        // `**` has a meaning of its own in paths, and none here.
        let mut simple = pattern.to_owned();
        while simple.contains("**") {
            simple = simple.replace("**", "*");
        }
        glob::Pattern::new(&simple).map(Self).map_err(|error| ResolveError::BadGlob {
            pattern: pattern.to_owned(),
            position: error.pos + 1,
            problem: error.msg,
        })
    }

    pub fn matches(&self, name: &str) -> bool {
        self.0.matches(name)
    }
}

/// Narrows a list of caches: a glob where the text has a glob's signs, else a part of the name.
#[derive(Clone, Debug)]
pub enum Filter {
    Glob(Glob),
    Part(String),
}

impl Filter {
    pub fn new(pattern: &str) -> Result<Self, ResolveError> {
        if pattern.trim().is_empty() {
            return Err(ResolveError::Empty);
        }
        if is_glob(pattern) { Glob::new(pattern).map(Self::Glob) } else { Ok(Self::Part(pattern.to_owned())) }
    }

    pub fn matches(&self, cache: &SlabCache) -> bool {
        cache.names().any(|name| match self {
            Self::Glob(glob) => glob.matches(name),
            Self::Part(part) => name.contains(part.as_str()),
        })
    }
}

/// The error for a pattern that selects no cache.
pub fn no_match(pattern: &str, caches: &[SlabCache]) -> ResolveError {
    ResolveError::NoMatch { pattern: pattern.to_owned(), nearest: nearest_of(pattern, caches) }
}

fn nearest_of(pattern: &str, caches: &[SlabCache]) -> Vec<String> {
    // A part of a name probably means the cache that holds the most memory.
    let weight = |cache: &SlabCache| cache.counts.map_or(0, |counts| counts.pages);
    nearest(pattern, caches.iter().flat_map(|cache| cache.names().map(move |name| (name, weight(cache)))))
}

#[cfg(test)]
mod tests;
