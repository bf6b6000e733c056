//! Makes the reports of a recorded session again: what happened goes to a ledger as it did when it was recorded, and at each
//! recorded moment there is a report.

pub mod events;
pub mod follow;
mod gather;
pub mod key_series;
pub mod player;
pub mod state;
mod survey;
pub mod window;
pub mod when;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use self::{
    gather::Gatherer,
    state::State,
    survey::Survey,
    window::{Times, When, Window, WindowError, wall},
};
use crate::{
    evidence::{
        Step,
        recording::{Place, Reader, TooMuch, block::intact, footer::BlockFooter},
    },
    knowledge::incidents::Incidents,
    select::filter::Filter,
    stream::ledger::OriginDetail,
    text::time::rfc3339_millis,
    view::{
        Census, Checkpoint, Snapshot,
        build::{Builder, ReportOptions},
        profile::Profile,
        series::Series,
    },
};

/// Places where events are missing that are noted one by one.
const MAX_MISSING: usize = 100;

/// What came of a window.
pub struct Report {
    pub snapshot: Snapshot,
    pub series: Series,
    pub state: State,
    /// How things stood at the window's end.
    pub checkpoint: Checkpoint,
    /// The window, by the wall clock.
    pub from: SystemTime,
    pub to: SystemTime,
}

impl Report {
    /// What led to the allocations.
    pub fn profile(&self, older: Option<Duration>) -> Profile {
        let ledger = &self.state.ledger;
        self.state.with_lookups(|lookups| Profile::new(ledger, &self.checkpoint, lookups, older))
    }
}

/// How to look at a recording.
#[derive(Clone)]
pub struct Query {
    pub report_options: ReportOptions,
    pub filter: Filter,
    pub incidents: Incidents,
    pub from: Option<When>,
    pub to: Option<When>,
    /// Places in the kernel are told apart, though rows are not by them: a profile shows them.
    pub call_sites: bool,
    /// Likewise NUMA nodes of objects.
    pub nodes: bool,
}

/// The blocks between two times. What most is outstanding of is what the filter passes.
pub fn window(
    reader: &Reader,
    filter: &Filter,
    from: Option<&When>,
    to: Option<&When>,
    progress: &mut dyn FnMut(Step),
) -> Result<Window, WindowError> {
    let times: Vec<&When> = from.into_iter().chain(to).collect();
    let survey = Survey::needed(reader, filter, &times, progress)?;
    let times =
        Times { header: &reader.header, places: reader.places(), marks: &survey.marks, peak: survey.peak };
    times.window(from, to)
}

/// Makes the report of a window.
pub fn report(reader: &Reader, ask: &Query, progress: &mut dyn FnMut(Step)) -> Result<Report, WindowError> {
    let window = window(reader, &ask.filter, ask.from.as_ref(), ask.to.as_ref(), progress)?;
    let mut replay = Replay::start(reader, ask, window)?;
    let places = &reader.places()[window.first..window.end];
    for (done, place) in places.iter().enumerate() {
        progress(Step { doing: "reading", done, all: places.len() });
        let is_last = done + 1 == places.len();
        replay.read(reader, place, is_last)?;
    }
    Ok(replay.finish(reader, window))
}

/// How things stood where the window begins, or as near before it as can be read; None at the very beginning.
fn base(reader: &Reader, window: Window) -> Result<Option<BlockFooter>, TooMuch> {
    for place in reader.places()[..window.first].iter().rev() {
        let Some(plain) = intact(reader.plain(place))? else { continue };
        if let Some(block) = intact(reader.block(&plain))? {
            return Ok(Some(block.footer));
        }
    }
    Ok(None)
}

/// Makes the last moment that there is the end. Before a session's own end events are still on their way: what the probes sent
/// and no block has is not missing, as what was lost is. Rates are over all of the window then, as far as that is known.
fn end(checkpoint: &mut Checkpoint) {
    if checkpoint.is_final {
        return;
    }
    checkpoint.is_final = true;
    let trust = &mut checkpoint.trust;
    trust.emitted = trust.accounted();
    let seconds = checkpoint.elapsed.as_secs_f64();
    for (name, slabinfo) in &mut checkpoint.slabinfo {
        let growth = checkpoint.growth.get(name).filter(|_| seconds > 0.0);
        slabinfo.objects_per_s = growth.map(|growth| growth.slabinfo as f64 / seconds);
    }
}

/// A window that is being read.
#[derive(Clone)]
struct Replay {
    state: State,
    builder: Builder,
    base: Option<BlockFooter>,
    /// Some blocks have it.
    census: Option<Arc<Census>>,
    series: Gatherer,
    last: Option<(Checkpoint, Snapshot)>,
    damaged: Vec<Place>,
}

impl Replay {
    fn start(reader: &Reader, ask: &Query, window: Window) -> Result<Self, TooMuch> {
        let by = ask.report_options.by.detail();
        let apart =
            OriginDetail { call_sites: ask.call_sites || by.call_sites, nodes: ask.nodes || by.nodes, ..by };
        let state = State::new(&reader.header, ask.filter.clone(), ask.incidents.clone(), apart);
        Ok(Self {
            state: state.within(reader.limits),
            builder: Builder::new(ask.report_options.clone()),
            base: base(reader, window)?,
            census: None,
            series: Gatherer::default(),
            last: None,
            damaged: Vec::new(),
        })
    }

    /// The report at the block's end, if there is one.
    fn read(
        &mut self,
        reader: &Reader,
        place: &Place,
        is_last: bool,
    ) -> Result<Option<&(Checkpoint, Snapshot)>, TooMuch> {
        let footer = self.apply(reader, place)?;
        let is_report = footer.is_some_and(|footer| self.close(&footer, is_last));
        self.state.check()?;
        Ok(self.last.as_ref().filter(|_| is_report))
    }

