//! What was outstanding over time, by key, report by report of a recording.
//!
//! It is read twice: which keys are the biggest is known at its end. So what is remembered does not grow with the keys that there were.

use std::collections::HashMap;

use super::{
    Query, Replay, Step,
    window::{Window, WindowError},
};
use crate::{
    evidence::recording::Reader,
    view::{
        Checkpoint, Rest, Row, Snapshot,
        build::ReportOptions,
        key_series::{Held, KeySeries, Line, Moment},
    },
};

/// Keys by themselves at most.
pub const MAX_KEYS: usize = 10_000;

/// Keys whose peaks are remembered. Those that go hold less than all that stay, of which there are more than [`MAX_KEYS`].
const MAX_PEAKS: usize = 4 * MAX_KEYS;

/// Figures that are kept: where there would be more, every second moment goes.
const MAX_FIGURES: usize = 4 << 20;

type Key = Vec<Vec<u8>>;

/// Of so many keys, or less.
pub fn key_series(
    reader: &Reader,
    ask: &Query,
    keys: usize,
    progress: &mut dyn FnMut(Step),
) -> Result<KeySeries, WindowError> {
    let report_options = ReportOptions { top: usize::MAX, ..ask.report_options.clone() };
    let ask = &Query { report_options, ..ask.clone() };
    let window = super::window(reader, &ask.filter, ask.from.as_ref(), ask.to.as_ref(), progress)?;
    let mut peaks = Peaks::default();
    each_report(reader, ask, window, "looking for the biggest", progress, &mut |_, snapshot| {
        snapshot.rows.iter().for_each(|row| peaks.add(row));
    })?;
    reader.start_anew();
    let mut gathered = Gathered::new(peaks.biggest(keys.min(MAX_KEYS)), MAX_FIGURES);
    let replay = each_report(reader, ask, window, "reading", progress, &mut |checkpoint, snapshot| {
        gathered.add(checkpoint, snapshot);
    })?;
    let Snapshot { host, kernel, by, older, notes, .. } = replay.finish(reader, window).snapshot;
    let Gathered { moments, lines, others, .. } = gathered;
    Ok(KeySeries { host, kernel, by, older, moments, lines, others, notes })
}

/// Reads a window, and looks at each of its reports.
fn each_report(
    reader: &Reader,
    ask: &Query,
    window: Window,
    doing: &'static str,
    progress: &mut dyn FnMut(Step),
    look: &mut dyn FnMut(&Checkpoint, &Snapshot),
) -> Result<Replay, WindowError> {
    let mut replay = Replay::start(reader, ask, window)?;
    let places = &reader.places()[window.first..window.end];
    for (done, place) in places.iter().enumerate() {
        progress(Step { doing, done, all: places.len() });
        let is_last = done + 1 == places.len();
        if let Some((checkpoint, snapshot)) = replay.read(reader, place, is_last)? {
            look(checkpoint, snapshot);
        }
    }
    Ok(replay)
}

/// The most that each key held.
#[derive(Default)]
pub(super) struct Peaks(HashMap<Key, Held>);

impl Peaks {
    pub(super) fn add(&mut self, row: &Row) {
        let peak = self.0.entry(row.keys.clone()).or_default();
        let held = Held { objects: row.objects, bytes: row.bytes };
        *peak = if rank(&held) > rank(peak) { held } else { *peak };
        if self.0.len() > MAX_PEAKS {
            let kept = std::mem::take(self).biggest(MAX_PEAKS / 2);
            self.0.extend(kept);
        }
    }

    /// The biggest first.
    pub(super) fn biggest(self, keys: usize) -> Vec<(Key, Held)> {
        let mut all: Vec<(Key, Held)> = self.0.into_iter().filter(|(_, peak)| peak.objects > 0).collect();
        all.sort_by(|(a, one), (b, other)| rank(other).cmp(&rank(one)).then_with(|| a.cmp(b)));
        all.truncate(keys);
        all
    }
}

fn rank(held: &Held) -> (u64, u64) {
    (held.bytes, held.objects)
}

pub(super) struct Gathered {
    pub(super) moments: Vec<Moment>,
    /// Where each key's line is.
    at: HashMap<Key, usize>,
    pub(super) lines: Vec<Line>,
    pub(super) others: Vec<Rest>,
    /// One report in so many is a moment.
    every: usize,
    seen: usize,
    most_moments: usize,
}

impl Gathered {
    pub(super) fn new(keys: Vec<(Key, Held)>, most_figures: usize) -> Self {
        Self {
            moments: Vec::new(),
            at: keys.iter().enumerate().map(|(at, (keys, _))| (keys.clone(), at)).collect(),
            most_moments: (most_figures / (keys.len() + 1)).max(2),
            lines: keys.into_iter().map(|(keys, _)| Line { keys, held: Vec::new() }).collect(),
            others: Vec::new(),
            every: 1,
            seen: 0,
        }
    }

    pub(super) fn add(&mut self, checkpoint: &Checkpoint, snapshot: &Snapshot) {
        self.seen += 1;
        if !(self.seen - 1).is_multiple_of(self.every) && !checkpoint.is_final {
            return;
        }
        let Checkpoint { time, elapsed, sampling, meminfo, .. } = *checkpoint;
        self.moments.push(Moment { time, elapsed, sampling, meminfo });
        self.lines.iter_mut().for_each(|line| line.held.push(Held::default()));
        let mut others = Rest::default();
        for row in &snapshot.rows {
            let held = self.at.get(&row.keys).and_then(|at| self.lines[*at].held.last_mut());
            match held {
                Some(held) => {
                    held.objects = held.objects.saturating_add(row.objects);
                    held.bytes = held.bytes.saturating_add(row.bytes);
                }
                None => {
                    others.rows += 1;
                    others.objects = others.objects.saturating_add(row.objects);
                    others.bytes = others.bytes.saturating_add(row.bytes);
                }
            }
        }
        self.others.push(others);
        if self.moments.len() > self.most_moments {
            self.halve();
        }
    }

    /// Every second moment goes; the others stay what they are.
    fn halve(&mut self) {
        self.every *= 2;
        super::gather::halve(&mut self.moments);
        super::gather::halve(&mut self.others);
        self.lines.iter_mut().for_each(|line| super::gather::halve(&mut line.held));
    }
}
