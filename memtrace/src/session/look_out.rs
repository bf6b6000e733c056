//! Looks whether what a recording waits for holds.

use std::{path::PathBuf, sync::mpsc::Sender, time::Duration};

use super::{
    error::SessionError,
    record::BlockEnd,
    state::Session,
    until::{MAX_COPIES, Then, Until},
};
use crate::{
    condition::{Condition, Reading, Source, Watch},
    evidence::recording::{copy::Order, file::WriteError},
    kernel::events::Events,
    procfs::Files,
    text::{escape, time::rfc3339_seconds},
};

/// Between two readings. /proc/slabinfo is read less often.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Session {
    /// Looks whether what is waited for began to hold. True where the session is to end.
    pub fn look_out(&mut self, events: &mut Events) -> Result<bool, SessionError> {
        let Some(mut until) = self.until.take() else { return Ok(false) };
        let mut ends = false;
        for (condition, why) in self.begun(&mut until, events)? {
            ends |= self.met(&mut until, &condition, &why, events)?;
        }
        self.until = Some(until);
        Ok(ends)
    }

    /// The conditions that begin to hold now, and why.
    fn begun(
        &mut self,
        until: &mut Until,
        events: &mut Events,
    ) -> Result<Vec<(Condition, String)>, SessionError> {
        let needs = |source| until.watches.iter().any(|watch| watch.source() == source);
        let (needs_pressure, needs_events) = (needs(Source::Pressure), needs(Source::Events));
        if needs(Source::Slabinfo) {
            self.compare_if_due(events)?;
        }
        let is_new = self.slabinfo.readings() != until.slabinfo_readings;
        until.slabinfo_readings = self.slabinfo.readings();
        let files = Files::live();
        let meminfo = files.meminfo().ok();
        let memory_events = needs_events.then(|| files.memory_events());
        let reading = Reading {
            at: self.elapsed(),
            meminfo: meminfo.as_ref(),
            slabinfo: is_new.then(|| self.slabinfo.lines()),
            pressure: needs_pressure.then(|| files.pressure()).flatten(),
            events: memory_events.as_ref(),
            has_finding: self.has_finding,
        };
        let begins = |watch: &mut Watch| Some((watch.condition().clone(), watch.begins(&reading)?));
        Ok(until.watches.iter_mut().filter_map(begins).collect())
    }

    fn met(
        &mut self,
        until: &mut Until,
        condition: &Condition,
        why: &str,
        events: &mut Events,
    ) -> Result<bool, SessionError> {
        let marked = self.mark_as(condition.to_string().as_bytes(), events)?;
        let text = escape::terminal(condition.to_string().as_bytes()).into_owned();
        let Then::Keep(copies) = &mut until.then else {
            let note = format!("'{text}' held, and the session ended: {why}");
            // Nobody may listen any more.
            let _ = until.told.send(note.clone());
            self.state.notes.push(note);
            return Ok(true);
        };
        let held = format!("{} '{text}' holds: {why}", rfc3339_seconds(marked));
        let Some(path) = copies.take() else {
            let _ = until.told.send(format!("{held}; marked, but not kept: there are {MAX_COPIES} copies"));
            return Ok(false);
        };
        let order = order(path, copies.replace, held, until.told.clone());
        // What the mark is in has to be in the copy.
        let checkpoint = self.checkpoint(events, false)?;
        self.close_block(&checkpoint, BlockEnd::default());
        if let Some(sink) = &mut self.sink {
            sink.copy(order);
        }
        Ok(false)
    }
}

/// A copy, after which somebody is told.
fn order(path: PathBuf, replace: bool, held: String, told: Sender<String>) -> Order {
    let name = escape::path(&path).into_owned();
    let done = move |copied: Result<(), WriteError>| {
        let _ = told.send(match copied {
            Ok(()) => format!("{held}; kept in {name}"),
            Err(error) => format!("{held}; marked, but not kept: {error}"),
        });
    };
    Order { path, replace, done: Box::new(done) }
}
