//! A line for each report, as vmstat has it: the headings come again before they are out of sight.

use std::{
    io::{self, IsTerminal as _, Stdout, Write},
    time::SystemTime,
};

use super::terminal::{Size, WidthArgs};
use crate::{
    output::{
        Output, Shown,
        model::{Block, Tone},
        render::terminal::{self, Frame, Style},
        shown,
        tables::line::{self, Moment},
    },
    view::{Snapshot, Verdict},
};

/// Lines below their headings where nobody says how high the window is, as in vmstat.
const LINES: usize = 22;

pub struct Lines<W: Write> {
    out: W,
    style: Style,
    /// Into how much a line fits now, and how many stand below their headings.
    room: Box<dyn FnMut() -> (Frame, usize) + Send>,
    frame: Frame,
    /// Lines since the headings; None before the first.
    below: Option<usize>,
    /// When the last line was, and how much slab the host had then.
    before: Option<(SystemTime, u64)>,
}

impl Lines<Stdout> {
    pub fn stdout(style: Style, width: WidthArgs) -> Self {
        let out = io::stdout();
        if !out.is_terminal() {
            return Self::new(out, Style::Plain, move || (width.frame(false), LINES));
        }
        // The headings, and the cursor below the last line.
        let below = |size: Size| usize::from(size.rows).saturating_sub(2).max(1);
        Self::new(out, style, move || (width.frame(true), below(Size::of_terminal())))
    }
}

impl<W: Write> Lines<W> {
    /// In columns of that width, however wide the window is.
    pub fn plain(out: W, frame: Frame) -> Self {
        Self::new(out, Style::Plain, move || (frame, LINES))
    }

    fn new(out: W, style: Style, room: impl FnMut() -> (Frame, usize) + Send + 'static) -> Self {
        let frame = Frame::default();
        Self { out, style, room: Box::new(room), frame, below: None, before: None }
    }

    /// How fast the host's slab has grown since the last line.
    fn slab_per_s(&mut self, snapshot: &Snapshot) -> Option<f64> {
        let now = snapshot.time;
        let slab = snapshot.meminfo?.slab;
        let (time, before) = self.before.replace((now, slab))?;
        // The wall clock may be set back.
        let seconds = now.duration_since(time).ok().filter(|time| !time.is_zero())?.as_secs_f64();
        Some((slab as f64 - before as f64) / seconds)
    }
}

impl<W: Write> Output for Lines<W> {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        let moment = Moment { snapshot, slab_per_s: self.slab_per_s(snapshot) };
        let is_alarming = snapshot.verdict.as_ref().is_some_and(Verdict::is_alarming);
        let tone = if is_alarming { Tone::Alarm } else { Tone::Normal };
        let (frame, most) = (self.room)();
        let lines = terminal::lines(&[Block::table(line::table(&moment)).tone(tone)], frame);
        // In a window of another width, columns are others.
        let has_headings = self.frame == frame && self.below.is_some_and(|below| below < most);
        let lines = lines.iter().skip(usize::from(has_headings));
        let text: String = lines.map(|line| line.paint(self.style) + "\n").collect();
        self.frame = frame;
        self.below = if has_headings { self.below.map(|below| below + 1) } else { Some(1) };
        shown(self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{output::sample, procfs::meminfo::SlabMemory};

    fn written(snapshots: &[Snapshot], width: usize, below: usize) -> String {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, Style::Plain, move || (Frame::wide(width), below));
        for snapshot in snapshots {
            assert_eq!(lines.show(snapshot).unwrap(), Shown::Yes);
        }
        drop(lines);
        String::from_utf8(out).unwrap()
    }

    /// So many seconds later, when the host has so much more slab.
    fn later(snapshot: Snapshot, seconds: u64, more: u64) -> Snapshot {
        let meminfo = snapshot.meminfo.map(|memory| SlabMemory { slab: memory.slab + more, ..memory });
        Snapshot { time: snapshot.time + Duration::from_secs(seconds), meminfo, ..snapshot }
    }

    fn session() -> Vec<Snapshot> {
        vec![
            sample::empty(),
            sample::dentry(),
            later(sample::verdict(), 1, 4 << 20),
            later(sample::lossy(), 5, 0),
            later(sample::hostile(), 6, 0),
            Snapshot { meminfo: None, ..later(sample::dentry(), 7, 0) },
            Snapshot { is_final: true, ..later(sample::verdict(), 8, 9 << 30) },
        ]
    }

    #[test]
    fn a_line_each_with_headings_as_often_as_needed() {
        insta::assert_snapshot!(written(&session(), 132, 4));
    }

    #[test]
    fn a_narrow_window_has_what_matters_most() {
        insta::assert_snapshot!(written(&session(), 80, 100));
    }

    #[test]
    fn a_process_has_its_command_beside_it() {
        insta::assert_snapshot!(written(&[sample::by_pid()], 132, 1));
    }

    #[test]
    fn no_line_is_longer_than_the_window_and_each_is_one() {
        for width in 20..140 {
            let text = written(&session(), width, 100);
            assert_eq!(text.lines().count(), session().len() + 1, "{text}");
            assert!(text.lines().all(|line| crate::text::width::cells(line) <= width), "{text}");
        }
    }

    #[test]
    fn columns_stand_still() {
        let text = written(&session(), 132, 1);
        let headings: Vec<&str> = text.lines().step_by(2).collect();
        let of_comms = |heading: &&&str| heading.contains("COMM");
        let mut of_comms = headings.iter().filter(of_comms).map(|heading| heading.find("FINDING"));
        let first = of_comms.next().unwrap();
        assert!(first.is_some() && of_comms.all(|at| at == first), "{text}");
    }
}
