//! A session with somebody at the keyboard.

use std::{env, io, thread};

use clap::Args;

use super::{
    finding::FindingArgs,
    runtime::block_on,
    screen::Screen,
    terminal::{self, WidthArgs},
};
use crate::{
    cmd::exit::Found,
    output::{Output, Shown},
    session::{
        self, Options, SessionError,
        requests::{Request, Requests},
    },
    top::{
        history::History,
        run::Top,
        source::{
            Look,
            live::{Live, Screen as LiveScreen},
        },
        state::{State, View},
    },
    view::{Snapshot, build::ReportOptions},
};

/// Rows that can be looked at: each costs a little with each report.
const ROWS: usize = 200;

#[derive(Args, Clone, Copy, Debug)]
pub struct ViewArgs {
    /// What to show first; the keys 1 to 6 show the others
    #[arg(long, value_enum, value_name = "VIEW", default_value_t)]
    pub view: View,
}

/// Runs a session that is looked at.
pub fn session(
    mut options: Options,
    view: ViewArgs,
    width: WidthArgs,
    finding: FindingArgs,
) -> Result<Found, SessionError> {
    let top = options.report_options.top;
    options.report_options.top = top.max(ROWS);
    options.has_directories = true;
    let (asker, requests) = Requests::new();
    // Nobody should sit before an empty screen.
    asker.ask(Request::Report);
    let ReportOptions { by, sort, .. } = &options.report_options;
    let state = State { view: view.view, ..State::new(by.clone(), *sort) };
    let command = ["sudo".to_owned(), "memtrace".to_owned()].into_iter().chain(words()).collect();
    let (source, reports) = Live::new(asker, options.report_options.clone(), Look::of(&state), command);
    let colours = terminal::style();
    let start = move || {
        let top = Top::new(source, state, History::live(), colours);
        thread::Builder::new().name("top".to_owned()).spawn(move || top.run().map(drop))
    };
    let last = Cut { output: Screen::stdout(colours, width), top };
    let output = LiveScreen::new(reports, Box::new(last), start);
    let (output, outcome) = finding.watch(Box::new(output));
    block_on(session::run_asked(options, output, requests)).map_err(SessionError::Runtime)??;
    Ok(outcome.found())
}

/// The last table has as many rows as were asked for.
struct Cut<O> {
    output: O,
    top: usize,
}

impl<O: Output> Output for Cut<O> {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        self.output.show(&snapshot.clone().cut_to(self.top))
    }
}

/// What stands on the command line, without what is said anew: how to look, and at which moment.
pub fn words() -> Vec<String> {
    const SAID_ANEW: [&str; 4] = ["--by", "--sort", "--view", "--at"];
    let mut words = Vec::new();
    let mut all = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = all.next() {
        if SAID_ANEW.contains(&&*word) {
            all.next();
        } else if !SAID_ANEW
            .iter()
            .any(|name| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
        {
            words.push(word);
        }
    }
    words
}
