//! What there is to say of a cache: what is known of its kind, beside what this host says of it now.

use crate::{
    knowledge::{
        caches::{self, CacheEntry},
        incidents::{Incident, Incidents},
    },
    procfs::{
        Files,
        slab::{
            ResolveError, SlabCache, SlabCaches,
            nearest::nearest,
            resolve::{Glob, is_glob},
            root_name,
        },
    },
};

/// What could be read of the host.
pub struct HostState {
    pub caches: Vec<SlabCache>,
    pub page_size: u64,
    /// What could not be read.
    pub notes: Vec<String>,
}

pub struct Answer<'a> {
    /// As the user wrote it.
    pub asked: String,
    pub topics: Vec<Topic<'a>>,
    /// Caches of the host that were asked for and of which nothing is known.
    pub unknown: Vec<SlabCache>,
    pub page_size: u64,
    pub notes: Vec<String>,
}

/// One kind of cache.
pub struct Topic<'a> {
    pub entry: &'static CacheEntry,
    /// Those of the host that were asked for; none where it has none, or does not say.
    pub here: Vec<SlabCache>,
    pub incidents: Vec<&'a Incident>,
}

impl HostState {
    pub fn read(files: &Files) -> Self {
        let page_size = rustix::param::page_size() as u64;
        let SlabCaches { caches, missing } = match files.slab_caches() {
            Ok(caches) => caches,
            Err(error) => return Self { caches: Vec::new(), page_size, notes: vec![error.to_string()] },
        };
        Self { caches, page_size, notes: missing.iter().map(ToString::to_string).collect() }
    }
}

impl<'a> Answer<'a> {
    pub fn new(asked: &str, incidents: &'a Incidents, host: HostState) -> Result<Self, ResolveError> {
        if asked.trim().is_empty() {
            return Err(ResolveError::Empty);
        }
        let glob = if is_glob(asked) { Some(Glob::new(asked)?) } else { None };
        let is_asked = |name: &str| match &glob {
            Some(glob) => name == asked || glob.matches(name),
            None => root_name(name) == root_name(asked),
        };
        let mut answer = Self {
            asked: asked.to_owned(),
            topics: Vec::new(),
            unknown: Vec::new(),
            page_size: host.page_size,
            notes: host.notes,
        };
        for cache in &host.caches {
            let names: Vec<&str> = cache.names().filter(|name| is_asked(name)).collect();
            answer.add_here(cache, &names);
        }
        let elsewhere =
            caches::all().iter().filter(|entry| entry.names.iter().any(|name| is_asked(name.as_str())));
        elsewhere.chain(caches::find(asked).filter(|_| glob.is_none())).for_each(|entry| {
            answer.topic(entry);
        });
        if answer.topics.is_empty() && answer.unknown.is_empty() {
            return Err(not_found(asked, glob.is_some(), &host.caches));
        }
        for topic in &mut answer.topics {
            topic.incidents = incidents_of(topic, asked, incidents);
        }
        Ok(answer)
    }

    /// A cache of which these names were asked for. If nothing is known of them, what is merged with them may tell.
    fn add_here(&mut self, cache: &SlabCache, names: &[&str]) {
        if names.is_empty() {
            return;
        }
        let mut entries: Vec<_> = names.iter().filter_map(|name| caches::find(name)).collect();
        if entries.is_empty() {
            entries = cache.names().filter_map(caches::find).collect();
        }
        if entries.is_empty() {
            self.unknown.push(cache.clone());
        }
        for entry in entries {
            let here = &mut self.topic(entry).here;
            if !here.contains(cache) {
                here.push(cache.clone());
            }
        }
    }

    fn topic(&mut self, entry: &'static CacheEntry) -> &mut Topic<'a> {
        let known = self.topics.iter().position(|topic| std::ptr::eq(topic.entry, entry));
        let index = known.unwrap_or_else(|| {
            self.topics.push(Topic { entry, here: Vec::new(), incidents: Vec::new() });
            self.topics.len() - 1
        });
        &mut self.topics[index]
    }
}

/// Those whose sign one of the topic's names is, or what was asked for.
fn incidents_of<'a>(topic: &Topic, asked: &str, incidents: &'a Incidents) -> Vec<&'a Incident> {
    let mut names: Vec<&str> = topic.entry.names.iter().map(|name| name.as_str()).collect();
    let here = topic.here.iter().flat_map(SlabCache::names);
    names.extend(
        here.chain([asked]).filter(|name| caches::find(name).is_some_and(|e| std::ptr::eq(e, topic.entry))),
    );
    incidents.of_caches(&names)
}

fn not_found(asked: &str, is_glob: bool, host: &[SlabCache]) -> ResolveError {
    let weight = |cache: &SlabCache| cache.counts.map_or(0, |counts| counts.pages);
    let here = host.iter().flat_map(|cache| cache.names().map(move |name| (name, weight(cache))));
    let known = caches::all().iter().flat_map(|entry| &entry.names).map(|name| (name.as_str(), 0));
    let mut nearest = nearest(asked, here.chain(known));
    nearest.dedup();
    let name = asked.to_owned();
    if is_glob {
        ResolveError::NoMatch { pattern: name, nearest }
    } else {
        ResolveError::Unknown { name, nearest }
    }
}
