//! What memtrace costs, beside an empty program and beside what people run instead: everything measured in one run, because
//! only ratios of one run on one machine mean anything.
//!
//! It reports and never judges by its exit code: it fails only if something broke. `cargo xtask bench` builds and starts it.

mod bpf;
mod compare;
mod contender;
mod facts;
mod figures;
mod floor;
mod human;
mod interrupt;
mod peers;
mod perf_data;
mod process;
mod profile;
mod report;
mod ring_floor;
mod rounds;
mod running;
mod sessions;
mod stages;
mod stats;
mod table;
mod targets;
mod tracer;
mod workload;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use tempfile::TempDir;
use xtask::command::{CommandExt, cargo};
use xtask::setup;
use xtask::{build_ebpf, host, paths};

use self::compare::{Clock, Comparison, undisturbed_share};
use self::contender::{Contender, Memtrace, NO_NAMES};
use self::facts::Facts;
use self::floor::Shape;
use self::report::Report;
use self::rounds::{Plan, Results};
use self::tracer::{Traced, UNCHANGED};
use self::workload::Workload;

/// Measure what memtrace costs, beside empty programs and its peers
///
/// Prints tables, and writes them to target/bench: table.md, results.json and runs.json (every single run). Takes about half an
/// hour on an otherwise idle machine, with --quick some minutes. Peers that are not installed, or cannot run on this kernel, are left
/// out with the reason. docs/performance.md explains each figure.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    task: Option<Task>,
    /// Fewer and shorter runs: figures to look at, not to quote
    #[arg(long)]
    quick: bool,
    /// Rounds: each runs every workload under every contender (peers: in every third round)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    runs: Option<u16>,
    /// How long a run takes of the bare workload; under contenders it does as many operations
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,
    /// Only this part; may be given several times
    #[arg(long = "part", value_name = "P", value_enum)]
    parts: Vec<Part>,
    /// Only this workload; may be given several times. All other parts are left out then, unless --part names them
    #[arg(long = "workload", value_name = "W", value_enum)]
    workloads: Vec<Workload>,
    /// Only this contender besides the bare workload; may be given several times. As with --workload
    #[arg(long = "contender", value_name = "C", value_enum)]
    contenders: Vec<Contender>,
    /// Only install the peers that are packages
    #[arg(long)]
    setup: bool,
    /// Where the results go
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// All is built, and we are root
    #[arg(long, hide = true)]
    built: bool,
    /// The program with the benchmarks of stages, built
    #[arg(long, hide = true)]
    stages: Option<PathBuf>,
}

/// What is measured, in this order.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What each contender adds to each workload
    Comparison,
    /// Start, end, full speed, a stall, a recording
    Sessions,
    /// What is left running: screens, serve, watch
    Running,
    /// Userspace alone, from a synthetic source
    Stages,
    /// Each eBPF program, and where the CPUs are
    Profile,
}

