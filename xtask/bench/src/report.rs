//! All figures as sections of one report, in the order in which they are read.

use serde::Serialize;

use crate::compare::{Clock, Comparison, Cost, TracerCost};
use crate::contender::Contender;
use crate::facts::Facts;
use crate::figures::{Busy, Flood, Recorded, Running, Sessions};
use crate::human;
use crate::profile::{self, Profile, ProgramCost};
use crate::stages::Figures;
use crate::stats::Estimate;
use crate::table::{Column, Section, Table};
use crate::targets::Target;

/// What one bench found out.
#[derive(Debug, Serialize)]
pub struct Report {
    pub facts: Facts,
    /// For which share of the time the bare workloads had their CPUs: 0 to 1. None where none ran.
    pub undisturbed: Option<f64>,
    /// What the comparisons' times are.
    pub clock: Clock,
    pub rounds: usize,
    pub seconds_per_run: f64,
    pub comparisons: Vec<Comparison>,
    /// Contenders that could not run, and why.
    pub refusals: Vec<(Contender, String)>,
    pub sessions: Option<Sessions>,
    pub running: Vec<Running>,
    pub stages: Vec<Figures>,
    pub profile: Option<Profile>,
    pub targets: Vec<Target>,
}

impl Report {
    pub fn sections(&self) -> Vec<Section> {
        let mut sections = vec![self.overview()];
        if !self.comparisons.is_empty() {
            sections.extend([self.multiples(), self.who()]);
        }
        sections.extend(self.comparisons.iter().map(|comparison| self.comparison(comparison)));
        sections.extend(self.sessions.as_ref().map(sessions));
        if !self.running.is_empty() {
            sections.push(running(&self.running));
        }
        if !self.stages.is_empty() {
            sections.push(stages(&self.stages));
        }
        if let Some(profile) = &self.profile {
            sections.push(programs(profile));
            sections.push(samples(profile));
        }
        sections.push(self.targets());
        sections
    }

    fn overview(&self) -> Section {
        let facts = &self.facts;
        let mut about = vec![
            format!(
                "{}, memtrace {}, Linux {}, {} x {}, {} of memory.",
                facts.date,
                facts.commit,
                facts.kernel,
                facts.cpus,
                facts.cpu,
                human::bytes(facts.memory_bytes as f64)
            ),
            format!(
                "{} rounds, {} s a run of the bare workload; medians, ± the 95 % interval of the median where there are three runs or more.",
                self.rounds, self.seconds_per_run
            ),
        ];
        about.extend(self.undisturbed.map(|share| self.times(share)));
        let peers: Vec<String> =
            facts.peers.iter().map(|(name, version)| format!("{name} {version}")).collect();
        if !peers.is_empty() {
            about.push(format!("Peers: {}.", peers.join(", ")));
        }
        let mut table = Table::new(self.header("time added per operation"));
        if !self.comparisons.is_empty() {
            table.add(
                self.row("an operation, bare", |comparison| human::ns(comparison.bare_ns_per_op.median)),
            );
        }
        self.add_by_workload(&mut table, |cost| human::added_ns(cost.added_ns_per_op.median));
        Section { title: "What it costs".into(), about, table }
    }

    /// What its times are.
    fn times(&self, undisturbed: f64) -> String {
        let had = format!("the bare workloads had their CPUs for {:.1} % of the time", 100.0 * undisturbed);
        match self.clock {
            Clock::Wall => format!("Times are the clock's: {had}."),
            Clock::Cpu => format!(
                "This machine was not quiet: {had}, and others used {:.0} % of all CPUs before. So times are the workloads' CPU time; read ratios.",
                100.0 * self.facts.busy_before
            ),
        }
    }

    fn multiples(&self) -> Section {
        let mut table = Table::new(self.header("time added, by the floor's"));
        self.add_by_workload(&mut table, |cost| or_dash(cost.to_floor, |ratio| ratio.to_string()));
        let about =
            "Of empty programs on the same tracepoints: floor, or floor-all for what traces all caches.";
        Section { title: "As a multiple of the floor".into(), about: vec![about.into()], table }
    }

    /// A row for each contender, a column for each workload.
    fn add_by_workload(&self, table: &mut Table, cell: impl Fn(&Cost) -> String) {
        for contender in self.contenders() {
            let cell = |comparison: &Comparison| or_dash(comparison.cost(contender), &cell);
            table.add(self.row(&contender.name(), cell));
        }
    }

