//! What test programs print, read as it comes: how many tests passed, which ones ran, and how long each took.

use std::time::{Duration, Instant};

use super::counts::Counts;

/// A test that ran.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    pub name: String,
    pub took: Duration,
}

/// A test that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub name: String,
    /// What it printed, up to a backtrace: at most `MAX_SAID` lines.
    pub said: Vec<String>,
}

/// Enough for a message and what it compares.
const MAX_SAID: usize = 12;

/// Reads the output of a program of libtest or libtest-mimic, and prints each line behind a label.
pub struct Transcript {
    pub label: String,
    pub counts: Counts,
    /// It came to its end: it said how many tests passed.
    pub has_result: bool,
    pub tests: Vec<Timed>,
    pub failures: Vec<Failure>,
    /// Tests that the program has and does not run on this machine.
    pub left_out: Vec<String>,
    /// When the last test ended.
    since: Instant,
    /// A test that printed something of its own before its outcome.
    unfinished: Option<String>,
    /// What is being printed by a test: since it started, or where libtest repeats it at the end.
    said: Vec<String>,
    /// The failure that libtest repeats the output of.
    repeated: Option<usize>,
}

impl Transcript {
    pub fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            counts: Counts::default(),
            has_result: false,
            tests: Vec::new(),
            failures: Vec::new(),
            left_out: Vec::new(),
            since: Instant::now(),
            unfinished: None,
            said: Vec::new(),
            repeated: None,
        }
    }

    pub fn line(&mut self, line: &str) {
        if !line.is_empty() {
            println!("{}: {line}", self.label);
        }
        self.read(line, Instant::now());
    }

    fn read(&mut self, line: &str, now: Instant) {
        if let Some(name) = line.strip_prefix("left to another machine: ") {
            self.left_out.push(name.to_owned());
        } else if line.starts_with("running ") {
            self.since = now;
        } else if let Some(counts) = Counts::parse(line) {
            self.counts += counts;
            self.has_result = true;
            self.repeated = None;
        } else if let Some(name) = repeated_test(line) {
            self.repeated = self.failures.iter().position(|failure| failure.name == name);
        } else if let Some((name, rest)) = started_test(line) {
            self.unfinished = Some(name.to_owned());
            self.said.clear();
            self.outcome(rest, now);
        } else if line == "failures:" {
            self.repeated = None;
        } else if let Some(failure) = self.repeated {
            note(&mut self.failures[failure].said, line);
        } else {
            note(&mut self.said, line);
            self.outcome(line, now);
        }
    }

    /// Takes note of the end of a test, if this is an outcome.
    fn outcome(&mut self, text: &str, now: Instant) {
        let mut words = text.split_whitespace();
        let Some(outcome @ ("ok" | "FAILED" | "ignored" | "ignored,")) = words.next() else { return };
        let Some(name) = self.unfinished.take() else { return };
        // libtest runs tests side by side and says itself how long each took; others' run one after another.
        let took = words.next().and_then(reported_time).unwrap_or(now - self.since);
        self.since = now;
        if outcome == "FAILED" {
            let mut said = std::mem::take(&mut self.said);
            said.retain(|line| line != "FAILED");
            self.failures.push(Failure { name: name.clone(), said });
        }
        if !outcome.starts_with("ignored") {
            self.tests.push(Timed { name, took });
        }
    }
}

/// Keeps a line of what a test said. A backtrace and what comes after it is of no use in a summary.
fn note(said: &mut Vec<String>, line: &str) {
    let is_over = said.len() >= MAX_SAID || said.last().is_some_and(|last| last == BACKTRACE);
    if !is_over && !line.is_empty() {
        said.push(line.to_owned());
    }
}

const BACKTRACE: &str = "stack backtrace:";

/// `---- NAME stdout ----`
fn repeated_test(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// `test NAME ... `, and what follows: nothing yet where the test prints something of its own first.
fn started_test(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ...")?;
    Some((name.trim_end(), rest))
}

/// `<1.234s>`
fn reported_time(word: &str) -> Option<Duration> {
    let seconds = word.strip_prefix('<')?.strip_suffix("s>")?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], tests: &[(&str, u64)], counts: [usize; 3]) {
        let mut transcript = Transcript::new("x");
        let start = transcript.since;
        // Each line comes a second after the one before.
        for (second, line) in (1..).zip(lines) {
            transcript.read(line, start + Duration::from_secs(second));
        }
        let found: Vec<_> =
            transcript.tests.iter().map(|test| (test.name.as_str(), test.took.as_millis() as u64)).collect();
        assert_eq!(found, tests);
        let Counts { passed, failed, skipped } = transcript.counts;
        assert_eq!([passed, failed, skipped], counts);
    }

    #[test]
    fn a_test_takes_until_its_outcome() {
        check(
            &[
                "running 4 tests",
                "test one      ... ok",
                "test two      ...",
                "two again: it failed where the kernel skipped 3 probes",
                "FAILED",
                "test three    ... ignored (not here)",
                "test four     ... ok",
                "",
                "test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured",
            ],
            &[("one", 1000), ("two", 3000), ("four", 1000)],
            [2, 1, 1],
        );
    }

    #[test]
    fn libtest_says_how_long_a_test_took() {
        check(
            &[
                "running 2 tests",
                "test a::b ... ok <0.250s>",
                "test a::c - should panic ... FAILED <1.500s>",
                "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured",
                "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured",
            ],
            &[("a::b", 250), ("a::c - should panic", 1500)],
            [6, 1, 0],
        );
    }

    #[track_caller]
    fn check_failures(lines: &[&str], expected: &[(&str, &[&str])]) {
        let mut transcript = Transcript::new("x");
        lines.iter().for_each(|line| transcript.line(line));
        let found: Vec<_> = transcript.failures.iter().map(|f| (f.name.as_str(), f.said.clone())).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, said)| (*name, said.iter().map(|line| (*line).to_owned()).collect()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_failed_test_has_what_it_said() {
        // libtest-mimic prints it as it comes, libtest at the end.
        check_failures(
            &[
                "running 2 tests",
                "test one ...",
                "of 2",
                "stack backtrace:",
                "0: main",
                "FAILED",
                "test two ... ok",
            ],
            &[("one", &["of 2", "stack backtrace:"])],
        );
        check_failures(
            &[
                "running 2 tests",
                "test a::b ... ok <0.250s>",
                "test a::c ... FAILED <1.500s>",
                "",
                "failures:",
                "",
                "---- a::c stdout ----",
                "thread panicked: left == right",
                "failures:",
                "    a::c",
                "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured",
            ],
            &[("a::c", &["thread panicked: left == right"])],
        );
    }

    #[test]
    fn tests_of_other_machines_are_remembered() {
        let mut transcript = Transcript::new("x");
        transcript.line("left to another machine: numa_x");
        assert_eq!(transcript.left_out, ["numa_x"]);
    }
}
