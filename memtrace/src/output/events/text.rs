//! For people, and for grep and awk: columns, parted by blanks, none of which is ever empty or has a blank in it.

use std::{
    borrow::Cow,
    io::{self, Write},
    time::Duration,
};

use super::EventOutput;
use crate::{
    text::{
        escape,
        time::{rfc3339, seconds},
        width,
    },
    view::{
        event::{EventKind, EventView, Source},
        object::Allocated,
    },
};

/// What stands where nothing is known.
const NOTHING: &str = "-";

/// Cells for a cgroup's path.
const CGROUP: usize = 30;

/// What the first column says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Clock {
    /// Seconds since the start
    #[default]
    Elapsed,
    /// Date and time of day, in UTC
    Wall,
}

pub struct Text<W> {
    out: W,
    source: Source,
    clock: Clock,
}

impl<W: Write> Text<W> {
    /// Begins with a line that names the columns.
    pub fn start(mut out: W, source: Source, clock: Clock) -> io::Result<Self> {
        let heads =
            ["TIME", "KIND", "OBJECT", "CACHE", "BYTES", "PID", "COMM", "AGE", "CGROUP", "CALLSITE", "NAME"];
        line(&mut out, clock, heads.map(Cow::Borrowed))?;
        Ok(Self { out, source, clock })
    }

    fn time(&self, event: &EventView<'_>) -> String {
        let mark = if event.is_time_of_reading { "~" } else { "" };
        match self.clock {
            Clock::Elapsed => format!("{mark}{}", seconds(event.elapsed_ns)),
            Clock::Wall => format!("{mark}{}", rfc3339(self.source.wall(event.elapsed_ns))),
        }
    }
}

impl Clock {
    /// With the sign that a time is not exact.
    fn width(self) -> usize {
        match self {
            Self::Elapsed => 16,
            Self::Wall => 31,
        }
    }
}

impl<W: Write> EventOutput for Text<W> {
    fn show(&mut self, event: &EventView<'_>) -> io::Result<()> {
        let Allocated { cache, bytes, comm, pid, cgroup, call_site } = &event.allocated;
        let cells = [
            self.time(event).into(),
            event.kind.into_str().into(),
            event.object.map_or(NOTHING.into(), |address| format!("{address:#x}").into()),
            word(cache.map(str::as_bytes)),
            figure(*bytes),
            figure(pid.map(u64::from)),
            word(comm.as_deref()),
            event.age.map_or(NOTHING.into(), |time| age(time).into()),
            path(*cgroup),
            word(call_site.as_ref().map(String::as_bytes)),
            last(event).into(),
        ];
        line(&mut self.out, self.clock, cells)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Of each column but the last; of the first the clock says it. Figures stand to the right.
const WIDTHS: [usize; 10] = [0, 5, 18, 20, 6, 7, 15, 10, CGROUP, 28];
const FIGURES: [usize; 4] = [0, 4, 5, 7];

/// In one piece: there may be millions.
fn line(out: &mut impl Write, clock: Clock, cells: [Cow<'_, str>; 11]) -> io::Result<()> {
    let mut line = String::with_capacity(256);
    let [before @ .., last] = &cells;
    for (at, (cell, width)) in before.iter().zip(WIDTHS).enumerate() {
        let width = if at == 0 { clock.width() } else { width };
        let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
        line.extend(if FIGURES.contains(&at) { [&blanks, &**cell, "  "] } else { [&**cell, &blanks, "  "] });
    }
    line.extend([last, "\n"]);
    out.write_all(line.as_bytes())
}

fn figure(figure: Option<u64>) -> Cow<'static, str> {
    figure.map_or(NOTHING.into(), |figure| figure.to_string().into())
}

/// Without blanks, and told from nothing.
fn word(text: Option<&[u8]>) -> Cow<'_, str> {
    match text {
        None | Some(b"") => NOTHING.into(),
        Some(b"-") => "\\x2d".into(),
        Some(text) => match escape::terminal(text) {
            text if text.contains(' ') => text.replace(' ', "\\x20").into(),
            text => text,
        },
    }
}

/// Its end, where it is long: what comes behind stays below its title.
fn path(path: Option<&[u8]>) -> Cow<'_, str> {
    match word(path) {
        Cow::Borrowed(path) => width::cut_path(path, CGROUP),
        Cow::Owned(path) => width::cut_path(&path, CGROUP).into_owned().into(),
    }
}

/// In seconds, as precise as the ledger has them.
fn age(age: Duration) -> String {
    format!("{}.{:04}", age.as_secs(), age.subsec_micros() / 100)
}

/// The name, and what else there is to say.
fn last(event: &EventView<'_>) -> String {
    if event.kind == EventKind::Gap {
        return gap(event);
    }
    let path: Option<Cow<'_, [u8]>> = match (event.directory, event.name) {
        (None | Some(b""), name) => name.map(Cow::Borrowed),
        (Some(directory), name) => {
            let name = name.unwrap_or_default();
            let between: &[u8] = if directory.ends_with(b"/") { b"" } else { b"/" };
            Some([directory, between, name].concat().into())
        }
    };
    let mut text = word(path.as_deref()).into_owned();
    if event.is_negative == Some(true) {
        text += " negative";
    }
    if event.weight > 1 {
        text += &format!(" x{}", event.weight);
    }
    text
}

fn gap(event: &EventView<'_>) -> String {
    let missing = event.missing.map_or("events".to_owned(), |events| format!("{events} events"));
    let since = event.missing_since_ns.map_or(String::new(), |since| format!(" since {}", seconds(since)));
    let why = escape::terminal(event.name.unwrap_or_default());
    format!("{missing} missing{since}: {why}")
}
