//! How rows and caches moved, report by report.

use std::{collections::HashMap, time::Duration};

use crate::{
    stream::event::TimeNs,
    view::{
        Checkpoint, Snapshot,
        series::{Line, Mark, Point, Series},
    },
};

/// Lines of a series at most, of caches and of rows, and how many of the biggest are looked at each time.
const MAX_LINES: usize = 60;
const BIGGEST: usize = 20;
/// Points of a series at most: when there are more, every second one goes.
const MAX_POINTS: usize = 2_000;

/// Gathers a series, bounded in points and lines.
#[derive(Clone, Default)]
pub struct Gatherer {
    points: Vec<Point>,
    /// One report in so many is a point.
    every: usize,
    seen: usize,
    caches: Lines,
    rows: Lines,
}

#[derive(Clone, Default)]
struct Lines(HashMap<Vec<u8>, Held>);

/// Objects and bytes at each point.
type Held = Vec<(u64, u64)>;

impl Gatherer {
    pub fn add(&mut self, checkpoint: &Checkpoint, snapshot: &Snapshot) {
        self.every = self.every.max(1);
        self.seen += 1;
        let is_point = (self.seen - 1).is_multiple_of(self.every) || checkpoint.is_final;
        if !is_point {
            return;
        }
        let before = self.points.len();
        self.points.push(Point {
            time: checkpoint.time,
            elapsed: checkpoint.elapsed,
            slab: checkpoint.meminfo.map(|meminfo| meminfo.slab),
            available: checkpoint.meminfo.and_then(|meminfo| meminfo.available),
        });
        let caches = snapshot.caches.iter().map(|cache| {
            (cache.name.clone().into_bytes(), cache.outstanding_objects, cache.outstanding_bytes)
        });
        self.caches.add(before, caches);
        let rows = snapshot.rows.iter().map(|row| (row.keys.join(&b", "[..]), row.objects, row.bytes));
        self.rows.add(before, rows);
        if self.points.len() > MAX_POINTS {
            halve(&mut self.points);
            self.caches.halve();
            self.rows.halve();
            self.every *= 2;
        }
    }

    /// Marks tell how long after `from` they are.
    pub fn finish(self, marks: Vec<(TimeNs, Vec<u8>)>, from: TimeNs) -> Series {
        let marks = marks
            .into_iter()
            .map(|(time, label)| Mark { elapsed: Duration::from_nanos(time.saturating_sub(from)), label });
        let points = self.points.len();
        Series {
            caches: self.caches.finish(points),
            rows: self.rows.finish(points),
            marks: marks.collect(),
            points: self.points,
        }
    }
}

impl Lines {
    /// Another point, behind so many. What was small so far begins with nothing.
    fn add(&mut self, before: usize, all: impl Iterator<Item = (Vec<u8>, u64, u64)>) {
        for (rank, (name, objects, bytes)) in all.enumerate() {
            let is_known = self.0.contains_key(&name);
            if is_known || (rank < BIGGEST && self.0.len() < MAX_LINES) {
                let line = self.0.entry(name).or_default();
                line.resize(before, (0, 0));
                line.push((objects, bytes));
            }
        }
        for line in self.0.values_mut() {
            line.resize(before + 1, (0, 0));
        }
    }

    fn halve(&mut self) {
        self.0.values_mut().for_each(halve);
    }

    /// The biggest first, at their peaks.
    fn finish(self, points: usize) -> Vec<Line> {
        let mut lines: Vec<(Vec<u8>, Held)> = self.0.into_iter().collect();
        lines.retain(|(_, line)| line.len() == points && line.iter().any(|(objects, _)| *objects > 0));
        let peak = |line: &[(u64, u64)]| line.iter().map(|(_, bytes)| *bytes).max();
        lines.sort_by(|(a, one), (b, other)| peak(other).cmp(&peak(one)).then_with(|| a.cmp(b)));
        let line = |(name, line): (Vec<u8>, Held)| {
            let (objects, bytes) = line.into_iter().unzip();
            Line { name, objects, bytes }
        };
        lines.into_iter().take(BIGGEST).map(line).collect()
    }
}

/// Every second one goes.
pub(super) fn halve<T>(points: &mut Vec<T>) {
    let mut index = 0;
    points.retain(|_| {
        index += 1;
        index % 2 == 1
    });
}
