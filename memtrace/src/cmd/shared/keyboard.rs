//! A session with somebody at the keyboard.

use std::{env, ffi::OsString, io, thread};

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
    select::ALL,
    session::{
        self, Hangup, Options, SessionError,
        requests::{Request, Requests},
    },
    top::{
        history::History,
        run::Top,
        source::{
            Look,
            live::{Command, Live, Screen as LiveScreen},
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

    /// Take the mouse too: it scrolls, and clicks on lines, views and times. The key M changes that
    #[arg(long)]
    pub mouse: bool,
}

/// Runs a session that is looked at. A recording that begins meanwhile gets these options of `record`.
pub fn session(
    mut options: Options,
    view: ViewArgs,
    width: WidthArgs,
    finding: FindingArgs,
    recorded: Vec<OsString>,
) -> Result<Found, SessionError> {
    let top = options.report_options.top;
    options.report_options.top = top.max(ROWS);
    options.has_directories = true;
    let (asker, requests) = Requests::new();
    // Nobody should sit before an empty screen.
    asker.ask(Request::Report);
    let ReportOptions { by, sort, .. } = &options.report_options;
    let state = State { view: view.view, has_mouse: view.mouse, ..State::new(by.clone(), *sort) };
    let command = ["sudo".to_owned(), "memtrace".to_owned()].into_iter().chain(words()).collect();
    let report_options = options.report_options.clone();
    let named = options.select.caches.iter().filter(|name| *name != ALL).cloned().collect();
    let (source, reports) =
        Live::new(asker, report_options, Look::of(&state), Command { words: command, named });
    let colours = terminal::style();
    let start = move || {
        let mut top = Top::new(source, state, History::live(), colours);
        top.recorded = recorded;
        thread::Builder::new().name("top".to_owned()).spawn(move || top.run().map(drop))
    };
    let last = Cut { output: Screen::stdout(colours, width), top };
    let output = LiveScreen::new(reports, Box::new(last), start);
    let (output, outcome) = finding.watch(Box::new(output));
    block_on(session::run_asked(options, output, requests, Hangup::Ends))
        .map_err(SessionError::Runtime)??;
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

/// What stands on the command line, without what is said anew: how to look, at what, and at which moment.
pub fn words() -> Vec<String> {
    without_said_anew(env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()))
}

fn without_said_anew(mut all: impl Iterator<Item = String>) -> Vec<String> {
    const LONG: [&str; 5] = ["--by", "--sort", "--view", "--at", "--cache"];
    const SHORT: &str = "-c";
    let mut words = Vec::new();
    while let Some(word) = all.next() {
        let has_value =
            LONG.iter().any(|name| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')));
        if word == SHORT || LONG.contains(&&*word) {
            // Its value is the next word.
            all.next();
        } else if !has_value && !word.starts_with(SHORT) {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_anew_is_left_out() {
        let check = |line: &str, expect: &str| {
            let words = without_said_anew(line.split_whitespace().map(str::to_owned));
            assert_eq!(words.join(" "), expect, "{line}");
        };
        check("", "");
        check("top a.mt --by comm --sort=age -f", "top a.mt -f");
        check("-c dentry,filp 1 5 --view who", "1 5");
        check("-cdentry --cache filp --cache=x --comm curl -d 5s", "--comm curl -d 5s");
        check("--at 5s", "");
    }
}
