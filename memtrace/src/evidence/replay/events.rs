//! Single events, of a recording or of a session that runs: each is told with what is known of its object by then.
//!
//! A free tells no more than an address. The ledger knows the object, where its allocation was seen: so all that came before a
//! window is applied as well, and only not shown.

use std::{collections::HashMap, io, time::Duration};

use super::{
    filter::Filter,
    state::State,
    window::{When, Window, WindowError},
};
use crate::{
    evidence::{
        Step,
        recording::{Block, BlockError, Entry, Header, Place, Reader, definitions::Definitions},
    },
    knowledge::incidents::Incidents,
    output::events::EventOutput,
    stream::{
        event::{Address, Alloc, CacheTag, Event, Free, Kind, Label, Name, TimeNs, cache_tag},
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
}

/// Shows a recording's events.
pub fn events(
    reader: &Reader,
    choice: &EventQuery,
    out: &mut dyn EventOutput,
    progress: &mut dyn FnMut(Step),
) -> Result<(), StreamError> {
    let window = super::window(reader, &choice.filter, choice.from.as_ref(), choice.to.as_ref(), progress)?;
    let mut teller = Teller::new(&reader.header, choice);
    let mut last: Option<&Place> = None;
    for (index, place) in reader.places()[..window.end].iter().enumerate() {
        progress(Step { doing: "reading", done: index, all: window.end });
        let mut out = InWindow { out, is_shown: window.first <= index };
        if let Some(last) = last.filter(|last| last.sequence + 1 != place.sequence) {
            teller.miss(None, Some(last.end), place.start, NOT_IN_FILE, &mut out)?;
        }
        let told = block(reader, place, &mut teller, &mut out)?;
        if told < place.entries {
            teller.miss(Some(place.entries - told), Some(place.start), place.end, DAMAGED, &mut out)?;
        }
        last = Some(place);
    }
    unfinished(reader, window, &mut teller, out)?;
    Ok(out.finish()?)
}

const NOT_IN_FILE: &str = "the file does not have them";
const DAMAGED: &str = "the file is damaged there";
const UNFINISHED: &str = "the recording was not closed cleanly";

/// Tells the entries of a block. Returns how many there were.
fn block(reader: &Reader, place: &Place, teller: &mut Teller, out: &mut dyn EventOutput) -> io::Result<u64> {
    let Ok(plain) = reader.plain(place) else { return Ok(0) };
    let Ok(block) = Block::read(&plain).map_err(BlockError::from) else { return Ok(0) };
    teller.define(block.definitions);
    let mut told = 0;
    for entry in block.columns.entries().map_while(Result::ok) {
        teller.tell(&entry, out)?;
        told += 1;
    }
    Ok(told)
}

fn unfinished(
    reader: &Reader,
    window: Window,
    teller: &mut Teller,
    out: &mut dyn EventOutput,
) -> Result<(), StreamError> {
    let places = reader.places();
    if reader.is_finished || window.end < places.len() {
        return Ok(());
    }
    let end = places[places.len() - 1].end;
    Ok(teller.miss(None, None, end, UNFINISHED, out)?)
}

/// Shows what is in the window.
struct InWindow<'a> {
    out: &'a mut dyn EventOutput,
    is_shown: bool,
}

