//! The command line.

mod completions;
mod man;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::cmd::{
    bundle::BundleArgs, caches::CachesArgs, census::CensusArgs, check::CheckArgs, diff::DiffArgs,
    events::EventsArgs, exit, explain::ExplainArgs, live::LiveArgs, mark::MarkArgs, record::RecordArgs,
    redact::RedactArgs, report::ReportArgs, run::RunArgs, serve, top::TopArgs, triage::TriageArgs,
    watch::WatchArgs,
};
use crate::{procfs::slab::nearest::nearest, text::duration};

/// Show which processes hold the kernel's slab memory.
///
/// Traces allocations and frees of slab objects, and shows who allocated the objects that are still outstanding. Without a
/// command, runs a live session until q or Ctrl-C and then prints the final table; on a terminal, ? shows the keys. It changes nothing on the host, and leaves
/// nothing behind, however it ends.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, after_help = EXAMPLES, after_long_help = [EXAMPLES, DETAILS].join("\n\n"))]
pub struct Cli {
    #[command(flatten)]
    pub live: LiveArgs,

    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Within 80 columns, as is [`DETAILS`]: clap would wrap a longer line anywhere.
const EXAMPLES: &str = "\
Examples:
  sudo memtrace triage                      memory is high: find out why
  sudo memtrace run -c dentry -- make       what a command allocates
  sudo memtrace --cache dentry              who fills the dentry cache
  sudo memtrace -c 'kmalloc-*' --by cache   which of these caches grow
  sudo memtrace -c dentry,filp 1 5          a report each second, five times
  sudo memtrace -c dentry -d 30s -o json    30 seconds as JSON, for a script
  sudo memtrace caches --sort growth        which caches grow fastest
  sudo memtrace census                      whose the slab is that is there already
  sudo memtrace record -o FILE -d 10m       record now, analyse later
  memtrace report FILE -o html --out P      turn a recording into a web page
  memtrace top FILE                         go through a recording with keys
  sudo memtrace serve                       metrics for Prometheus, on and on
  sudo memtrace watch                       asleep until memory runs short
  memtrace explain dentry                   what a cache holds, and what helps
  sudo memtrace check                       what memtrace can do on this host";

const DETAILS: &str = "\
Privileges:
  Tracing needs root, or CAP_BPF and CAP_PERFMON.

Files:
  What memtrace writes has mode 0600, appears when it is complete (a recording:
  when it begins), and replaces an existing file only with --force. Symbolic
  links are not followed. - is standard output or input.

Environment:
  NO_COLOR  if set and not empty, output has no colours

Exit status:
  0  success, or the reader of the output has gone
  1  failure
  2  usage error: bad option, no such cache or process, file exists (--force)
  3  triage found a suspect; with --fail-on-finding: somebody leaks or floods
  run, and record of a command: the command's own; 126, 127 if it cannot run";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List slab caches with size, objects, growth, and what is merged
    Caches(CachesArgs),
    /// Show what the slab holds already and whose it is, without tracing
    ///
    /// Looks at some thousand random pages of memory: for each slab cache, which cgroup its objects are charged to, in which
    /// directory, under what names, how many of them are negative, and when they were made, if their names tell. All figures are
    /// estimates with the half-width of their 95% interval, checked against /proc/slabinfo. It takes a second or less on a host of
    /// any size. Ctrl-C shows what was seen so far.
    Census(CensusArgs),
    /// Find out what uses the host's memory, on one page
    ///
    /// Reads the kernel's memory figures, traces all slab caches for a while, reads the figures again, and judges: who leaks or
    /// floods memory, or what is large where memory is short. Where nobody is to blame, says what grew and why that is harmless.
    /// It changes nothing. Exit status: 0 no suspect, 3 suspect found, 1 failure.
    Triage(TriageArgs),
    /// Run a command, and show what it and all that it starts allocate
    ///
    /// The command begins when it is traced, so nothing is missed. The report comes when it has ended, on standard error, and the
    /// exit status is the command's: 128 more than the signal that killed it, 127 if it is not there, 126 if it cannot be run. With
    /// sudo it runs as whoever called sudo. memtrace record -o FILE -- COMMAND records it.
    Run(RunArgs),
    /// Record a session to a file, for analysis later or elsewhere
    ///
    /// The file has everything that a live session shows, and more: memtrace report FILE. It can be read while it is written,
    /// and if memtrace is killed, up to the last complete block. SIGUSR1 sets a mark, and so does memtrace mark LABEL.
    Record(RecordArgs),
    /// Set a mark in a running recording
    ///
    /// Marks delimit parts of a recording: memtrace report FILE --from mark:before --to mark:after. Only root and the user who
    /// records may set them. kill -USR1 sets a mark named SIGUSR1.
    Mark(MarkArgs),
    /// Make one file for a ticket: recording, reports, triage, host figures
    ///
    /// Records for 30 seconds, or until Ctrl-C, and packs the recording, its reports and the host's own figures into a compressed
    /// tar. Start with its README.txt, which begins with the verdict. --redact replaces all names by tokens; counts and times
    /// stay.
    Bundle(BundleArgs),
    /// Copy a recording with all names replaced by tokens
    ///
    /// The same name gets the same token throughout the copy, and cannot be recovered. Counts, times and process ids stay, and so
    /// do names of slab caches, kernel functions and kernel threads.
    Redact(RedactArgs),
    /// Show a recording: all of it, a part, or the state at one time
    ///
    /// Makes the reports that a live session would have made, from any part of a recording, on any machine. Parts begin and end at
    /// block boundaries, at most a second apart. Damaged blocks are left out, with a note. A pipe works too: memtrace record -d 10s
    /// -o - | memtrace report -
    Report(ReportArgs),
    /// Look at a session or a recording with keys: the live view
    ///
    /// On a terminal memtrace without a command is the same. Of a recording, it shows any moment: arrow keys go back and forth in
    /// time. Where there is no terminal, it prints tables. Press ? for the keys.
    Top(TopArgs),
    /// Trace on and on, and answer over HTTP: metrics for Prometheus, profiles for pprof
    ///
    /// /metrics has who holds how much of which slab cache, what leaks, and how far the figures can be trusted, in a bounded number
    /// of series. /debug/pprof/heap has the calls that led to it. Listens on localhost unless told otherwise; without --web-config,
    /// anybody who can connect can read. See docs/serve.md.
    Serve(serve::CommandLine),
    /// Trace nothing until memory runs short, then keep the evidence
    ///
    /// Reads the host's own figures every 10 s. When a condition holds, it records for a while, makes a bundle, and is armed again: a flood or
    /// leak at 3 a.m. is on the disk before the OOM killer comes. SIGUSR2 records at once. The worst bundles are kept. See
    /// docs/watch.md.
    Watch(WatchArgs),
    /// Show what is outstanding in one recording and not in another
    ///
    /// Compares two recordings, or two parts of one: memtrace diff FILE@1m FILE@peak. The largest changes come first.
    Diff(DiffArgs),
    /// Print every event on a line of its own, live or from a recording
    ///
    /// Events are allocations, frees and names, with slab cache, process, cgroup and call site. A free also shows what is known of
    /// its object's allocation; its time, marked ~, is when it was read, since frees carry none. If the output is too slow, events
    /// are dropped, and a line says how many.
    Events(EventsArgs),
    /// Show what this kernel supports, and how memtrace will trace it
    Check(CheckArgs),
    /// Explain a slab cache: what it holds, what fills it, what helps
    Explain(ExplainArgs),
    /// Print a shell completion script
    ///
    /// For bash: memtrace completions bash > /etc/bash_completion.d/memtrace
    Completions { shell: Shell },
    /// Print the man page; to read it: memtrace man | man -l -
    Man,
}

