//! What was, moment by moment: a point of each for the bar, and of as many as there is room for all that is shown.

use std::{
    collections::{BTreeMap, VecDeque},
    mem::size_of,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    evidence::replay::window::When,
    text::escape,
    triage::sum::Sum,
    view::{AgeBucket, CacheTotals, Cohort, NameGroup, Row, Snapshot, series::Series},
};

/// Moments of a session that are remembered, and the memory that they may take.
const MAX_POINTS: usize = 600;
const MAX_BYTES: usize = 32 << 20;

/// All that is shown of a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    pub snapshot: Snapshot,
    /// All memory of the host. None where only the snapshot tells of it.
    pub memory: Option<Sum>,
}

/// A moment on the bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub time: SystemTime,
    /// Since the start.
    pub elapsed: Duration,
    /// Outstanding. None where nobody has looked yet.
    pub bytes: Option<u64>,
    /// What happened just before it is missing.
    pub is_after_gap: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The moment that it belongs to.
    pub moment: usize,
    pub label: Vec<u8>,
}

/// Moments have numbers, which stay when the first ones are forgotten.
#[derive(Debug)]
pub struct History {
    /// The number of the first point.
    first: usize,
    points: VecDeque<Point>,
    moments: BTreeMap<usize, Arc<Moment>>,
    bytes: usize,
    pub marks: Vec<Mark>,
    /// What a recording tells of all its time.
    pub series: Series,
    max_points: usize,
    max_bytes: usize,
    /// Whatever is not remembered can be asked for again.
    is_recording: bool,
}

impl History {
    /// Of a session: it forgets.
    pub fn live() -> Self {
        Self::bounded(MAX_POINTS, MAX_BYTES, false)
    }

    /// Of a recording: all its moments have points.
    pub fn recorded(points: Vec<Point>) -> Self {
        Self { points: points.into(), ..Self::bounded(usize::MAX, MAX_BYTES, true) }
    }

    fn bounded(max_points: usize, max_bytes: usize, is_recording: bool) -> Self {
        Self {
            first: 0,
            points: VecDeque::new(),
            moments: BTreeMap::new(),
            bytes: 0,
            marks: Vec::new(),
            series: Series::default(),
            max_points,
            max_bytes,
            is_recording,
        }
    }

    pub fn is_recording(&self) -> bool {
        self.is_recording
    }

    /// The next moment of a session.
    pub fn add(&mut self, moment: Moment) {
        self.points.push_back(Point::of(&moment.snapshot));
        self.put(self.last(), moment);
        while self.points.len() > self.max_points {
            self.points.pop_front();
            self.first += 1;
        }
        let first = self.first;
        while let Some(entry) = self.moments.first_entry().filter(|entry| *entry.key() < first) {
            self.bytes -= weight(&entry.remove());
        }
        self.marks.retain(|mark| mark.moment >= first);
    }

    /// More points, of a recording that grows.
    pub fn extend(&mut self, points: impl IntoIterator<Item = Point>) {
        self.points.extend(points);
    }

    /// What is known of a moment that has a point.
    pub fn put(&mut self, number: usize, moment: Moment) {
        self.bytes += weight(&moment);
        if let Some(before) = self.moments.insert(number, Arc::new(moment)) {
            self.bytes -= weight(&before);
        }
        self.make_room(number);
    }

    /// In a recording what is far goes first. In a session every second one of the older half goes, so that some of each
    /// minute stay.
    fn make_room(&mut self, near: usize) {
        while self.bytes > self.max_bytes && self.moments.len() > 2 {
            let gone: Vec<usize> = if self.is_recording {
                self.moments.keys().copied().max_by_key(|number| number.abs_diff(near)).into_iter().collect()
            } else {
                let half = self.moments.len().div_ceil(2);
                self.moments.keys().copied().take(half).skip(1).step_by(2).collect()
            };
            for number in gone {
                self.bytes -= self.moments.remove(&number).map_or(0, |moment| weight(&moment));
            }
        }
    }