    /// Applies a block's entries. How things stood at its end; None where that cannot be read.
    fn apply(&mut self, reader: &Reader, place: &Place) -> Result<Option<BlockFooter>, TooMuch> {
        let plain = intact(reader.plain(place))?;
        let Some(block) = plain.as_deref().map(|plain| intact(reader.block(plain))).transpose()?.flatten()
        else {
            self.damaged.push(*place);
            return Ok(None);
        };
        // The session followed frees for a while after its end: this block has these, and nothing else.
        if block.footer.checkpoint.settled.is_some() && place.start == place.end {
            self.state.note_end();
        }
        self.state.define(block.definitions);
        for entry in block.columns.entries() {
            match entry {
                Ok(entry) => self.state.apply(&entry),
                Err(_) => self.damaged.push(*place),
            }
        }
        self.state.check()?;
        if let Some(census) = &block.footer.checkpoint.census {
            self.census = Some(Arc::clone(census));
        }
        Ok(Some(block.footer))
    }

    /// The moment at a block's end.
    fn moment(&self, footer: &BlockFooter, is_last: bool) -> Checkpoint {
        let mut checkpoint = match &self.base {
            Some(base) => self.own(window::since(base, &footer.checkpoint)),
            None => footer.checkpoint.clone(),
        };
        checkpoint.census.clone_from(&self.census);
        // Whoever made the file may have made up its times.
        let before = self.last.as_ref().map(|(checkpoint, _)| (checkpoint.elapsed, checkpoint.now));
        let (elapsed, now) = before.unwrap_or_default();
        checkpoint.elapsed = checkpoint.elapsed.max(elapsed);
        checkpoint.now = checkpoint.now.max(now);
        if is_last {
            end(&mut checkpoint);
        }
        checkpoint
    }

    /// Whether there is a report.
    fn close(&mut self, footer: &BlockFooter, is_last: bool) -> bool {
        let is_report = footer.is_report || is_last;
        if is_report {
            let checkpoint = self.moment(footer, is_last);
            let snapshot = self.state.snapshot(&mut self.builder, &checkpoint);
            self.series.add(&checkpoint, &snapshot);
            self.last = Some((checkpoint, snapshot));
        }
        self.state.close(footer);
        is_report
    }

    /// A moment with what the ledger counted itself, since it did not see all.
    fn own(&self, mut checkpoint: Checkpoint) -> Checkpoint {
        let tally = self.state.ledger.tally();
        let trust = &mut checkpoint.trust;
        trust.applied = tally.total();
        trust.emitted = trust.accounted();
        trust.unknown_frees = tally.unknown_frees;
        trust.reused_pointers = tally.reused_pointers;
        if let Some(verified) = &mut trust.verified {
            verified.refuted = tally.refuted;
        }
        trust.refused = tally.refused;
        checkpoint
    }

    fn finish(mut self, reader: &Reader, window: Window) -> Report {
        let places = &reader.places()[window.first..window.end];
        let (mut checkpoint, mut snapshot) = self.last.take().unwrap_or_else(|| {
            // Of its blocks none could be read.
            let checkpoint = Checkpoint { is_final: true, ..Checkpoint::default() };
            let snapshot = self.state.snapshot(&mut self.builder, &checkpoint);
            (checkpoint, snapshot)
        });
        // The last block may be damaged.
        if !snapshot.is_final {
            end(&mut checkpoint);
            snapshot = self.state.snapshot(&mut self.builder, &checkpoint);
        }
        snapshot.notes.extend(self.notes(reader, window));
        let marks = std::mem::take(&mut self.state.marks);
        Report {
            series: self.series.finish(marks, places[0].start),
            snapshot,
            checkpoint,
            from: wall(&reader.header, places[0].start),
            to: wall(&reader.header, places[places.len() - 1].end),
            state: self.state,
        }
    }

    /// What is missing.
    fn notes(&self, reader: &Reader, window: Window) -> Vec<String> {
        let places = &reader.places()[window.first..window.end];
        let (from, to) = (places[0].start, places[places.len() - 1].end);
        let time = |time| rfc3339_millis(wall(&reader.header, time));
        let missing =
            |from, to, why: &str| format!("events from {} to {} are missing: {why}", time(from), time(to));
        let gaps = reader.gaps().iter().filter(|gap| gap.from >= from && gap.to <= to);
        let mut notes: Vec<String> =
            gaps.map(|gap| missing(gap.from, gap.to, "the file does not have them")).collect();
        notes.extend(
            self.damaged.iter().map(|place| missing(place.start, place.end, "the file is damaged there")),
        );
        let more = notes.len().saturating_sub(MAX_MISSING);
        notes.truncate(MAX_MISSING);
        if more > 0 {
            notes.push(format!("events are missing at {more} more places"));
        }
        let first = reader.places()[0];
        if window.first == 0 && first.sequence > 0 {
            let why = if reader.header.ring.is_some() {
                "the ring keeps only the end"
            } else {
                "the file is damaged"
            };
            notes.push(format!("events before {} are missing: {why}", time(first.start)));
        }
        if !reader.is_finished && window.end == reader.places().len() {
            let last = time(to);
            notes.push(format!("the recording was not closed cleanly; events after {last} are missing"));
        }
        notes.extend(self.state.unmatched());
        if reader.is_mended {
            notes.push("the file's header is damaged; its copy was read instead".to_owned());
        }
        notes
    }
}

#[cfg(test)]
mod tests;
