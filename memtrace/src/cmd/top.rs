//! `memtrace top`: the live view of a session, or of a recording.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    exit::{Exit, Failure, Found},
    live::{self, LiveError},
    shared::{
        finding::FindingArgs,
        keyboard::{ViewArgs, words},
        recorded::options_of,
        rows::RowArgs,
        sandboxed,
        screen::Screen,
        status::with_bar,
        terminal::{self, WidthArgs},
        trace::TraceArgs,
    },
};
use crate::{
    evidence::{
        output_file::FileError,
        recording::{ReadError, Reader},
        replay::{
            self, Query,
            player::Player,
            when,
            window::{When, WindowError},
        },
    },
    knowledge::incidents::IncidentsError,
    output::Output as _,
    rights::sandbox::Sandbox,
    select::{
        ALL, Select,
        filter::{Filter, FilterError},
    },
    top::{
        history::History,
        run::Top,
        source::{Look, Source as _, recording::Recording},
        state::State,
        terminal::is_interactive,
    },
    view::build::ReportOptions,
};

/// Rows that can be looked at.
const ROWS: usize = 2_000;

#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// A recording to look at; without, what happens now
    pub file: Option<PathBuf>,

    #[command(flatten)]
    pub trace: TraceArgs,

    #[command(flatten)]
    pub rows: RowArgs,

    #[command(flatten)]
    pub view: ViewArgs,

    /// Of a recording, begin here; the same forms as for report
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true, requires = "file")]
    pub from: Option<When>,

    /// Of a recording, show this moment first
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true, requires = "file")]
    pub at: Option<When>,

    /// Follow a recording while it grows
    #[arg(short, long, requires = "file", conflicts_with = "at")]
    pub follow: bool,

    #[command(flatten)]
    pub width: WidthArgs,

    #[command(flatten)]
    pub finding: FindingArgs,
}

#[derive(Debug, thiserror::Error)]
pub enum TopError {
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error(transparent)]
    Incidents(#[from] IncidentsError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Window(#[from] WindowError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot use the terminal: {0}")]
    Terminal(#[source] io::Error),
}

impl Failure for TopError {
    fn exit(&self) -> Exit {
        match self {
            Self::Live(error) => error.exit(),
            Self::Incidents(error) => error.exit(),
            Self::Filter(error) => error.exit(),
            Self::Read(error) => error.exit(),
            Self::Window(error) => error.exit(),
            Self::File(error) => error.exit(),
            Self::Terminal(error) => error.exit(),
        }
    }
}

pub fn run(args: TopArgs) -> Result<Found, TopError> {
    match &args.file {
        Some(file) => recorded(&args, file),
        None => {
            let TopArgs { trace, rows, view, width, finding, .. } = args;
            Ok(live::show(trace, rows, view, width, finding, || {
                options_of::<TopArgs>(env::args_os().skip(1))
            })?)
        }
    }
}

fn recorded(args: &TopArgs, file: &Path) -> Result<Found, TopError> {
    let select = args.trace.select();
    let query = query(args, Filter::new(&select)?)?;
    if !is_interactive() {
        return printed(args, &sandboxed::open(file, &Sandbox::default())?, &query);
    }
    let folder = sandboxed::folder(file);
    let written = written_in(&folder);
    let sandbox = Sandbox::default().reads_in(&folder);
    let reader = sandboxed::open(file, &written.iter().fold(sandbox, |sandbox, it| sandbox.writes_in(it)))?;
    let at = args.at.as_ref();
    let at =
        at.map(|_| with_bar(|step| replay::window(&reader, &query.filter, query.from.as_ref(), at, step)));
    let at = at.transpose()?.map(|window| window.end - window.first - 1);
    let named = select.caches.iter().filter(|name| *name != ALL).cloned().collect();
    let ReportOptions { by, sort, .. } = &query.report_options;
    let state = State {
        view: args.view.view,
        has_mouse: args.view.mouse,
        caches: named,
        at,
        follows: args.follow,
        ..State::new(by.clone(), *sort)
    };
    let filter =
        Box::new(move |caches: &[String]| Filter::new(&Select { caches: caches.to_vec(), ..select.clone() }));
    let command = ["memtrace".to_owned()].into_iter().chain(words()).collect();
    let player = Player::new(reader, query)?;
    let started = Recording::start(file, player, filter, Look::of(&state), command);
    let (mut source, points) = started.map_err(TopError::Terminal)?;
    if args.follow {
        source.follow(true);
    }
    let mut top = Top::new(source, state, History::recorded(points), terminal::style());
    top.inputs.push(file.to_owned());
    top.written_in = written;
    let Some(last) = top.run().map_err(TopError::Terminal)? else { return Ok(Found::Nothing) };
    let found = args.finding.found(&last);
    let mut screen = Screen::stdout(terminal::style(), args.width);
    screen.show(&last.cut_to(args.rows.top.get())).map_err(FileError::Stdout).map(drop)?;
    Ok(found)
}

/// Where a key may write files: nobody knows yet what they will be called.
fn written_in(folder: &Path) -> Vec<PathBuf> {
    let folders = [env::current_dir().ok(), Some(folder.to_owned()), Some(env::temp_dir())];
    folders.into_iter().flatten().filter_map(|folder| folder.canonicalize().ok()).collect()
}

fn query(args: &TopArgs, filter: Filter) -> Result<Query, TopError> {
    let report_options = args.rows.report_options();
    let top = report_options.top.max(ROWS);
    Ok(Query {
        report_options: ReportOptions { top, ..report_options },
        filter,
        incidents: args.rows.incidents()?,
        from: args.from.clone(),
        to: None,
        call_sites: false,
        nodes: false,
    })
}

/// Where nobody can press keys: the report.
fn printed(args: &TopArgs, reader: &Reader, query: &Query) -> Result<Found, TopError> {
    let query = Query { report_options: args.rows.report_options(), to: args.at.clone(), ..query.clone() };
    let report = with_bar(|progress| replay::report(reader, &query, progress))?;
    let shown = Screen::stdout(terminal::style(), args.width).show(&report.snapshot);
    shown.map_err(FileError::Stdout).map(drop)?;
    Ok(args.finding.found(&report.snapshot))
}