#[derive(Subcommand)]
enum Task {
    #[command(hide = true)]
    Workload(workload::Args),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.task {
        Some(Task::Workload(args)) => workload::main(args),
        None if args.setup => peers::setup(),
        None if args.built => args.run(),
        None => args.build(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn seconds(text: &str) -> Result<f64, &'static str> {
    let seconds = text.parse().map_err(|_| "not a number")?;
    if (0.01..=60.0).contains(&seconds) { Ok(seconds) } else { Err("not between 0.01 and 60") }
}

impl Args {
    /// Builds what is measured, then starts again as root.
    fn build(&self) -> Result<ExitCode> {
        setup::ensure(setup::Part::Build)?;
        build_ebpf::build()?;
        build_ebpf::compile(FLOOR)?;
        cargo()
            .args(["build", "--release", "--package", "memtrace", "--target-dir"])
            .arg(paths::target(""))
            .check()?;
        let stages = if self.has(Part::Stages) { Some(stages::build()?) } else { None };
        // Made as who we are, so that it can be removed as who we are.
        fs::create_dir_all(self.out())?;
        let mut bench = host::as_root(std::env::current_exe()?);
        bench.args(std::env::args_os().skip(1)).arg("--built");
        bench.args(stages.iter().flat_map(|stages| [OsStr::new("--stages"), stages.as_os_str()]));
        Err(bench.exec()).context("cannot start the bench as root")
    }

    fn out(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| paths::target("bench"))
    }

    fn has(&self, part: Part) -> bool {
        if self.parts.is_empty() {
            return part == Part::Comparison || self.workloads.is_empty() && self.contenders.is_empty();
        }
        self.parts.contains(&part)
    }

    fn plan(&self) -> Plan {
        let all = |chosen: &[Workload]| {
            let all = if self.has(Part::Comparison) { Workload::value_variants() } else { &[] };
            if chosen.is_empty() { all } else { chosen }.to_vec()
        };
        let contenders =
            if self.contenders.is_empty() { Contender::value_variants() } else { &self.contenders };
        let (rounds, seconds) = if self.quick { (3, 0.1) } else { (7, 0.25) };
        Plan {
            workloads: all(&self.workloads),
            contenders: contenders.to_vec(),
            rounds: self.runs.map_or(rounds, usize::from),
            peers_every: 3,
            time: Duration::from_secs_f64(self.seconds.unwrap_or(seconds)),
        }
    }

    fn run(&self) -> Result<ExitCode> {
        ensure!(host::is_root(), "the bench needs root, to load eBPF programs");
        interrupt::catch()?;
        let scratch = scratch()?;
        let scratch = scratch.path();
        let facts = Facts::gather();
        let sleeper = process::spawn(Command::new("sleep").arg("infinity"))?;
        let memtrace = memtrace(scratch, sleeper.0.id())?;
        let plan = self.plan();
        let results = rounds::Bench { plan: &plan, memtrace: &memtrace, scratch }.run()?;
        let undisturbed = undisturbed_share(&results.runs);
        let clock = undisturbed.map_or(Clock::Wall, Clock::fitting);
        let comparisons = Comparison::compare_all(&results, clock, &memtrace);
        let (rest, broken) = self.rest(&memtrace, scratch);
        let mut report = Report {
            facts,
            undisturbed,
            clock,
            rounds: plan.rounds,
            seconds_per_run: plan.time.as_secs_f64(),
            comparisons,
            refusals: results.refusals.clone(),
            sessions: rest.sessions,
            running: rest.running,
            stages: rest.stages,
            profile: rest.profile,
            targets: Vec::new(),
        };
        report.targets = targets::judge(&serde_json::to_value(&report)?)?;
        self.publish(&report, &results)?;
        // What was measured before is not lost.
        broken.into_iter().next().map_or(Ok(ExitCode::SUCCESS), Err)
    }

    /// And what of it broke.
    fn rest(&self, memtrace: &Memtrace, scratch: &Path) -> (Rest, Vec<anyhow::Error>) {
        let (repeats, flood, time) = if self.quick { (3, 2, 0.5) } else { (7, 10, 2.0) };
        let flood = Duration::from_secs(flood);
        let time = Duration::from_secs_f64(time);
        let mut broken = Vec::new();
        let sessions = || sessions::Bench { memtrace, scratch, repeats, flood }.run();
        let running = || running::Bench { memtrace, scratch, time: flood }.run();
        let stages = self.stages.as_ref().map(|program| || stages::run(program, self.quick));
        let profile = || profile::Bench { memtrace, scratch, time }.run();
        let rest = Rest {
            sessions: kept(&mut broken, "sessions", self.has(Part::Sessions).then_some(sessions)),
            running: kept(&mut broken, "running", self.has(Part::Running).then_some(running))
                .unwrap_or_default(),
            stages: kept(&mut broken, "stages", stages).unwrap_or_default(),
            profile: kept(&mut broken, "profile", self.has(Part::Profile).then_some(profile)),
        };
        (rest, broken)
    }

    fn publish(&self, report: &Report, results: &Results) -> Result<()> {
        let sections = report.sections();
        print!("{}", table::text(&sections));
        let write = |name: &str, text: &str| -> Result<()> {
            let file = self.out().join(name);
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
            println!("{}", paths::shown(&file));
            Ok(())
        };
        println!();
        write("table.md", &table::markdown(&sections))?;
        write("results.json", &serde_json::to_string_pretty(report)?)?;
        write("runs.json", &serde_json::to_string_pretty(&results.runs)?)
    }
}

/// What is wanted, and not broken.
fn kept<T>(
    broken: &mut Vec<anyhow::Error>,
    what: &'static str,
    measure: Option<impl FnOnce() -> Result<T>>,
) -> Option<T> {
    measure?().map_err(|error| broken.push(error.context(what))).ok()
}

/// What is measured besides the comparison.
#[derive(Default)]
struct Rest {
    sessions: Option<figures::Sessions>,
    running: Vec<figures::Running>,
    stages: Vec<stages::Figures>,
    profile: Option<profile::Profile>,
}

/// The BPF object with the programs that memtrace is compared with.
const FLOOR: &str = "floor";

/// A directory for what runs write, removed at the end. It is on a disk: tmpfs keeps no dentries of names that do not exist.
fn scratch() -> Result<TempDir> {
    const NAME: &str = "bench-scratch";
    // A bench that was killed may have left it.
    fs::remove_dir_all(paths::target(NAME)).ok();
    let scratch = tempfile::Builder::new().prefix(NAME).rand_bytes(0).tempdir_in(paths::target(""));
    scratch.context("cannot make a directory for what runs write")
}

/// Caches that exist everywhere, are merged with no other, and change only when devices or mounts do.
const QUIET_CACHES: [&str; 3] = ["bdev_cache", "mqueue_inode_cache", "shmem_inode_cache"];

/// Where memtrace takes no tracepoints, these make the floor.
const USUAL: [&str; 4] = ["kfree", "kmalloc", "kmem_cache_alloc", "kmem_cache_free"];

fn memtrace(scratch: &Path, sleeper: u32) -> Result<Memtrace> {
    let is_there = |cache: &&str| Path::new("/sys/kernel/slab").join(cache).is_dir();
    let quiet_cache =
        QUIET_CACHES.into_iter().find(is_there).context("this kernel has none of the quiet caches")?;
    let program = paths::target("release/memtrace");
    let floor = build_ebpf::compiled(FLOOR);
    let mut memtrace =
        Memtrace { program, floor, quiet_cache, sleeper, one: Shape::new(), all: Shape::new() };
    memtrace.one = shape(&memtrace, quiet_cache, &["kmalloc"], scratch)?;
    memtrace.all = shape(&memtrace, "all", &[], scratch)?;
    Ok(memtrace)
}

/// What memtrace attaches to, by its own links.
fn shape(memtrace: &Memtrace, cache: &str, unusual: &[&str], scratch: &Path) -> Result<Shape> {
    let mut command = memtrace.command(cache, NO_NAMES);
    let traced = Traced::start(&mut command, tempfile::tempdir_in(scratch)?, UNCHANGED)
        .context("memtrace cannot run")?;
    let shape = traced.probes().tracepoints;
    if !shape.is_empty() {
        return Ok(shape);
    }
    Ok(USUAL.iter().filter(|tracepoint| !unusual.contains(tracepoint)).map(ToString::to_string).collect())
}