impl EventOutput for InWindow<'_> {
    fn show(&mut self, event: &EventView<'_>) -> io::Result<()> {
        if self.is_shown { self.out.show(event) } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Tells what each entry is about, and keeps what the next ones may be about.
pub struct Teller {
    state: State,
    kinds: Vec<EventKind>,
    started_ns: TimeNs,
    /// The cache that a free means; None where it may be one of several.
    by_tag: HashMap<CacheTag, Option<Address>>,
}

impl Teller {
    pub fn new(header: &Header, choice: &EventQuery) -> Self {
        let kinds = if choice.kinds.is_empty() { EventKind::ALL.to_vec() } else { choice.kinds.clone() };
        let apart = OriginDetail { call_sites: true, ..OriginDetail::default() };
        Self {
            state: State::new(header, choice.filter.clone(), Incidents::built_in(), apart),
            kinds,
            started_ns: header.started_ns,
            by_tag: HashMap::new(),
        }
    }

    pub fn define(&mut self, definitions: Definitions) {
        let caches: Vec<Address> = definitions.caches.iter().map(|&(cache, _)| cache).collect();
        self.state.define(definitions);
        for cache in caches.into_iter().filter(|cache| self.state.caches.contains_key(cache)) {
            let known = self.by_tag.entry(cache_tag(cache)).or_insert(Some(cache));
            *known = known.filter(|&known| known == cache);
        }
    }

    /// Whether this place in the kernel has a name already.
    pub fn knows_place(&self, call_site: Address) -> bool {
        self.state.call_sites.knows(call_site)
    }

    /// Shows an entry, and takes it in.
    pub fn tell(&mut self, entry: &Entry<'_>, out: &mut dyn EventOutput) -> io::Result<()> {
        if let Some(view) = self.view(entry) {
            out.show(&view)?;
        }
        self.state.apply(entry);
        Ok(())
    }

    /// Shows that events are missing. Of what is outstanding, nobody knows what became.
    pub fn miss(
        &mut self,
        events: Option<u64>,
        since: Option<TimeNs>,
        until: TimeNs,
        why: &str,
        out: &mut dyn EventOutput,
    ) -> io::Result<()> {
        self.state.ledger.forget_objects();
        out.show(&EventView {
            missing: events,
            missing_since_ns: since.map(|since| self.elapsed(since)),
            name: Some(why.as_bytes()),
            ..EventView::new(EventKind::Gap, self.elapsed(until))
        })
    }

    /// None of what is not shown.
    fn view<'a>(&'a self, entry: &Entry<'a>) -> Option<EventView<'a>> {
        let view = match *entry {
            Entry::Event(Event::Alloc(alloc)) => self.alloc(&alloc),
            Entry::Event(Event::Free(free)) => self.free(free),
            Entry::Event(Event::Name(name)) => self.name(name),
            Entry::Label(object, label) => self.look(object.ptr, label),
            Entry::Mark(time, label) => {
                self.of(EventKind::Mark, time).map(|view| EventView { name: Some(label), ..view })
            }
            Entry::Period(_) | Entry::Read(_) => None,
        }?;
        Some(EventView { weight: self.state.ledger.period(), ..view })
    }

    fn of(&self, kind: EventKind, time: TimeNs) -> Option<EventView<'_>> {
        self.kinds.contains(&kind).then(|| EventView::new(kind, self.elapsed(time)))
    }

    /// An event that does not tell its time.
    fn of_reading(&self, kind: EventKind, object: Address) -> Option<EventView<'_>> {
        let view = self.of(kind, self.state.read_at)?;
        Some(EventView { is_time_of_reading: true, object: Some(object), ..view })
    }

    fn elapsed(&self, time: TimeNs) -> i64 {
        time.wrapping_sub(self.started_ns) as i64
    }

    fn alloc(&self, alloc: &Alloc) -> Option<EventView<'_>> {
        let view = self.of(EventKind::Alloc, alloc.time)?;
        if !self.state.ledger.counts(alloc) {
            return None;
        }
        let allocated = self.allocated(&self.state.ledger.origin_of(alloc))?;
        Some(EventView { object: Some(alloc.ptr), allocated, ..view })
    }

    fn free(&self, free: Free) -> Option<EventView<'_>> {
        let view = self.of_reading(EventKind::Free, free.ptr)?;
        if !self.state.ledger.follows(free.ptr) {
            return None;
        }
        match self.state.ledger.object(free.ptr) {
            Some(held) => self.of_held(view, held),
            // It may be of a cache that is not traced, or be told twice.
            None => {
                let cache = self.by_tag.get(&free.cache?).copied().flatten();
                let allocated = cache.map(|cache| Allocated::from_cache(cache, self.state.names()));
                let allocated = allocated.unwrap_or_default();
                self.state.shows_unknown_of(cache).then_some(EventView { allocated, ..view })
            }
        }
    }

    fn name<'a>(&'a self, name: Name<'a>) -> Option<EventView<'a>> {
        let view = self.of_reading(EventKind::Name, name.dentry)?;
        let view = EventView { directory: Some(name.parent), name: Some(name.name), ..view };
        self.of_object(view, name.dentry)
    }

    fn look<'a>(&'a self, object: Address, label: Label<'a>) -> Option<EventView<'a>> {
        let view = self.of_reading(EventKind::Look, object)?;
        let text = |text: &'a [u8]| Some(text).filter(|text| !text.is_empty());
        let is_negative = match label.kind {
            Some(Kind::Dentry { negative, .. }) => Some(negative),
            _ => None,
        };
        let view = EventView {
            directory: text(label.directory),
            name: Some(label.name),
            filesystem: text(label.filesystem),
            is_negative,
            ..view
        };
        self.of_object(view, object)
    }

    fn of_object<'a>(&'a self, view: EventView<'a>, object: Address) -> Option<EventView<'a>> {
        match self.state.ledger.object(object) {
            Some(held) => self.of_held(view, held),
            None => (self.state.ledger.follows(object) && self.state.shows_unknown_of(None)).then_some(view),
        }
    }

    fn of_held<'a>(&'a self, view: EventView<'a>, held: Held<'a>) -> Option<EventView<'a>> {
        let age = Duration::from_nanos(self.state.read_at.saturating_sub(held.object.time));
        Some(EventView { allocated: self.allocated(held.origin)?, age: Some(age), ..view })
    }

    /// None where it is not shown.
    fn allocated(&self, origin: &OriginKey) -> Option<Allocated<'_>> {
        self.state.shows(origin).then(|| Allocated::of(origin, self.state.names()))
    }
}