/// The whole definition.
fn definition() -> clap::Command {
    let definition = Cli::command();
    let commands: Vec<String> =
        definition.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    definition
        .mut_arg("every", |every| every.value_parser(move |text: &str| interval(text, &commands)))
        .mut_subcommand("top", only_of_session)
        .mut_subcommand("events", only_of_session)
        .mut_subcommand("record", without_command)
        .mut_subcommand("run", |run| {
            let run = without_command(run).mut_arg("command", |command| {
                command.required(true).last(false).trailing_var_arg(true).allow_hyphen_values(true)
            });
            run.mut_args(|arg| match NOT_OF_COMMAND.contains(&arg.get_id().as_str()) {
                true => arg.hide(true),
                false => arg,
            })
        })
}

/// Of a command that may have another one to run.
fn without_command(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| {
        let is_without = NOT_OF_COMMAND.contains(&arg.get_id().as_str());
        if is_without { arg.conflicts_with("command") } else { arg }
    })
}

/// A command is a process of its own, and its session ends with it.
const NOT_OF_COMMAND: [&str; 5] = ["pids", "children", "trees", "duration", "count"];

/// Of a command that also takes a recording.
fn only_of_session(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| {
        let is_of_session = OF_SESSION.contains(&arg.get_id().as_str());
        if is_of_session { arg.conflicts_with("file") } else { arg }
    })
}

/// What a recording was made with cannot be chosen any more.
const OF_SESSION: [&str; 16] = [
    "children",
    "trees",
    "users",
    "stacks",
    "interval",
    "duration",
    "count",
    "settle",
    "sample",
    "max_memory",
    "max_cpu",
    "readers",
    "verbose",
    "avoid",
    "ring_bytes",
    "census",
];

/// An interval stands where a command may: a misspelt command comes here too.
fn interval(text: &str, commands: &[String]) -> Result<Duration, String> {
    let begins_like_one = text.starts_with(|c: char| c.is_ascii_digit() || ".-+".contains(c));
    duration::parse(text).map_err(|error| {
        if begins_like_one {
            return error.to_string();
        }
        if commands.iter().any(|name| name == text) {
            return format!("a command comes before its options: memtrace {text} [OPTIONS]");
        }
        let names = commands.iter().map(|name| (name.as_str(), 0));
        match nearest(text, names).first() {
            Some(name) => format!("there is no such command; did you mean memtrace {name}?"),
            None => "neither a command nor an interval; see memtrace --help".to_owned(),
        }
    })
}

/// The command line of this process; the exit code where help was printed, or an error.
pub fn parse() -> Result<Cli, ExitCode> {
    let matches = definition().try_get_matches();
    matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| {
        if error.use_stderr() {
            // clap repeats what it was given. Nowhere to complain if even standard error is closed.
            let _ = writeln!(io::stderr(), "{}", exit::printable(&error.render().to_string()));
        } else {
            let _ = error.print();
        }
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
    })
}

/// The man page, in roff.
pub fn man() -> std::io::Result<Vec<u8>> {
    man::page()
}

/// What completes memtrace's commands, options and caches.
pub fn completions(shell: Shell) -> Vec<u8> {
    completions::script(shell)
}

#[cfg(test)]
mod tests;
