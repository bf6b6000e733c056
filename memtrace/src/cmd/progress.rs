//! How a recording goes on, in one line that is written anew for each report.

use std::{
    io::{self, Write},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use crate::{
    evidence::recording::Progress,
    output::{Output, Shown, shown},
    text::human,
    view::Snapshot,
};

/// Shows a recording's progress. Where the output is no terminal, there is nothing to show before the end.
pub struct ProgressLine<W> {
    out: W,
    is_terminal: bool,
    progress: Arc<Progress>,
    /// When it will end by itself.
    duration: Option<Duration>,
    previous: (Duration, u64),
}

impl<W: Write> ProgressLine<W> {
    pub fn new(out: W, is_terminal: bool, progress: Arc<Progress>, duration: Option<Duration>) -> Self {
        Self { out, is_terminal, progress, duration, previous: (Duration::ZERO, 0) }
    }
}

impl<W: Write> Output for ProgressLine<W> {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        let (before, events) = self.previous;
        let seconds = snapshot.elapsed.saturating_sub(before).as_secs_f64();
        let rate = snapshot.trust.applied.saturating_sub(events) as f64 / seconds.max(1e-9);
        self.previous = (snapshot.elapsed, snapshot.trust.applied);
        if !self.is_terminal {
            return Ok(Shown::Yes);
        }
        let bytes = self.progress.bytes.load(Relaxed);
        let line = line(snapshot, rate, bytes, self.duration);
        // The line before is cleared to its end.
        let end = if snapshot.is_final { "\r\x1b[K" } else { "\x1b[K\r" };
        let line = if snapshot.is_final { String::new() } else { line };
        shown(write!(self.out, "{line}{end}").and_then(|()| self.out.flush()))
    }
}

fn line(snapshot: &Snapshot, rate: f64, bytes: u64, duration: Option<Duration>) -> String {
    let trust = &snapshot.trust;
    let lost = trust.lost_allocs + trust.lost_frees + trust.lost_names;
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
        let mut line =
            ProgressLine::new(&mut out, true, Arc::clone(&progress), Some(Duration::from_secs(600)));
        let mut snapshot = sample::dentry();
        let _ = line.show(&snapshot).unwrap();
        snapshot.is_final = true;
        let _ = line.show(&snapshot).unwrap();
        insta::assert_snapshot!(
            String::from_utf8(out).unwrap().escape_debug(),
            @r"recording 12.3 s  2,444,938 events  198 k/s  11.8 MiB  0 lost  9 m 47 s left\u{1b}[K\r\r\u{1b}[K"
        );
    }

    #[test]
    fn a_file_gets_none() {
        let mut out = Vec::new();
        let mut line = ProgressLine::new(&mut out, false, Arc::default(), None);
        assert_eq!(line.show(&sample::dentry()).unwrap(), Shown::Yes);
        assert!(out.is_empty());
    }
}
