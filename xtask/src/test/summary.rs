//! What ran, where, and how it went.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::time::Duration;

use super::counts::Counts;
use super::transcript::{Failure, Timed, Transcript};

/// What one part ran.
pub struct Row {
    what: &'static str,
    /// The kernel, where it matters.
    on: String,
    pub counts: Counts,
    /// What went wrong beside failed tests.
    pub notes: Vec<String>,
    pub took: Duration,
    tests: Vec<Timed>,
    failures: Vec<Failure>,
    left_out: Vec<String>,
}

impl Row {
    pub fn new(what: &'static str, on: &str) -> Self {
        Self {
            what,
            on: on.to_owned(),
            counts: Counts::default(),
            notes: Vec::new(),
            took: Duration::ZERO,
            tests: Vec::new(),
            failures: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Takes in what a program printed. A problem is a failure of its own, unless a failed test explains it.
    pub fn add(&mut self, transcript: Transcript, problem: Option<String>) {
        self.counts += transcript.counts;
        match problem {
            Some(problem) if transcript.counts.failed == 0 => self.fail(problem),
            None if !transcript.has_result => self.fail(format!("{} printed no result", transcript.label)),
            _ => {}
        }
        self.tests.extend(transcript.tests);
        self.failures.extend(transcript.failures);
        self.left_out.extend(transcript.left_out);
    }

    pub fn pass(&mut self) {
        self.counts.passed += 1;
    }

    /// Counts a failure that no test program counted.
    pub fn fail(&mut self, note: String) {
        self.counts.failed += 1;
        self.notes.push(note);
    }

    /// Where it ran, or what it is where that does not matter.
    fn place(&self) -> &str {
        if self.on.is_empty() { self.what } else { &self.on }
    }

    /// It cannot be run here.
    pub fn skip(&mut self, note: String) {
        self.counts.skipped += 1;
        self.notes.push(note);
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

    /// Tests that each of the machines left to another one.
    pub fn ran_nowhere(&self) -> BTreeSet<&str> {
        let ran: HashSet<_> =
            self.0.iter().flat_map(|row| &row.tests).map(|test| test.name.as_str()).collect();
        let left_out = self.0.iter().flat_map(|row| &row.left_out).map(String::as_str);
        left_out.filter(|name| !ran.contains(name)).collect()
    }

    /// A table of the tests that took longest.
    pub fn slowest(&self) -> String {
        let rows = self.0.iter();
        let mut tests: Vec<_> = rows.flat_map(|row| row.tests.iter().map(move |test| (test, row))).collect();
        tests.sort_by_key(|(test, _)| Reverse(test.took));
        let mut text = String::from("\nslowest tests\n");
        for (Timed { name, took }, row) in tests.iter().take(SLOWEST) {
            text.push_str(&format!("{:>8.1} s  {name}, {}\n", took.as_secs_f64(), row.place()));
        }
        text
    }

    /// The tests that failed, each with what it said first: whoever has only the end of a long log starts here.
    pub fn failures(&self) -> String {
        let failures =
            self.0.iter().flat_map(|row| row.failures.iter().map(move |failure| (failure, row.place())));
        let text: String = failures
            .map(|(Failure { name, said }, place)| {
                format!("  {name}, {place}\n    {}\n", said.join("\n    "))
            })
            .collect();
        if text.is_empty() { text } else { format!("\nfailed tests\n{text}") }
    }

    fn total(&self) -> Counts {
        self.0.iter().map(|row| row.counts).sum()
    }
}

/// How many of the slowest tests are shown.
const SLOWEST: usize = 20;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|row| row.on.len()).max().unwrap_or(0).max("kernel".len());
        writeln!(
            f,
            "\n{:<14} {:<width$} {:>7} {:>7} {:>7} {:>6}",
            "what", "kernel", "passed", "failed", "skipped", "time"
        )?;
        for Row { what, on, counts, notes, took, .. } in &self.0 {
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

    fn row(on: &str, output: &str, problem: Option<&str>) -> Row {
        let mut transcript = Transcript::new("x");
        output.lines().for_each(|line| transcript.line(line));
        let mut row = Row::new("kernel tests", on);
        row.add(transcript, problem.map(str::to_owned));
        row
    }

    #[test]
    fn table_ends_with_the_total() {
        let mut summary = Summary::default();
        let mut unit = Row::new("unit tests", "");
        unit.counts = Counts { passed: 40, failed: 0, skipped: 1 };
        summary.add(unit);
        let mut skipped = Row::new("kernel tests", "6.1");
        skipped.skip("cannot get a 6.1 kernel: no archive".to_owned());
        summary.add(skipped);
        let expected = "
what           kernel  passed  failed skipped   time
unit tests                 40       0       1    0 s
kernel tests   6.1          0       0       1    0 s
  cannot get a 6.1 kernel: no archive

40 passed, 0 failed, 2 skipped
";
        assert_eq!(summary.to_string(), expected);
        assert!(!summary.failed());
        summary.add(row("6.1", "", None));
        assert!(summary.failed());
    }

    #[test]
    fn a_program_that_ended_badly_failed() {
        let fine = "test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured";
        let failed = "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured";
        let failures = |output, problem| row("6.1", output, problem).counts.failed;
        assert_eq!(failures(fine, None), 0);
        assert_eq!(failures(failed, Some("exit 101")), 2);
        assert_eq!(failures(fine, Some("signal 11")), 1);
        assert_eq!(failures("", None), 1);
        assert_eq!(failures("", Some("exit 1")), 1);
    }

    #[test]
    fn a_test_that_every_machine_left_out_ran_nowhere() {
        let mut summary = Summary::default();
        summary.add(row("a", "left to another machine: one\nleft to another machine: two\n", None));
        summary.add(row("b", "test one ... ok\ntest two ... ignored\n", None));
        assert_eq!(summary.ran_nowhere(), ["two"].into());
    }

    #[test]
    fn failed_tests_are_named_with_what_they_said() {
        let mut summary = Summary::default();
        summary.add(row("6.1", "test one ...\n3 of 4\nFAILED\ntest two ... ok\n", None));
        assert_eq!(summary.failures(), "\nfailed tests\n  one, 6.1\n    3 of 4\n");
        assert_eq!(Summary::default().failures(), "");
    }

    #[test]
    fn the_slowest_test_comes_first() {
        let mut summary = Summary::default();
        summary.add(row("6.1", "test one ... ok <0.250s>\ntest two ... ok <2.000s>\n", None));
        let expected = "\nslowest tests\n     2.0 s  two, 6.1\n     0.2 s  one, 6.1\n";
        assert_eq!(summary.slowest(), expected);
    }
}