    fn header(&self, title: &str) -> Vec<String> {
        self.row(title, |comparison| comparison.workload.name())
    }

    fn row(&self, name: &str, cell: impl Fn(&Comparison) -> String) -> Vec<String> {
        std::iter::once(name.to_owned()).chain(self.comparisons.iter().map(cell)).collect()
    }

    /// Those that ran or were refused.
    fn contenders(&self) -> Vec<Contender> {
        let ran = self.comparisons.iter().flat_map(|comparison| &comparison.costs).map(|cost| cost.contender);
        let mut contenders: Vec<Contender> =
            ran.chain(self.refusals.iter().map(|(contender, _)| *contender)).collect();
        contenders.sort_unstable();
        contenders.dedup();
        contenders
    }

    fn comparison(&self, comparison: &Comparison) -> Section {
        let hits: Vec<String> = comparison
            .hits
            .iter()
            .map(|(tracepoint, hits)| format!("{} {tracepoint}", human::number(*hits)))
            .collect();
        let bare = comparison.bare_ns_per_op;
        let about = vec![
            format!("An operation: {}.", comparison.workload.operation()),
            format!(
                "Bare it takes {} {}, and hits {}.",
                human::ns(bare.median),
                error(bare),
                hits.join(", ")
            ),
        ];
        let row = |contender| CostRow {
            contender,
            cost: comparison.cost(contender),
            is_refused: self.refusal(contender).is_some(),
        };
        let table = Table::from_rows(&cost_columns(), self.contenders().into_iter().map(row));
        Section { title: comparison.workload.name(), about, table }
    }

    fn refusal(&self, contender: Contender) -> Option<&str> {
        self.refusals.iter().find(|(refused, _)| *refused == contender).map(|(_, why)| why.as_str())
    }

    fn who(&self) -> Section {
        let mut table = Table::new(["contender", "what it is"]).with_text_columns([1]);
        for contender in self.contenders() {
            let refusal = self.refusal(contender);
            let refusal = refusal.map_or_else(String::new, |why| format!("; cannot run here: {why}"));
            table.add([contender.name(), format!("{}{refusal}", contender.description())]);
        }
        let about = vec!["Each runs right after the same process ran bare, and is compared with that. In each round they have another order; peers run in every third round.".into()];
        Section { title: "Contenders".into(), about, table }
    }

    fn targets(&self) -> Section {
        let mut table = Table::new(["what", "target", "measured", "met?"]).with_text_columns([1, 2, 3]);
        for Target { what, target, measured, verdict } in &self.targets {
            table.add([what, target, measured, verdict.name()]);
        }
        let about = vec![
            "Unclear: the runs spread too much to tell. Ratios hold for every workload or are not met."
                .into(),
        ];
        Section { title: "Targets".into(), about, table }
    }
}

fn or_dash<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".into(), show)
}

/// A number of bytes with a fraction.
fn exact_bytes(bytes: f64) -> String {
    format!("{} B", human::number(bytes))
}

fn error(estimate: Estimate) -> String {
    estimate.error().map_or_else(String::new, |error| format!("±{}", human::ns(error)))
}

struct CostRow<'a> {
    contender: Contender,
    cost: Option<&'a Cost>,
    is_refused: bool,
}

fn cost_columns<'a>() -> [Column<CostRow<'a>>; 12] {
    [
        ("contender", |row| row.contender.name()),
        ("added/op", |row| match row.cost {
            Some(cost) => human::added_ns(cost.added_ns_per_op.median),
            None if row.is_refused => "cannot run".into(),
            None => "did not run".into(),
        }),
        ("±", |row| row.cell(|cost| cost.added_ns_per_op.error().map_or_else(String::new, human::ns))),
        ("x floor", |row| row.cell(|cost| or_dash(cost.to_floor, |ratio| human::number(ratio.value)))),
        ("±", |row| {
            row.cell(|cost| {
                cost.to_floor.and_then(|ratio| ratio.error).map_or_else(String::new, human::number)
            })
        }),
        ("added/hit", |row| row.cell(|cost| or_dash(cost.added_ns_per_hit, human::ns))),
        ("own CPU/event", |row| {
            row.tracer_cell(|tracer| or_dash(tracer.cpu_ns_per_event, |cpu| human::ns(cpu.median)))
        }),
        ("events", |row| row.tracer_cell(|tracer| or_dash(tracer.events, human::count))),
        ("lost", |row| row.tracer_cell(|tracer| or_dash(tracer.lost, |lost| human::count(lost as f64)))),
        ("peak RSS", |row| row.tracer_cell(|tracer| human::bytes(tracer.peak_rss_bytes))),
        ("maps", |row| row.tracer_cell(|tracer| human::bytes(tracer.map_bytes))),
        ("written", |row| row.tracer_cell(|tracer| human::bytes(tracer.written_bytes))),
    ]
}

