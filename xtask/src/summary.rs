//! What ran, where, and how it went.

use std::fmt;
use std::iter::Sum;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl Counts {
    /// Reads the line that a test program ends with: `test result: ok. 12 passed; 0 failed; 1 ignored; ...`.
    pub fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
        let count = |what: &str| {
            counts.split(';').find_map(|count| count.trim().strip_suffix(what)?.trim().parse().ok())
        };
        Some(Self { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, counts| {
            sum += counts;
            sum
        })
    }
}

pub struct Row {
    what: &'static str,
    /// The kernel, where it matters.
    on: String,
    pub counts: Counts,
    /// What went wrong beside failed tests.
    pub notes: Vec<String>,
    took: Duration,
}

impl Row {
    pub fn new(what: &'static str, on: &str, counts: Counts, start: Instant) -> Self {
        Self { what, on: on.to_owned(), counts, notes: Vec::new(), took: start.elapsed() }
    }

    /// It could not be run, which is a failure.
    pub fn failure(what: &'static str, on: &str, error: &anyhow::Error, start: Instant) -> Self {
        let counts = Counts { failed: 1, ..Counts::default() };
        Self { notes: vec![format!("{error:#}")], ..Self::new(what, on, counts, start) }
    }

    /// It could not be run here, which is nobody's fault.
    pub fn skip(what: &'static str, on: &str, error: &anyhow::Error, start: Instant) -> Self {
        let counts = Counts { skipped: 1, ..Counts::default() };
        Self { counts, ..Self::failure(what, on, error, start) }
    }
}

#[derive(Default)]
pub struct Summary(Vec<Row>);

impl Summary {
    pub fn add(&mut self, row: Row) {
        self.0.push(row);
    }

    pub fn failed(&self) -> bool {
        self.total().failed > 0
    }

    fn total(&self) -> Counts {
        self.0.iter().map(|row| row.counts).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|row| row.on.len()).max().unwrap_or(0).max("kernel".len());
        writeln!(
            f,
            "\n{:<14} {:<width$} {:>7} {:>7} {:>7} {:>6}",
            "what", "kernel", "passed", "failed", "skipped", "time"
        )?;
        for Row { what, on, counts, notes, took } in &self.0 {
            let Counts { passed, failed, skipped } = counts;
            let seconds = took.as_secs();
            writeln!(f, "{what:<14} {on:<width$} {passed:>7} {failed:>7} {skipped:>7} {seconds:>4} s")?;
            for note in notes {
                writeln!(f, "  {}", note.trim_end().replace('\n', "\n  "))?;
            }
        }
        let Counts { passed, failed, skipped } = self.total();
        writeln!(f, "\n{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.07s\r";
        assert_eq!(Counts::parse(line), Some(Counts { passed: 12, failed: 2, skipped: 1 }));
        for other in ["", "test result: ", "test result: ok.", "test a ... ok"] {
            assert_eq!(Counts::parse(other), None, "{other}");
        }
    }

    #[test]
    fn table_ends_with_the_total() {
        let start = Instant::now();
        let mut summary = Summary::default();
        summary.add(Row::new("unit tests", "", Counts { passed: 40, failed: 0, skipped: 1 }, start));
        let error = anyhow::anyhow!("no archive").context("cannot get a 6.1 kernel");
        summary.add(Row::skip("kernel tests", "6.1", &error, start));
        let expected = "
what           kernel  passed  failed skipped   time
unit tests                 40       0       1    0 s
kernel tests   6.1          0       0       1    0 s
  cannot get a 6.1 kernel: no archive

40 passed, 0 failed, 2 skipped
";
        assert_eq!(summary.to_string(), expected);
        assert!(!summary.failed());
        summary.add(Row::failure("kernel tests", "6.1", &error, start));
        assert!(summary.failed());
    }
}
