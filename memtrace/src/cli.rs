//! The command line.

mod man;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::cmd::{
    bundle::BundleArgs, caches::CachesArgs, check::CheckArgs, diff::DiffArgs, events::EventsArgs,
    explain::ExplainArgs, live::LiveArgs, mark::MarkArgs, record::RecordArgs, redact::RedactArgs,
    report::ReportArgs, triage::TriageArgs,
};

/// Says which process holds the kernel's slab memory.
///
/// Traces what slab caches hand out and get back, and shows who holds what was allocated since the start and not
/// freed. Without a command it runs a live session until Ctrl-C, which then shows the final table. It changes nothing
/// on the host, and leaves nothing behind, however it ends.
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
  sudo memtrace triage                      memory is high: what is it?
  sudo memtrace --cache dentry              who fills the dentry cache
  sudo memtrace -c 'kmalloc-*' --by cache   which of these caches fill
  sudo memtrace -c dentry -d 30s -o json    half a minute of it for a script
  sudo memtrace caches --sort growth        which caches grow
  sudo memtrace record -o FILE -d 10m       record now, to look at it later
  memtrace report FILE -o html --out P      a page with charts from a recording
  memtrace explain dentry                   what that cache is, and what helps
  sudo memtrace check                       what this host lets memtrace do";

const DETAILS: &str = "\
Privileges:
  Tracing takes root, or CAP_BPF and CAP_PERFMON.

Environment:
  NO_COLOR  if it is set and not empty, the table has no colours

Exit status:
  0  it ended as asked, or nobody reads its output any more
  1  it failed
  2  it was asked for what cannot be: a usage error, or no such cache
  3  triage found a suspect";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the slab caches: size, objects, growth, and which are merged
    Caches(CachesArgs),
    /// Memory is high: say what it is, in half a minute, on one page
    ///
    /// Reads what the kernel tells of its memory, waits, reads it again, and judges what is unusually big or grows: a
    /// process's own memory, shared memory, page cache or slab. If slab caches grow, it traces them meanwhile and says who
    /// fills them. It changes nothing. Exit status: 0 nothing found, 3 a suspect found, 1 it failed.
    Triage(TriageArgs),
    /// Record a session into a file, to look at later and elsewhere
    ///
    /// Writes all that a live session sees, and what is needed to tell who it was, into a file of mode 0600. Everything that
    /// a live session shows, and more, can be made from it: memtrace report FILE. SIGUSR1 marks a moment, and so does memtrace
    /// mark LABEL. Killed at any time, what was written up to then can be read.
    Record(RecordArgs),
    /// Mark this moment in a recording that runs
    ///
    /// What happened between two marks can be shown by itself: memtrace report FILE --from mark:before --to mark:after. Only root, and
    /// whoever runs the recording, may mark it. kill -USR1 does the same, with the label SIGUSR1.
    Mark(MarkArgs),
    /// One file for the ticket: a recording, its reports, triage, and the host's own figures
    ///
    /// Records for half a minute, all slab caches or those that are named, and packs what tells what happened into a compressed tar of
    /// mode 0600. Its README.txt says what each file is, the verdict first. The bundle is there as a whole or not at all. Ctrl-C ends
    /// the recording sooner. With --redact there are tokens for all names; counts and times stay.
    Bundle(BundleArgs),
    /// Copy a recording with tokens for all names
    ///
    /// The same name has the same token in the whole copy, and nobody can tell which name it was. Counts, times and process ids stay,
    /// and so do names of slab caches and of the kernel's functions and threads.
    Redact(RedactArgs),
    /// Show what was recorded: all of it, a part, or how things stood at one time
    ///
    /// Makes the same reports as a live session would have, from any part of a recording, on any machine. Parts begin and end where
    /// blocks do, a second apart or less. What is damaged is left out, and said.
    Report(ReportArgs),
    /// Show what one recording has outstanding, and another has not
    ///
    /// Compares two recordings, or two parts of one: memtrace diff FILE@1m FILE@peak. What changed most comes first.
    Diff(DiffArgs),
    /// Show every event, one a line: of now, or of a recording
    ///
    /// The stream itself, for pipes: what was allocated, freed and named, with the slab cache, the process, its cgroup and the place in
    /// the kernel. A free is told with what its object's allocation told, where that was seen, and with the time when it
    /// was read, marked ~: frees do not tell theirs. Where the reader is slow, events are dropped, and a line says how many.
    Events(EventsArgs),
    /// Show what this host offers, and which way memtrace takes for each need
    Check(CheckArgs),
    /// Tell what lives in a slab cache, what fills it, and what helps
    Explain(ExplainArgs),
    /// Print a completion script for a shell
    ///
    /// For bash: memtrace completions bash > /etc/bash_completion.d/memtrace
    Completions { shell: Shell },
    /// Print the man page; to read it: memtrace man | man -l -
    Man,
}

/// The man page, in roff.
pub fn man() -> std::io::Result<Vec<u8>> {
    man::page()
}

pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "memtrace", &mut script);
    script
}

#[cfg(test)]
mod tests;