    /// What is shown is looked at in another way: what was seen so far is not the same.
    pub fn forget_moments(&mut self) {
        self.moments.clear();
        self.bytes = 0;
    }

    /// What was outstanding at the first moments.
    pub fn set_bytes(&mut self, bytes: &[u64]) {
        for (point, &bytes) in self.points.iter_mut().zip(bytes) {
            point.bytes = Some(bytes);
        }
    }

    /// Each once.
    pub fn add_marks(&mut self, marks: Vec<Mark>) {
        self.marks.extend(marks);
        self.marks.sort_by(|a, b| (a.moment, &a.label).cmp(&(b.moment, &b.label)));
        self.marks.dedup();
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The number of the first moment.
    pub fn first(&self) -> usize {
        self.first
    }

    /// The first moment that can be shown.
    pub fn beginning(&self) -> usize {
        self.shown(self.first)
    }

    /// The number of the last moment.
    pub fn last(&self) -> usize {
        (self.first + self.points.len()).saturating_sub(1)
    }

    pub fn point(&self, number: usize) -> Option<&Point> {
        self.points.get(number.checked_sub(self.first)?)
    }

    pub fn points(&self) -> impl DoubleEndedIterator<Item = (usize, &Point)> + ExactSizeIterator {
        let first = self.first;
        self.points.iter().enumerate().map(move |(at, point)| (first + at, point))
    }

    pub fn moment(&self, number: usize) -> Option<&Arc<Moment>> {
        self.moments.get(&number)
    }

    pub fn latest(&self) -> Option<&Arc<Moment>> {
        self.moments.last_key_value().map(|(_, moment)| moment)
    }

    /// The next moment after this one that can be shown, or the next before it; this one where there is none.
    pub fn neighbour(&self, number: usize, is_forth: bool) -> usize {
        let found = match (self.is_recording, is_forth) {
            (true, true) => Some(number + 1).filter(|next| *next <= self.last()),
            (true, false) => number.checked_sub(1),
            (false, true) => self.moments.range(number + 1..).next().map(|(number, _)| *number),
            (false, false) => self.moments.range(..number).next_back().map(|(number, _)| *number),
        };
        found.unwrap_or(number)
    }

    /// The moment so long after (or before) another one, that can be shown; at least its neighbour.
    pub fn away(&self, number: usize, time: Duration, is_forth: bool) -> usize {
        let Some(from) = self.point(number) else { return number };
        let target =
            if is_forth { from.elapsed.saturating_add(time) } else { from.elapsed.saturating_sub(time) };
        let found = self.shown(self.until(target));
        let neighbour = self.neighbour(number, is_forth);
        if is_forth { found.max(neighbour) } else { found.min(neighbour) }
    }

    /// The last moment at or before a time; the first one where there is none.
    fn until(&self, elapsed: Duration) -> usize {
        self.first + self.points.partition_point(|point| point.elapsed <= elapsed).saturating_sub(1)
    }

    /// The nearest moment to one of the bar, that can be shown.
    pub fn near(&self, number: usize) -> usize {
        self.shown(number.clamp(self.first, self.last()))
    }

    /// The nearest moment at or before this one that can be shown, or behind it.
    fn shown(&self, number: usize) -> usize {
        if self.is_recording {
            return number;
        }
        let before = self.moments.range(..=number).next_back();
        before.or_else(|| self.moments.range(number..).next()).map_or(number, |(number, _)| *number)
    }

    /// The moment that these words name. An error is a sentence.
    pub fn find(&self, when: &When) -> Result<usize, String> {
        let (Some(start), Some(end)) = (self.points.front(), self.points.back()) else {
            return Err("nothing has been seen yet".to_owned());
        };
        let outside = "that time is outside of what is remembered".to_owned();
        let (from, to) = (start.elapsed, end.elapsed);
        let elapsed = match when {
            When::After(time) => *time,
            When::BeforeEnd(time) => to.checked_sub(*time).ok_or(outside.clone())?,
            When::At(time) => self.elapsed_at(*time).ok_or(outside.clone())?,
            When::Peak => return self.peak().ok_or_else(|| "nothing has been seen yet".to_owned()),
            When::Mark(label) => {
                let is_it = |mark: &&Mark| escape::terminal(&mark.label) == label.as_str();
                let mark = self.marks.iter().find(is_it);
                let unknown = || format!("no mark named '{}'", escape::terminal(label.as_bytes()));
                return mark.map(|mark| self.shown(mark.moment)).ok_or_else(unknown);
            }
        };
        // The first moment of a recording is the end of its first block.
        let is_before = elapsed < from && !self.is_recording;
        if elapsed > to || is_before { Err(outside) } else { Ok(self.shown(self.until(elapsed))) }
    }

    /// The time since the start, by the wall clock.
    fn elapsed_at(&self, time: SystemTime) -> Option<Duration> {
        let first = self.points.front()?;
        time.duration_since(first.time.checked_sub(first.elapsed)?).ok()
    }

    /// When most was outstanding, of the moments that can be shown.
    pub fn peak(&self) -> Option<usize> {
        let most = self.points().filter(|(_, point)| point.bytes.is_some());
        // The first of equals.
        most.rev().max_by_key(|(_, point)| point.bytes).map(|(number, _)| self.shown(number))
    }

    /// Bytes of one row over time, by what it is grouped by.
    pub fn line(&self, keys: &[Vec<u8>]) -> Vec<u64> {
        if self.is_recording {
            let name = keys.join(&b", "[..]);
            let line = self.series.rows.iter().find(|line| line.name == name);
            return line.map(|line| line.bytes.clone()).unwrap_or_default();
        }
        let bytes = |row: &Row| row.bytes;
        let of =
            |moment: &Arc<Moment>| moment.snapshot.rows.iter().find(|row| row.keys == keys).map_or(0, bytes);
        self.moments.values().map(of).collect()
    }

    /// Bytes of one slab cache over time.
    pub fn line_of_cache(&self, name: &str) -> Vec<u64> {
        if self.is_recording {
            let line = self.series.caches.iter().find(|line| line.name == name.as_bytes());
            return line.map(|line| line.bytes.clone()).unwrap_or_default();
        }
        let bytes = |cache: &CacheTotals| cache.outstanding_bytes;
        let of = |moment: &Arc<Moment>| {
            moment.snapshot.caches.iter().find(|cache| cache.name == name).map_or(0, bytes)
        };
        self.moments.values().map(of).collect()
    }
}

impl Point {
    fn of(snapshot: &Snapshot) -> Self {
        let bytes = snapshot.caches.iter().map(|cache| cache.outstanding_bytes);
        Self {
            time: snapshot.time,
            elapsed: snapshot.elapsed,
            bytes: Some(bytes.fold(0, u64::saturating_add)),
            is_after_gap: false,
        }
    }
}

/// Memory that it takes, about.
fn weight(moment: &Moment) -> usize {
    let snapshot = &moment.snapshot;
    let rows: usize = snapshot.rows.iter().map(weight_of_row).sum();
    let caches = snapshot.caches.iter().map(|cache| {
        let aliases = cache.aliases.iter().map(|alias| alias.len() + size_of::<String>());
        size_of::<CacheTotals>() + cache.name.len() + aliases.sum::<usize>()
    });
    let notes: usize = snapshot.notes.iter().map(|note| note.len() + size_of::<String>()).sum();
    let paths = snapshot.directories.iter().map(|directory| directory.path.len() + 128);
    size_of::<Moment>() + rows + caches.sum::<usize>() + notes + paths.sum::<usize>()
}

fn weight_of_row(row: &Row) -> usize {
    let keys: usize = row.keys.iter().map(|key| key.len() + size_of::<Vec<u8>>()).sum();
    let name = |group: &NameGroup| {
        let path = group.path.as_ref().map_or(0, Vec::len);
        size_of::<NameGroup>() + path + group.parent.len() + group.pattern.len() + group.example.len()
    };
    let comm = |comm: &Vec<u8>| comm.len() + size_of::<Vec<u8>>();
    let ancestors = row.started_by.iter().map(|chain| chain.comms.iter().map(comm).sum::<usize>() + 32);
    let cgroups = row.cgroups.iter().map(|cgroup| cgroup.path.as_ref().map_or(0, Vec::len) + 48);
    let frame = |frame: &String| frame.len() + size_of::<String>();
    let stacks = row.stacks.iter().map(|stack| stack.frames.iter().map(frame).sum::<usize>() + 32);
    let command =
        row.process.as_ref().map_or(0, |process| process.program.len() + process.command_line.len());
    let spans = row.ages.len() * size_of::<AgeBucket>() + row.cohorts.len() * size_of::<Cohort>();
    let names = row.names.iter().map(name);
    let caches = row.caches.iter().map(|cache| cache.name.len() + 48);
    let lists = names.chain(ancestors).chain(cgroups).chain(stacks).chain(caches);
    size_of::<Row>() + keys + command + spans + lists.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::{output::sample, top::fixture};

    #[test]
    fn a_session_remembers_so_many_moments() {
        let history = fixture::session(700);
        assert_eq!((history.first(), history.last(), history.points().len()), (100, 699, 600));
        assert!(history.moment(99).is_none() && history.bytes <= MAX_BYTES);
        assert_eq!(history.find(&When::After(Duration::from_secs(50))).ok(), None);
    }

    #[test]
    fn where_room_is_short_some_of_all_the_time_stay() {
        let mut history = History::bounded(600, 1 << 20, false);
        let crowd = |second| {
            let elapsed = Duration::from_secs(second);
            Moment { snapshot: Snapshot { elapsed, ..sample::crowd() }, memory: None }
        };
        (1..=600).for_each(|second| history.add(crowd(second)));
        assert!(history.bytes <= 1 << 20);
        assert_eq!(history.bytes, history.moments.values().map(|moment| weight(moment)).sum::<usize>());
        assert!(history.moments.len() > 10, "{}", history.moments.len());
        assert!(history.moment(599).is_some() && history.beginning() < 10, "the first ones and the last one");
        // A step goes to what is there.
        let back = history.neighbour(599, false);
        assert!(back < 599 && history.moment(back).is_some());
        assert_eq!(history.neighbour(back, true), 599);
        assert!(history.away(599, Duration::from_secs(60), false) <= 539);
    }

    #[test]
    fn of_a_recording_what_is_near_stays() {
        let mut history = History { max_bytes: 200_000, ..fixture::recording(300) };
        (0..300).for_each(|number| history.put(number, fixture::moment(number as u64)));
        assert!(history.bytes <= 200_000);
        assert!(
            history.moment(299).is_some() && history.moment(298).is_some() && history.moment(3).is_none()
        );
    }

    #[test]
    fn times_are_found_as_in_a_report() {
        let history = fixture::recording(50);
        let find = |when| history.find(&when).ok();
        let seconds = Duration::from_secs;
        assert_eq!(find(When::After(seconds(10))), Some(9));
        assert_eq!(find(When::After(Duration::from_millis(10_900))), Some(9));
        assert_eq!(find(When::BeforeEnd(seconds(10))), Some(39));
        assert_eq!(find(When::At(UNIX_EPOCH + seconds(1_764_000_010))), Some(9));
        assert_eq!(find(When::Peak), Some(49));
        assert_eq!(find(When::After(seconds(51))), None);
        assert_eq!(find(When::Mark("x".to_owned())), None);
    }
}