impl CostRow<'_> {
    fn cell(&self, cell: fn(&Cost) -> String) -> String {
        self.cost.map_or_else(String::new, cell)
    }

    fn tracer_cell(&self, cell: fn(&TracerCost) -> String) -> String {
        self.cost.and_then(|cost| cost.tracer.as_ref()).map_or_else(String::new, cell)
    }
}

fn sessions(sessions: &Sessions) -> Section {
    let mut table = Table::new(["what", "figure", "±", "which is"]).with_text_columns([3]);
    let to_first_event = "from exec until a report with events is written, a report each 10 ms";
    let to_detached = "from SIGINT until the last probe is gone; 0.3 s of events wait, the load goes on";
    let times = [
        ("start to attached", sessions.attached_ns, "from exec until the probes are attached"),
        ("start to first event", sessions.first_event_ns, to_first_event),
        ("detach", sessions.probes_gone_ns, to_detached),
        ("end", sessions.gone_ns, "and until the process is gone, its final report written"),
    ];
    for (what, time, about) in times {
        let error = time.error().map_or_else(String::new, human::ns);
        table.add([what, &human::ns(time.median), &error, about]);
    }
    let mut add = |what: &str, figure: String, about: &str| table.add([what, &figure, "", about]);
    let idle = &sessions.idle;
    let own = human::bytes(idle.anonymous_bytes as f64);
    let about_own = format!("resident; {own} of it its own, the rest files and the mapped rings");
    add("idle", human::bytes(idle.rss_bytes as f64), &about_own);
    add("idle", human::bytes(idle.map_bytes as f64), "kernel memory of its BPF maps");
    add("idle", format!("{:.2} %", idle.cpu_percent), "of one CPU");
    for (what, floods) in [("full speed", &sessions.full_speed), ("stopped for 1 s", &sessions.stopped)] {
        for flood in floods {
            add_flood(&mut add, &format!("{what}, {}", flood.workload.name()), flood);
        }
    }
    for recorded in &sessions.recorded {
        add_recorded(&mut add, recorded);
    }
    let about = "memtrace on all caches with names, default settings; full speed: a workload on every CPU.";
    Section { title: "Sessions".into(), about: vec![about.into()], table }
}

fn add_flood(add: &mut impl FnMut(&str, String, &str), what: &str, flood: &Flood) {
    let load = format!("events, on {} CPUs for {:.1} s", flood.cpus, flood.seconds);
    add(what, format!("{}/s", human::count(flood.events_per_s)), &load);
    add(what, or_dash(flood.tracer.lost, |lost| human::count(lost as f64)), "lost");
    let about_cpu = "of its own CPU time for an event, ring to ledger, reports included";
    add(what, or_dash(flood.cpu_ns_per_event, human::ns), about_cpu);
    add(what, human::bytes(flood.tracer.peak_rss_bytes as f64), "resident at most");
}

fn add_recorded(add: &mut impl FnMut(&str, String, &str), recorded: &Recorded) {
    let what = format!("recorded, {}", recorded.flood.workload.name());
    add_flood(add, &what, &recorded.flood);
    let file = format!("of the file for an event; it has {}", human::bytes(recorded.bytes as f64));
    add(&what, or_dash(recorded.bytes_per_event, exact_bytes), &file);
    let rate = or_dash(recorded.reported_per_s, |rate| format!("{}/s", human::count(rate)));
    add(&what, rate, "events, from the file to a report, by CPU time");
    let peak = human::bytes(recorded.report.peak_rss_bytes as f64);
    add(&what, peak, "resident at most, making the report");
}

