//! How far a recording is, in a line that is written anew for each report.

use std::{
    io::{self, Stderr, Write},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use super::status::StatusLine;
use crate::{
    evidence::recording::Progress,
    output::{Output, Shown},
    text::human,
    view::Snapshot,
};

/// Shows a recording's progress.
pub struct ProgressLine<W: Write = Stderr> {
    line: StatusLine<W>,
    progress: Arc<Progress>,
    /// When it will end by itself.
    duration: Option<Duration>,
    previous: (Duration, u64),
}

impl<W: Write> ProgressLine<W> {
    pub fn new(line: StatusLine<W>, progress: Arc<Progress>, duration: Option<Duration>) -> Self {
        Self { line, progress, duration, previous: (Duration::ZERO, 0) }
    }

    /// Says what happened, above the line.
    pub fn say(&mut self, text: &str) {
        self.line.say(text);
    }
}

impl<W: Write> Output for ProgressLine<W> {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        let (before, events) = self.previous;
        let seconds = snapshot.elapsed.saturating_sub(before).as_secs_f64();
        let rate = snapshot.trust.applied.saturating_sub(events) as f64 / seconds.max(1e-9);
        self.previous = (snapshot.elapsed, snapshot.trust.applied);
        if snapshot.is_final {
            self.line.clear();
        } else {
            let bytes = self.progress.bytes.load(Relaxed);
            self.line.show(&line(snapshot, rate, bytes, self.duration));
        }
        Ok(Shown::Yes)
    }
}

fn line(snapshot: &Snapshot, rate: f64, bytes: u64, duration: Option<Duration>) -> String {
    let trust = &snapshot.trust;
    let lost = trust.lost();
    let mut line = format!(
        "recording {}  {} events  {}  {}  {} lost",
        human::duration(snapshot.elapsed),
        human::grouped(trust.applied),
        human::rate(rate),
        human::bytes(bytes),
        human::grouped(lost),
    );
    if let Some(duration) = duration {
        line += &format!("  {} left", human::duration(duration.saturating_sub(snapshot.elapsed)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    #[test]
    fn a_line_is_written_anew_and_cleared_at_the_end() {
        let progress = Arc::new(Progress::default());
        progress.bytes.store(12_345_678, Relaxed);
        let mut out = Vec::new();
        let status = StatusLine::new(&mut out, true);
        let mut line = ProgressLine::new(status, Arc::clone(&progress), Some(Duration::from_secs(600)));
        let mut snapshot = sample::dentry();
        let _ = line.show(&snapshot).unwrap();
        snapshot.is_final = true;
        let _ = line.show(&snapshot).unwrap();
        drop(line);
        insta::assert_snapshot!(
            String::from_utf8(out).unwrap().escape_debug(),
            @r"\r\u{1b}[Krecording 12.3 s  2,444,938 events  198 k/s  11.8 MiB  0 lost  9 m 47 s left\r\u{1b}[K"
        );
    }

    #[test]
    fn a_file_gets_none() {
        let mut out = Vec::new();
        let mut line = ProgressLine::new(StatusLine::new(&mut out, false), Arc::default(), None);
        assert_eq!(line.show(&sample::dentry()).unwrap(), Shown::Yes);
        drop(line);
        assert!(out.is_empty());
    }
}
