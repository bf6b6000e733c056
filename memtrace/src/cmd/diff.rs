//! `memtrace diff`: what is outstanding in one recording, or at one time of it, and was not in another.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, ValueEnum};

use super::{
    exit::{Exit, Failure},
    report::ReportError,
    shared::{
        output::OutputArgs,
        rows::RowArgs,
        select::SelectArgs,
        status::with_bar,
        terminal::{self, WidthArgs},
    },
};
use crate::{
    evidence::{
        recording::{Reader, pipe, reader},
        replay::{self, Query, Report, when, window::When},
    },
    output::{
        self, documents,
        render::{self, terminal::Style},
        tables,
    },
    view::{
        Difference,
        build::ReportOptions,
        diff::{DifferentKeys, Order, Taken, difference},
        profile::{Profile, Profiled, Weight},
    },
};

/// Between a file and a part of it, and between the ends of a part.
const PART: char = '@';
const UP_TO: &str = "..";

#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// Recording to compare with, or a part of it: FILE, FILE@30s, FILE@peak, FILE@30s..2m; - is standard input
    #[arg(value_name = "BEFORE", value_parser = part)]
    pub before: FilePart,

    /// Recording whose changes are shown, or a part of it
    #[arg(value_name = "AFTER", value_parser = part)]
    pub after: FilePart,

    #[command(flatten)]
    pub select: SelectArgs,

    #[command(flatten)]
    pub rows: RowArgs,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Format,

    #[command(flatten)]
    pub width: WidthArgs,

    #[command(flatten)]
    pub out: OutputArgs,

    /// What flame graphs and folded stacks count
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub weight: Weight,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal
    #[default]
    Table,
    /// One JSON object
    Json,
    /// One JSON object a line
    Ndjson,
    /// One line a row, for spreadsheets
    Csv,
    /// For a ticket
    Markdown,
    /// Folded stacks with two counts, before and after
    Folded,
    /// Flame graph of AFTER: red grew, blue shrank
    Svg,
    /// Profile for go tool pprof, with BEFORE as its -diff_base
    Pprof,
    /// Self-contained page
    Html,
}

impl Format {
    /// Whether it shows call stacks.
    fn has_profile(self) -> bool {
        matches!(self, Self::Folded | Self::Svg | Self::Pprof | Self::Html)
    }
}

/// A part of a recording; no time at all is all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePart {
    file: PathBuf,
    from: Option<When>,
    to: Option<When>,
    /// As it was written.
    label: String,
}

#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Keys(#[from] DifferentKeys),
    #[error("both recordings are standard input; save one of them to a file first")]
    OneInput,
}

impl Failure for DiffError {
    fn exit(&self) -> Exit {
        match self {
            Self::Report(error) => error.exit(),
            Self::Keys(error) => error.exit(),
            Self::OneInput => Exit::Usage,
        }
    }
}

pub fn run(args: &DiffArgs) -> Result<(), DiffError> {
    let inputs = [&*args.before.file, &*args.after.file];
    if inputs.iter().all(|input| pipe::is_stdin(input)) {
        return Err(DiffError::OneInput);
    }
    let target = args.out.target(args.output == Format::Pprof, &inputs);
    let destination = target.open().map_err(ReportError::from)?;
    let opened = |part: &FilePart| reader::open(&part.file).map_err(ReportError::from);
    let (before, after) = (opened(&args.before)?, opened(&args.after)?);
    destination.sandbox().enter();
    let (before, after) = (read(args, &args.before, before)?, read(args, &args.after, after)?);
    let order = Order { sort: args.rows.sort, top: Some(args.rows.top.get()) };
    let difference = difference(before.taken(), after.taken(), order)?;
    let sides = [&before.report, &after.report];
    let written = destination.write(args.out.path(), |out| write(args, sides, &difference, out));
    Ok(written.map_err(ReportError::from)?)
}

/// One of the two.
struct Side {
    report: Report,
    label: String,
    boot: String,
    filters: String,
}

impl Side {
    fn taken(&self) -> Taken<'_> {
        Taken {
            snapshot: &self.report.snapshot,
            label: self.label.as_bytes(),
            boot: Some(self.boot.as_str()).filter(|boot| !boot.is_empty()),
            filters: &self.filters,
        }
    }
}

