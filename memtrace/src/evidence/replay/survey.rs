//! What has to be known of a whole recording before a part of it can be found: where its marks are, and where its peak is.

use super::{
    state::{MAX_MARKS, State, shortened},
    window::When,
};
use crate::{
    evidence::{
        Step,
        recording::{Entry, Place, Reader, TooMuch, block::intact},
    },
    knowledge::incidents::Incidents,
    select::filter::Filter,
    stream::{event::TimeNs, ledger::OriginDetail},
    text::escape,
};

#[derive(Default)]
pub struct Survey {
    pub marks: Vec<(TimeNs, String)>,
    /// The block at whose end most bytes were outstanding.
    pub peak: usize,
}

impl Survey {
    /// Looks for what these times name, and for nothing else.
    pub fn needed(
        reader: &Reader,
        filter: &Filter,
        times: &[&When],
        progress: &mut dyn FnMut(Step),
    ) -> Result<Self, TooMuch> {
        let label = |when: &&When| match when {
            When::Mark(label) => Some(label.clone()),
            _ => None,
        };
        let labels: Vec<String> = times.iter().filter_map(label).collect();
        let has_peak = times.iter().any(|when| matches!(when, When::Peak));
        Ok(Self {
            marks: if labels.is_empty() { Vec::new() } else { marks(reader, &labels, progress)? },
            peak: if has_peak { peak(reader, filter, progress)? } else { 0 },
        })
    }
}

/// All marks up to where each of these labels was found.
fn marks(
    reader: &Reader,
    labels: &[String],
    progress: &mut dyn FnMut(Step),
) -> Result<Vec<(TimeNs, String)>, TooMuch> {
    let (places, mut marks) = (reader.places(), Vec::<(TimeNs, String)>::new());
    for (done, place) in places.iter().enumerate() {
        progress(Step { doing: "looking for marks", done, all: places.len() });
        let Some(plain) = intact(reader.plain(place))? else { continue };
        let Some(block) = intact(reader.block(&plain))? else { continue };
        let found = block.columns.entries().map_while(Result::ok).filter_map(|entry| match entry {
            Entry::Mark(time, label) => Some((time, escape::terminal(shortened(label)).into_owned())),
            _ => None,
        });
        marks.extend(found.take(MAX_MARKS - marks.len()));
        let is_found = |label: &String| marks.iter().any(|(_, known)| known == label);
        if labels.iter().all(is_found) {
            break;
        }
    }
    Ok(marks)
}

/// The block at whose end most bytes were outstanding of what the filter passes. It is replayed, as far as the figures that the
/// blocks store leave room for a higher peak.
fn peak(reader: &Reader, filter: &Filter, progress: &mut dyn FnMut(Step)) -> Result<usize, TooMuch> {
    let places = reader.places();
    let mut bounds = Bounds::of(reader);
    let mut state =
        State::new(&reader.header, filter.clone(), Incidents::built_in(), OriginDetail::default())
            .within(reader.limits);
    let (mut most, mut peak) = (0, 0);
    for (index, place) in places.iter().enumerate() {
        if bounds.exclude_more_than(most, index) {
            break;
        }
        progress(Step { doing: "looking for the peak", done: index, all: places.len() });
        let applied = apply(reader, place, &mut state)?;
        let bytes = state.outstanding().bytes;
        state.check()?;
        if applied != Applied::Whole || bytes > place.outstanding.bytes {
            // Frees are missing, or the figures are not what was recorded.
            bounds = Bounds(None);
        }
        if applied != Applied::Nothing && bytes > most {
            (most, peak) = (bytes, index);
        }
    }
    Ok(peak)
}

#[derive(PartialEq, Eq)]
enum Applied {
    Whole,
    Part,
    Nothing,
}

/// Applies a block, as far as it can be read.
fn apply(reader: &Reader, place: &Place, state: &mut State) -> Result<Applied, TooMuch> {
    let Some(plain) = intact(reader.plain(place))? else { return Ok(Applied::Nothing) };
    let Some(block) = intact(reader.block(&plain))? else { return Ok(Applied::Nothing) };
    state.define(block.definitions);
    for entry in block.columns.entries() {
        let Ok(entry) = entry else { return Ok(Applied::Part) };
        state.apply(&entry);
    }
    Ok(Applied::Whole)
}

/// Of each block, the most bytes that were outstanding at its end or at a later one's, of all that was traced; None where that
/// is not known. They count memtrace's own memory too, which no report shows, and take no filter, so they are upper bounds.
struct Bounds(Option<Vec<u64>>);

impl Bounds {
    fn of(reader: &Reader) -> Self {
        let places = reader.places();
        // What is replayed is less than what was outstanding only if nothing is missing before it.
        let is_whole = reader.is_finished && places[0].sequence == 0 && reader.gaps().is_empty();
        let has_bytes = |place: &Place| place.outstanding.objects == 0 || place.outstanding.bytes > 0;
        let is_stored =
            places.iter().all(has_bytes) && places.iter().any(|place| place.outstanding.bytes > 0);
        if !is_whole || !is_stored {
            return Self(None);
        }
        let mut bounds: Vec<u64> = places.iter().map(|place| place.outstanding.bytes).collect();
        for index in (1..bounds.len()).rev() {
            bounds[index - 1] = bounds[index - 1].max(bounds[index]);
        }
        Self(Some(bounds))
    }

    /// Whether no block from this one on can have more bytes.
    fn exclude_more_than(&self, bytes: u64, block: usize) -> bool {
        self.0.as_ref().is_some_and(|bounds| bounds[block] <= bytes)
    }
}
