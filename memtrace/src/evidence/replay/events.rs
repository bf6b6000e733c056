//! Single events, of a recording or of a running session, each with what is known of its object by then.
//!
//! A free carries only an address. The ledger knows the object if it has seen the allocation: so everything before a window is
//! applied too, and only not shown.

use std::{collections::HashMap, io, time::Duration};

use super::{
    state::State,
    window::{When, Window, WindowError},
};
use crate::{
    evidence::{
        Step,
        recording::{
            Entry, Header, Place, Reader, TooMuch, block::intact, definitions::Definitions, limits::Limits,
        },
    },
    knowledge::incidents::Incidents,
    output::events::EventOutput,
    select::filter::Filter,
    stream::{
        event::{Address, Alloc, CacheTag, Event, Free, Label, Name, ObjectKind, TimeNs, cache_tag},
        ledger::{Held, OriginDetail, OriginKey},
    },
    view::{
        event::{EventKind, EventView},
        object::Allocated,
    },
};

/// Which events are shown.
#[derive(Clone, Debug)]
pub struct EventQuery {
    pub filter: Filter,
    /// Empty for all.
    pub kinds: Vec<EventKind>,
    pub from: Option<When>,
    pub to: Option<When>,
}

#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error(transparent)]
    Window(#[from] WindowError),
    #[error("cannot write the events: {0}")]
    Write(#[from] io::Error),
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
}

/// Writes a recording's events.
pub fn events(
    reader: &Reader,
    query: &EventQuery,
    out: &mut dyn EventOutput,
    progress: &mut dyn FnMut(Step),
) -> Result<(), StreamError> {
    let window = super::window(reader, &query.filter, query.from.as_ref(), query.to.as_ref(), progress)?;
    let mut writer = EventWriter::new(&reader.header, query).within(reader.limits);
    let mut last: Option<&Place> = None;
    for (index, place) in reader.places()[..window.end].iter().enumerate() {
        progress(Step { doing: "reading", done: index, all: window.end });
        let mut out = InWindow { out, is_shown: window.first <= index, shown: 0 };
        if let Some(last) = last.filter(|last| last.sequence + 1 != place.sequence) {
            let gap = Gap { events: None, since: Some(last.end), until: place.start, reason: NOT_IN_FILE };
            writer.gap(&gap, &mut out)?;
        }
        let written = block(reader, place, &mut writer, &mut out)?;
        if written < place.entries {
            let events = Some(place.entries - written);
            let gap = Gap { events, since: Some(place.start), until: place.end, reason: DAMAGED };
            writer.gap(&gap, &mut out)?;
        }
        last = Some(place);
    }
    unfinished(reader, window, &mut writer, out)?;
    Ok(out.finish()?)
}

const NOT_IN_FILE: &str = "the file does not have them";
const DAMAGED: &str = "the file is damaged here";
const UNFINISHED: &str = "the recording was not closed cleanly";

/// Writes the entries of a block. Returns how many there were.
fn block(
    reader: &Reader,
    place: &Place,
    writer: &mut EventWriter,
    out: &mut InWindow<'_>,
) -> Result<u64, StreamError> {
    let Some(plain) = intact(reader.plain(place))? else { return Ok(0) };
    let Some(block) = intact(reader.block(&plain))? else { return Ok(0) };
    writer.define(block.definitions);
    let mut written = 0;
    for entry in block.columns.entries().map_while(Result::ok) {
        writer.entry(&entry, out)?;
        writer.state.note_shown(std::mem::take(&mut out.shown));
        writer.state.check()?;
        written += 1;
    }
    Ok(written)
}

fn unfinished(
    reader: &Reader,
    window: Window,
    writer: &mut EventWriter,
    out: &mut dyn EventOutput,
) -> Result<(), StreamError> {
    let places = reader.places();
    if reader.is_finished || window.end < places.len() {
        return Ok(());
    }
    let end = places[places.len() - 1].end;
    Ok(writer.gap(&Gap { events: None, since: None, until: end, reason: UNFINISHED }, out)?)
}

/// Shows what is in the window.
struct InWindow<'a> {
    out: &'a mut dyn EventOutput,
    is_shown: bool,
    /// So many events, since somebody took note of them.
    shown: u64,
}

impl EventOutput for InWindow<'_> {
    fn show(&mut self, event: &EventView<'_>) -> io::Result<()> {
        if !self.is_shown {
            return Ok(());
        }
        self.shown += 1;
        self.out.show(event)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A place where events are missing.
#[derive(Clone, Copy, Debug)]
pub struct Gap<'a> {
    /// How many; None where that is not known.
    pub events: Option<u64>,
    pub since: Option<TimeNs>,
    pub until: TimeNs,
    pub reason: &'a str,
}

/// Writes entries as events, each with what is known of its object. Keeps a ledger of its own for that.
pub struct EventWriter {
    state: State,
    kinds: Vec<EventKind>,
    started_ns: TimeNs,
    /// The cache that a free means; None where it may be one of several.
    by_tag: HashMap<CacheTag, Option<Address>>,
}

impl EventWriter {
    pub fn new(header: &Header, query: &EventQuery) -> Self {
        let kinds = if query.kinds.is_empty() { EventKind::ALL.to_vec() } else { query.kinds.clone() };
        let detail = OriginDetail { call_sites: true, ..OriginDetail::default() };
        Self {
            state: State::new(header, query.filter.clone(), Incidents::built_in(), detail),
            kinds,
            started_ns: header.started_ns,
            by_tag: HashMap::new(),
        }
    }

    /// What it takes in comes from a file.
    fn within(self, limits: Limits) -> Self {
        Self { state: self.state.within(limits), ..self }
    }