fn read(args: &DiffArgs, part: &FilePart, file: File) -> Result<Side, ReportError> {
    let reader = Reader::of_file(file, &part.file)?;
    let query = Query {
        // A row that is not among the first of one may be among those of the other.
        report_options: ReportOptions { top: usize::MAX, ..args.rows.report_options() },
        filter: args.select.filter()?,
        incidents: args.rows.incidents()?,
        from: part.from.clone(),
        to: part.to.clone(),
        call_sites: args.output.has_profile(),
        nodes: args.output == Format::Pprof,
    };
    let report = with_bar(|progress| replay::report(&reader, &query, progress))?;
    Ok(Side {
        report,
        label: part.label.clone(),
        boot: reader.header.boot_id.clone(),
        filters: reader.header.filters,
    })
}

fn write(
    args: &DiffArgs,
    sides: [&Report; 2],
    difference: &Difference,
    mut out: &mut (dyn Write + Send),
) -> io::Result<()> {
    let document = |max_caches| documents::difference::document(difference, max_caches);
    let text = match args.output {
        Format::Table => {
            let is_terminal = args.out.is_terminal();
            let style = if is_terminal { terminal::style() } else { Style::Plain };
            let document = document(documents::difference::CACHES_SHOWN);
            render::terminal::text(&document, args.width.frame(is_terminal), style)
        }
        Format::Json => output::json::difference(difference)?,
        Format::Ndjson => output::ndjson::difference(difference)?,
        Format::Csv => render::csv::text(&tables::difference::rows(difference))?,
        Format::Markdown => render::markdown::text(&document(usize::MAX)),
        Format::Folded | Format::Svg | Format::Pprof => return write_profiles(args, sides, &mut out),
        Format::Html => {
            let [before, after] = sides.map(|report| report.profile(args.rows.older));
            output::html::difference(difference, &Profile::added(&before, &after))?
        }
    };
    out.write_all(text.as_bytes())
}

fn write_profiles(args: &DiffArgs, sides: [&Report; 2], out: &mut impl Write) -> io::Result<()> {
    let profiles = sides.map(|report| report.profile(args.rows.older));
    let [before, after] = [0, 1].map(|at| Profiled { profile: &profiles[at], snapshot: &sides[at].snapshot });
    match args.output {
        Format::Svg => output::flamegraph::write_difference(before, after, args.weight, out),
        Format::Pprof => output::pprof::write_difference(before, after, out),
        _ => output::folded::write_difference(before.profile, after.profile, args.weight, out),
    }
}

/// `FILE@FROM..TO`, `FILE@AT` or `FILE`. A file that exists under the whole name is taken as it is.
fn part(text: &str) -> Result<FilePart, String> {
    let whole = FilePart { file: text.into(), from: None, to: None, label: text.to_owned() };
    let Some((file, times)) = text.rsplit_once(PART).filter(|_| !whole.file.exists()) else {
        return Ok(whole);
    };
    let time = |text: &str| if text.is_empty() { Ok(None) } else { when::parse(text).map(Some) };
    let (from, to) = match times.split_once(UP_TO) {
        Some((from, to)) => (time(from)?, time(to)?),
        None => (None, time(times)?),
    };
    Ok(FilePart { file: file.into(), from, to, ..whole })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn parts_of_recordings() {
        let after = |seconds| Some(When::After(Duration::from_secs(seconds)));
        let check = |text: &str, file: &str, from, to| {
            let expected = FilePart { file: file.into(), from, to, label: text.to_owned() };
            assert_eq!(part(text), Ok(expected), "{text}");
        };
        check("a.mt", "a.mt", None, None);
        check("a.mt@30s", "a.mt", None, after(30));
        check("a@b.mt@30s..peak", "a@b.mt", after(30), Some(When::Peak));
        check("a.mt@..2m", "a.mt", None, after(120));
        check("a.mt@10s..", "a.mt", after(10), None);
        check(
            "a.mt@mark:x..-5s",
            "a.mt",
            Some(When::Mark("x".into())),
            Some(When::BeforeEnd(Duration::from_secs(5))),
        );
        assert!(part("a.mt@soon").is_err());
    }
}
