//! All figures as sections of one report, in the order in which they are read.

use serde::Serialize;

use super::compare::{Clock, Comparison, Cost, TracerCost};
use super::contender::Contender;
use super::facts::Facts;
use super::human;
use super::micro;
use super::profile::{self, Profile};
use super::recorded::Recorded;
use super::sessions::{Flood, Sessions};
use super::stats::Estimate;
use super::table::{Section, Table};
use super::targets::Target;

/// What one bench found out.
#[derive(Debug, Serialize)]
pub struct Report {
    pub facts: Facts,
    /// For which share of the time the bare workloads had their CPUs: 0 to 1.
    pub undisturbed: f64,
    /// What the comparisons' times are.
    pub clock: Clock,
    pub rounds: usize,
    pub seconds_per_run: f64,
    pub comparisons: Vec<Comparison>,
    /// Contenders that could not run, and why.
    pub refusals: Vec<(Contender, String)>,
    pub sessions: Option<Sessions>,
    pub micro: Vec<micro::Results>,
    pub profile: Option<Profile>,
    pub targets: Vec<Target>,
}

impl Report {
    pub fn sections(&self) -> Vec<Section> {
        let mut sections = vec![self.overview(), self.multiples(), self.who()];
        sections.extend(self.comparisons.iter().map(|comparison| self.comparison(comparison)));
        sections.extend(self.sessions.as_ref().map(sessions));
        if !self.micro.is_empty() {
            sections.push(stages(&self.micro));
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
        let had =
            format!("the bare workloads had their CPUs for {:.1} % of the time", 100.0 * self.undisturbed);
        about.push(match self.clock {
            Clock::Wall => format!("Times are the clock's: {had}."),
            Clock::Cpu => format!(
                "This machine was not quiet: {had}, and others used {:.0} % of all CPUs before. So times are the workloads' CPU time; read ratios.",
                100.0 * facts.busy_before
            ),
        });
        let peers: Vec<String> =
            facts.peers.iter().map(|(name, version)| format!("{name} {version}")).collect();
        if !peers.is_empty() {
            about.push(format!("Peers: {}.", peers.join(", ")));
        }
        let mut table =
            self.by_workload("time added per operation", |cost| human::added_ns(cost.added_ns_per_op.median));
        table
            .insert(self.row("an operation, bare", |comparison| human::ns(comparison.bare_ns_per_op.median)));
        Section { title: "What it costs".into(), about, table }
    }

    fn multiples(&self) -> Section {
        let to_floor = |cost: &Cost| cost.to_floor.map_or_else(|| "-".into(), |ratio| ratio.to_string());
        Section {
            title: "As a multiple of the floor".into(),
            about: vec![
                "Of empty programs on the same tracepoints: floor, or floor-all for what traces all caches."
                    .into(),
            ],
            table: self.by_workload("time added, by the floor's", to_floor),
        }
    }

    /// A row for each contender, a column for each workload.
    fn by_workload(&self, title: &str, cell: impl Fn(&Cost) -> String) -> Table {
        let mut table = Table::new(self.row(title, |comparison| comparison.workload.name().to_owned()));
        for contender in self.contenders() {
            let cell = |comparison: &Comparison| comparison.cost(contender).map_or_else(|| "-".into(), &cell);
            table.add(self.row(contender.name(), cell));
        }
        table
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
        let mut table = Table::new([
            "contender",
            "added/op",
            "±",
            "x floor",
            "±",
            "added/hit",
            "own CPU/event",
            "events",
            "lost",
            "peak RSS",
            "maps",
            "written",
        ]);
        for contender in self.contenders() {
            match comparison.cost(contender) {
                Some(cost) => table.add(cost_row(cost)),
                None if self.refusal(contender).is_some() => table.add([contender.name(), "cannot run"]),
                None => table.add([contender.name(), "did not run"]),
            }
        }
        Section { title: comparison.workload.name().to_owned(), about, table }
    }

    fn refusal(&self, contender: Contender) -> Option<&str> {
        self.refusals.iter().find(|(refused, _)| *refused == contender).map(|(_, why)| why.as_str())
    }

    fn who(&self) -> Section {
        let mut table = Table::new(["contender", "what it is"]).with_text_columns([1]);
        for contender in self.contenders() {
            let refusal = self.refusal(contender);
            let refusal = refusal.map_or_else(String::new, |why| format!("; cannot run here: {why}"));
            table.add([contender.name(), &format!("{}{refusal}", contender.what())]);
        }
        let about = vec!["Each runs right after the same process ran bare, and is compared with that. In each round they have another order; peers run in every third round.".into()];
        Section { title: "Contenders".into(), about, table }
    }

    fn targets(&self) -> Section {
        let mut table = Table::new(["what", "target", "measured", "met?"]).with_text_columns([1, 2, 3]);
        for Target { what, target, measured, verdict } in &self.targets {
            table.add([*what, target, measured, verdict.name()]);
        }
        let about = vec![
            "Unclear: the runs spread too much to tell. Ratios hold for every workload or are not met."
                .into(),
        ];
        Section { title: "Targets".into(), about, table }
    }
}

fn error(estimate: Estimate) -> String {
    estimate.error().map_or_else(String::new, |error| format!("±{}", human::ns(error)))
}

fn cost_row(cost: &Cost) -> Vec<String> {
    let nothing = || "-".to_owned();
    let ratio_error = cost.to_floor.and_then(|ratio| ratio.error);
    let mut row = vec![
        cost.contender.name().to_owned(),
        human::added_ns(cost.added_ns_per_op.median),
        cost.added_ns_per_op.error().map_or_else(String::new, human::ns),
        cost.to_floor.map_or_else(nothing, |ratio| human::number(ratio.value)),
        ratio_error.map_or_else(String::new, human::number),
        cost.added_ns_per_hit.map_or_else(nothing, human::ns),
    ];
    row.extend(cost.tracer.as_ref().map_or_else(Vec::new, tracer_cells));
    row
}

fn tracer_cells(tracer: &TracerCost) -> Vec<String> {
    let nothing = || "-".to_owned();
    vec![
        tracer.cpu_ns_per_event.map_or_else(nothing, |cpu| human::ns(cpu.median)),
        tracer.events.map_or_else(nothing, human::count),
        tracer.lost.map_or_else(nothing, |lost| human::count(lost as f64)),
        human::bytes(tracer.peak_rss_bytes),
        human::bytes(tracer.map_bytes),
        human::bytes(tracer.written_bytes),
    ]
}

fn sessions(sessions: &Sessions) -> Section {
    let mut table = Table::new(["what", "figure", "±", "which is"]).with_text_columns([3]);
    let mut time = |what: &str, time: Estimate, about: &str| {
        table.add([what, &human::ns(time.median), &time.error().map_or_else(String::new, human::ns), about]);
    };
    time("start to attached", sessions.attached_ns, "from exec until the probes are attached");
    time(
        "start to first event",
        sessions.first_event_ns,
        "from exec until a report with events is written, a report each 10 ms",
    );
    time(
        "detach",
        sessions.probes_gone_ns,
        "from SIGINT until the last probe is gone; 0.3 s of events wait, the load goes on",
    );
    time("end", sessions.gone_ns, "and until the process is gone, its final report written");
    let idle = &sessions.idle;
    let rss = format!(
        "resident; {} of it its own, the rest files and the mapped rings",
        human::bytes(idle.anonymous_bytes as f64)
    );
    table.add(["idle", &human::bytes(idle.rss_bytes as f64), "", &rss]);
    table.add(["idle", &human::bytes(idle.map_bytes as f64), "", "kernel memory of its BPF maps"]);
    table.add(["idle", &format!("{:.2} %", idle.cpu_percent), "", "of one CPU"]);
    for (what, floods) in [("full speed", &sessions.full_speed), ("stopped for 1 s", &sessions.stopped)] {
        for flood in floods {
            flood_rows(&mut table, &format!("{what}, {}", flood.workload.name()), flood);
        }
    }
    for recorded in &sessions.recorded {
        recorded_rows(&mut table, recorded);
    }
    let about = vec![
        "memtrace on all caches with names, default settings; full speed: a workload on every CPU.".into(),
    ];
    Section { title: "Sessions".into(), about, table }
}

fn flood_rows(table: &mut Table, what: &str, flood: &Flood) {
    let load = format!("on {} CPUs for {:.1} s", flood.cpus, flood.seconds);
    table.add([what, &format!("{}/s", human::count(flood.events_per_s)), "", &format!("events, {load}")]);
    let lost = flood.tracer.lost.map_or_else(|| "-".into(), |lost| human::count(lost as f64));
    table.add([what, &lost, "", "lost"]);
    let cpu = flood.cpu_ns_per_event().map_or_else(|| "-".into(), human::ns);
    table.add([what, &cpu, "", "of its own CPU time for an event, ring to ledger, reports included"]);
    table.add([what, &human::bytes(flood.tracer.peak_rss_bytes as f64), "", "resident at most"]);
}

fn recorded_rows(table: &mut Table, recorded: &Recorded) {
    let what = format!("recorded, {}", recorded.flood.workload.name());
    flood_rows(table, &what, &recorded.flood);
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let each = recorded.bytes_per_event().map(|bytes| format!("{} B", human::number(bytes)));
    let all = format!("of the file for an event; it has {}", human::bytes(recorded.bytes as f64));
    table.add([&what, &or_none(each), "", &all]);
    let rate = recorded.reported_per_s().map(|rate| format!("{}/s", human::count(rate)));
    table.add([&what, &or_none(rate), "", "events, from the file to a report, by CPU time"]);
    let rss = human::bytes(recorded.report.peak_rss_bytes as f64);
    table.add([&what, &rss, "", "resident at most, making the report"]);
}

fn stages(results: &[micro::Results]) -> Section {
    let mut table = Table::new([
        "stage",
        "events/s",
        "an event",
        "its bytes",
        "an object",
        "resident",
        "outstanding",
        "longest pause",
    ]);
    for result in results {
        if let Some(missing) = &result.missing {
            table.add([format!("{}: {missing}", result.name)]);
        }
        for figures in &result.figures {
            let show = |value: Option<f64>, show: fn(f64) -> String| value.map_or_else(|| "-".into(), show);
            table.add([
                format!("{}: {}", result.name, figures.name),
                show(figures.events_per_s, human::count),
                show(figures.ns_per_event, human::ns),
                show(figures.bytes_per_event, |bytes| format!("{} B", human::number(bytes))),
                show(figures.bytes_per_object, |bytes| format!("{} B", human::number(bytes))),
                show(figures.resident_bytes_per_object, |bytes| format!("{} B", human::number(bytes))),
                show(figures.outstanding.map(|count| count as f64), human::count),
                show(figures.longest_pause_ns, human::ns),
            ]);
        }
    }
    Section {
        title: "Stages".into(),
        about: vec!["Userspace alone, from a synthetic source, on one CPU.".into()],
        table,
    }
}

fn programs(profile: &Profile) -> Section {
    let mut table =
        Table::new(["cache", "program", "runs/op", "a run", "insns", "verified", "machine code", "skipped"])
            .with_text_columns([1]);
    for session in &profile.sessions {
        for program in &session.programs {
            table.add([
                session.cache.clone(),
                program.name.clone(),
                human::number(program.runs_per_op),
                human::ns(program.ns_per_run),
                program.insns.to_string(),
                program.verified_insns.to_string(),
                human::bytes(f64::from(program.jited_bytes)),
                human::count(program.recursion_misses as f64),
            ]);
        }
    }
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
        "Sampled by perf with a timer, under the workload {} (its process is xtask) and memtrace on all caches.",
        profile::WORKLOAD.name()
    )];
    Section { title, about, table }
}

#[cfg(test)]
mod tests;
