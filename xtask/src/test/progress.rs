//! The parts of a run: which one runs, how long it took last time, and how long it took now.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::paths;

/// Seconds that each part took.
type Times = BTreeMap<String, u64>;

pub struct Progress {
    start: Instant,
    last: Times,
    took: Mutex<Vec<(String, Duration)>>,
}

/// A part that may run beside others.
pub struct Part<'a, T> {
    pub name: String,
    pub run: Box<dyn FnOnce() -> T + Send + 'a>,
}

impl Progress {
    pub fn new() -> Self {
        let last = fs::read(file()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { start: Instant::now(), last: last.unwrap_or_default(), took: Mutex::default() }
    }

    /// Runs a part, and says so before and after.
    pub fn part<T>(&self, name: &str, run: impl FnOnce() -> T) -> T {
        let last = self.last.get(name).map(|seconds| format!(", took {seconds} s last time"));
        println!("[{}] {name}: starts{}", self.clock(), last.unwrap_or_default());
        let start = Instant::now();
        let result = run();
        let took = start.elapsed();
        println!("[{}] {name}: took {} s", self.clock(), took.as_secs());
        lock(&self.took).push((name.to_owned(), took));
        result
    }

    /// Runs parts, so many at a time: those first that took longest last time. Gives the results in the parts' order.
    pub fn side_by_side<T: Send>(&self, lanes: usize, parts: Vec<Part<'_, T>>) -> Vec<T> {
        let mut queue: Vec<_> = parts.into_iter().enumerate().collect();
        queue.sort_by_key(|(_, part)| {
            std::cmp::Reverse(self.last.get(&part.name).copied().unwrap_or(u64::MAX))
        });
        let queue = Mutex::new(VecDeque::from(queue));
        let results = Mutex::new(BTreeMap::new());
        thread::scope(|scope| {
            for _ in 0..lanes {
                scope.spawn(|| {
                    while let Some((at, part)) = { lock(&queue).pop_front() } {
                        let result = self.part(&part.name, part.run);
                        lock(&results).insert(at, result);
                    }
                });
            }
        });
        results.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }

    /// Keeps how long the parts took, for the next run.
    pub fn save(&self) -> Result<()> {
        let mut times = self.last.clone();
        times.extend(lock(&self.took).iter().map(|(name, took)| (name.clone(), took.as_secs())));
        Ok(fs::write(file(), serde_json::to_vec_pretty(&times)?)?)
    }

    /// A table of the parts.
    pub fn table(&self) -> String {
        let took = lock(&self.took);
        let width = took.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut text = format!("\n{:<width$} {:>8} {:>10}\n", "part", "time", "last time");
        for (name, took) in took.iter() {
            let last = self.last.get(name).map(|seconds| format!("{seconds} s"));
            let (took, last) = (took.as_secs(), last.unwrap_or_else(|| "-".to_owned()));
            writeln!(text, "{name:<width$} {took:>6} s {last:>10}").expect("a string takes all");
        }
        let all = self.start.elapsed().as_secs();
        writeln!(text, "{:<width$} {all:>6} s", "all").expect("a string takes all");
        text
    }

    /// Minutes and seconds since the start.
    fn clock(&self) -> String {
        let seconds = self.start.elapsed().as_secs();
        format!("{:02}:{:02}", seconds / 60, seconds % 60)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the times are kept: `cargo clean` removes them.
fn file() -> PathBuf {
    paths::target("test-times.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(last: &[(&str, u64)]) -> Progress {
        let last = last.iter().map(|&(name, seconds)| (name.to_owned(), seconds)).collect();
        Progress { start: Instant::now(), last, took: Mutex::default() }
    }

    #[test]
    fn the_longest_part_starts_first_and_results_keep_their_order() {
        let started = Mutex::new(Vec::new());
        let started = &started;
        let part = |name: &'static str| Part {
            name: name.to_owned(),
            run: Box::new(move || {
                lock(started).push(name);
                name
            }),
        };
        let progress = progress(&[("short", 1), ("long", 9)]);
        let results = progress.side_by_side(1, vec![part("short"), part("long"), part("new")]);
        assert_eq!(results, ["short", "long", "new"]);
        assert_eq!(*lock(started), ["new", "long", "short"]);
    }

    #[test]
    fn the_table_has_each_part_with_its_last_time() {
        let progress = progress(&[("unit tests", 61)]);
        progress.part("unit tests", || ());
        progress.part("lints", || ());
        let expected = "
part           time  last time
unit tests      0 s       61 s
lints           0 s          -
all             0 s
";
        assert_eq!(progress.table(), expected);
    }
}