    pub fn define(&mut self, definitions: Definitions) {
        let caches: Vec<Address> = definitions.caches.iter().map(|&(cache, _)| cache).collect();
        self.state.define(definitions);
        for cache in caches.into_iter().filter(|cache| self.state.caches.contains_key(cache)) {
            let known = self.by_tag.entry(cache_tag(cache)).or_insert(Some(cache));
            *known = known.filter(|&known| known == cache);
        }
    }

    /// Whether this call site has a name already.
    pub fn knows_call_site(&self, call_site: Address) -> bool {
        self.state.call_sites.knows(call_site)
    }

    /// Writes an entry, and applies it.
    pub fn entry(&mut self, entry: &Entry<'_>, out: &mut dyn EventOutput) -> io::Result<()> {
        if let Some(view) = self.view(entry) {
            out.show(&view)?;
        }
        self.state.apply(entry);
        Ok(())
    }

    /// Writes that events are missing, and forgets what was outstanding: it may have been freed in the gap.
    pub fn gap(&mut self, gap: &Gap<'_>, out: &mut dyn EventOutput) -> io::Result<()> {
        self.state.ledger.forget_objects();
        out.show(&EventView {
            missing: gap.events,
            missing_since_ns: gap.since.map(|since| self.elapsed(since)),
            name: Some(gap.reason.as_bytes()),
            ..EventView::new(EventKind::Gap, self.elapsed(gap.until))
        })
    }

    /// None of an entry that is not shown.
    fn view<'a>(&'a self, entry: &Entry<'a>) -> Option<EventView<'a>> {
        let view = match *entry {
            Entry::Event(Event::Alloc(alloc)) => self.alloc(&alloc),
            Entry::Event(Event::Free(free)) => self.free(free),
            Entry::Event(Event::Name(name)) => self.name(name),
            Entry::Label(object, label) => self.look(object.ptr, label),
            Entry::Refuted(object) => self.free(Free { ptr: object.ptr, cache: None }),
            Entry::Mark(time, label) => {
                self.view_of(EventKind::Mark, time).map(|view| EventView { name: Some(label), ..view })
            }
            Entry::Period(_) | Entry::Read(_) => None,
        }?;
        Some(EventView { weight: self.state.ledger.period(), ..view })
    }

    fn view_of(&self, kind: EventKind, time: TimeNs) -> Option<EventView<'_>> {
        self.kinds.contains(&kind).then(|| EventView::new(kind, self.elapsed(time)))
    }

    /// An event without a time of its own.
    fn view_at_reading(&self, kind: EventKind, object: Address) -> Option<EventView<'_>> {
        let view = self.view_of(kind, self.state.read_at)?;
        Some(EventView { is_time_of_reading: true, object: Some(object), ..view })
    }

    fn elapsed(&self, time: TimeNs) -> i64 {
        time.wrapping_sub(self.started_ns) as i64
    }

    fn alloc(&self, alloc: &Alloc) -> Option<EventView<'_>> {
        let view = self.view_of(EventKind::Alloc, alloc.time)?;
        if !self.state.ledger.counts(alloc) {
            return None;
        }
        let allocated = self.allocated(&self.state.ledger.origin_of(alloc))?;
        Some(EventView { object: Some(alloc.ptr), allocated, ..view })
    }

    fn free(&self, free: Free) -> Option<EventView<'_>> {
        let view = self.view_at_reading(EventKind::Free, free.ptr)?;
        if !self.state.ledger.follows(free.ptr) {
            return None;
        }
        match self.state.ledger.object(free.ptr) {
            Some(held) => self.with_held(view, held),
            // It may be of a cache that is not traced, or have been sent twice.
            None => {
                let cache = self.by_tag.get(&free.cache?).copied().flatten();
                let allocated = cache.map(|cache| Allocated::from_cache(cache, self.state.names()));
                let allocated = allocated.unwrap_or_default();
                self.state.shows_unknown_of(cache).then_some(EventView { allocated, ..view })
            }
        }
    }

    fn name<'a>(&'a self, name: Name<'a>) -> Option<EventView<'a>> {
        let view = self.view_at_reading(EventKind::Name, name.dentry)?;
        let view = EventView { directory: Some(name.parent), name: Some(name.name), ..view };
        self.with_object(view, name.dentry)
    }

    fn look<'a>(&'a self, object: Address, label: Label<'a>) -> Option<EventView<'a>> {
        let view = self.view_at_reading(EventKind::Look, object)?;
        let text = |text: &'a [u8]| Some(text).filter(|text| !text.is_empty());
        let is_negative = match label.kind {
            Some(ObjectKind::Dentry { negative, .. }) => Some(negative),
            _ => None,
        };
        let view = EventView {
            directory: text(label.directory),
            name: Some(label.name),
            filesystem: text(label.filesystem),
            is_negative,
            ..view
        };
        self.with_object(view, object)
    }

    fn with_object<'a>(&'a self, view: EventView<'a>, object: Address) -> Option<EventView<'a>> {
        match self.state.ledger.object(object) {
            Some(held) => self.with_held(view, held),
            None => (self.state.ledger.follows(object) && self.state.shows_unknown_of(None)).then_some(view),
        }
    }

    fn with_held<'a>(&'a self, view: EventView<'a>, held: Held<'a>) -> Option<EventView<'a>> {
        let age = Duration::from_nanos(self.state.read_at.saturating_sub(held.object.time));
        Some(EventView { allocated: self.allocated(held.origin)?, age: Some(age), ..view })
    }

    /// None where it is not shown.
    fn allocated(&self, origin: &OriginKey) -> Option<Allocated<'_>> {
        self.state.shows(origin).then(|| Allocated::new(origin, self.state.names()))
    }
}