fn running(running: &[Running]) -> Section {
    let percent = |percent: f64| format!("{percent:.2} %");
    let busy = |running: &Running, figure: fn(&Busy) -> Option<f64>| {
        or_dash(running.busy.as_ref().and_then(figure), percent)
    };
    let mut table = Table::new(["what", "idle", "resident", "its own", "all CPUs busy", "with probes"]);
    for one in running {
        table.add([
            one.name.to_owned(),
            percent(one.idle_percent),
            human::bytes(one.rss_bytes as f64),
            human::bytes(one.anonymous_bytes as f64),
            busy(one, |busy| Some(busy.percent)),
            busy(one, |busy| busy.told_percent),
        ]);
    }
    let about = vec![
        "Percent of one CPU, of the process. All but the watch trace all caches with names. Busy: mix on every CPU.".into(),
        "With probes: by its own account, what its probes take in all others included.".into(),
    ];
    Section { title: "Left running".into(), about, table }
}

fn stages(stages: &[Figures]) -> Section {
    let columns: [Column<&Figures>; 9] = [
        ("stage", |figures| format!("{}: {}", figures.stage, figures.name)),
        ("events/s", |figures| or_dash(figures.events_per_s, human::count)),
        ("an event", |figures| or_dash(figures.ns_per_event, human::ns)),
        ("its bytes", |figures| or_dash(figures.bytes_per_event, exact_bytes)),
        ("an object", |figures| or_dash(figures.bytes_per_object, exact_bytes)),
        ("resident", |figures| or_dash(figures.resident_bytes_per_object, exact_bytes)),
        ("outstanding", |figures| or_dash(figures.outstanding, |count| human::count(count as f64))),
        ("longest pause", |figures| or_dash(figures.longest_pause_ns, human::ns)),
        ("against one", |figures| or_dash(figures.against_one, human::number)),
    ];
    let about =
        "Userspace alone, from a synthetic source, on one CPU; readers: two threads on two, by the clock.";
    let table = Table::from_rows(&columns, stages);
    Section { title: "Stages".into(), about: vec![about.into()], table }
}

fn programs(profile: &Profile) -> Section {
    let columns: [Column<(&str, &ProgramCost)>; 8] = [
        ("cache", |(cache, _)| (*cache).to_owned()),
        ("program", |(_, program)| program.name.clone()),
        ("runs/op", |(_, program)| human::number(program.runs_per_op)),
        ("a run", |(_, program)| human::ns(program.ns_per_run)),
        ("insns", |(_, program)| program.insns.to_string()),
        ("verified", |(_, program)| program.verified_insns.to_string()),
        ("machine code", |(_, program)| human::bytes(f64::from(program.jited_bytes))),
        ("skipped", |(_, program)| human::count(program.recursion_misses as f64)),
    ];
    let programs = profile
        .sessions
        .iter()
        .flat_map(|session| session.programs.iter().map(|program| (session.cache.as_str(), program)));
    let table = Table::from_rows(&columns, programs).with_text_columns([1]);
    let about = vec![
        format!(
            "The kernel's own statistics of each program under the workload {}, less what they cost: {} a run, by an empty program.",
            profile::WORKLOAD.name(),
            human::ns(profile.statistics_ns_per_run)
        ),
        "A program's call is not in it: the floor shows that. The kernel keeps 15 bytes of a name; the second of a name is the backup.".into(),
    ];
    Section { title: "Programs".into(), about, table }
}

fn samples(profile: &Profile) -> Section {
    let title = "Where the CPUs are".to_owned();
    let samples = match &profile.samples {
        Ok(samples) => samples,
        Err(why) => {
            return Section { title, about: vec![format!("Not known here: {why}.")], ..Section::default() };
        }
    };
    let mut table = Table::new(["process", "share", "function"]).with_text_columns([2]);
    for sample in samples {
        for (percent, symbol) in &sample.symbols {
            table.add([sample.process.clone(), format!("{percent:.1} %"), symbol.clone()]);
        }
    }
    let about = vec![format!(
        "Sampled by perf with a timer, under the workload {} (its process is bench) and memtrace on all caches.",
        profile::WORKLOAD.name()
    )];
    Section { title, about, table }
}

#[cfg(test)]
mod tests;
