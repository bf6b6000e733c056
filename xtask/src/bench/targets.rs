//! What memtrace is to reach, beside what was measured. A bench reports: nothing fails here for being slow.

use serde::Serialize;

use super::compare::Comparison;
use super::contender::Contender;
use super::human;
use super::micro;
use super::recorded::Recorded;
use super::sessions::{Flood, Sessions};
use super::stats::{Estimate, Ratio, median};
use super::workload::Workload;

#[derive(Debug, Serialize)]
pub struct Target {
    pub what: &'static str,
    pub target: &'static str,
    pub measured: String,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Met,
    NotMet,
    /// The spread of the runs is too wide to tell.
    Unclear,
    NotMeasured,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "not met",
            Self::Unclear => "unclear",
            Self::NotMeasured => "not measured",
        }
    }

    /// All parts together: one that is not met decides.
    fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        let worse = |a: Self, b: Self| match (a, b) {
            (Self::NotMet, _) | (_, Self::NotMet) => Self::NotMet,
            (Self::Unclear, _) | (_, Self::Unclear) => Self::Unclear,
            _ => Self::Met,
        };
        verdicts.into_iter().reduce(worse).unwrap_or(Self::NotMeasured)
    }
}

/// What a figure may be.
#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    fn verdict(self, value: f64, error: Option<f64>) -> Verdict {
        let error = error.unwrap_or(0.0);
        let (within, limit) = match self {
            Self::AtMost(most) => (value <= most, most),
            Self::AtLeast(least) => (value >= least, least),
        };
        match within {
            _ if (value - limit).abs() < error => Verdict::Unclear,
            true => Verdict::Met,
            false => Verdict::NotMet,
        }
    }

    /// Whether the first is further from being met.
    fn is_worse(self, a: f64, b: f64) -> bool {
        match self {
            Self::AtMost(_) => a > b,
            Self::AtLeast(_) => a < b,
        }
    }
}

const MEGABYTE: f64 = 1e6;
const MILLISECOND: f64 = 1e6;

/// The benchmark of reading a recording's events.
const READ: &str = "record-read";

/// The size of ledger that targets are for.
const LEDGER_OBJECTS: u64 = 10_000_000;

pub fn of(comparisons: &[Comparison], sessions: Option<&Sessions>, micro: &[micro::Results]) -> Vec<Target> {
    [of_comparisons(comparisons), of_sessions(sessions), of_stages(micro)].into_iter().flatten().collect()
}

fn of_comparisons(comparisons: &[Comparison]) -> Vec<Target> {
    let to_floor = |what, target, contender: Contender, limit| {
        let floor = contender.floor().unwrap_or(Contender::Bare);
        of_ratios(what, target, limit, comparisons, |comparison| comparison.ratio(contender, floor))
    };
    let dearer = |what, target, peer, limit| {
        of_ratios(what, target, limit, comparisons, |comparison| comparison.ratio(peer, Contender::All))
    };
    vec![
        to_floor(
            "an event that is filtered out",
            "<= 1.15 x floor",
            Contender::Filtered,
            Limit::AtMost(1.15),
        ),
        to_floor("dentry, added per operation", "<= 2 x floor", Contender::Dentry, Limit::AtMost(2.0)),
        to_floor("all caches, added per operation", "<= 3 x floor-all", Contender::All, Limit::AtMost(3.0)),
        dearer(
            "bpftrace on dentry, against all",
            ">= 2 x memtrace",
            Contender::Bpftrace,
            Limit::AtLeast(2.0),
        ),
        dearer("rows by process and cgroup", "<= 1.3 x all", Contender::AllWho, Limit::AtMost(1.3)),
        dearer("stacks, of one in 32", "<= 1.3 x all", Contender::AllStacks, Limit::AtMost(1.3)),
        dearer("perf kmem, against all", ">= 6 x memtrace", Contender::PerfKmem, Limit::AtLeast(6.0)),
    ]
}

/// A target that holds for every workload.
fn of_ratios(
    what: &'static str,
    target: &'static str,
    limit: Limit,
    comparisons: &[Comparison],
    ratio: impl Fn(&Comparison) -> Option<Ratio>,
) -> Target {
    let ratios: Vec<(Workload, Ratio)> =
        comparisons.iter().filter_map(|comparison| Some((comparison.workload, ratio(comparison)?))).collect();
    let values: Vec<f64> = ratios.iter().map(|(_, ratio)| ratio.value).collect();
    let worst = ratios.iter().reduce(|a, b| if limit.is_worse(b.1.value, a.1.value) { b } else { a });
    let measured = worst.zip(median(&values)).map_or_else(String::new, |((workload, ratio), median)| {
        format!("{} at worst ({}), {} in the middle", ratio, workload.name(), human::number(median))
    });
    // What ran but once or twice may be far off.
    let verdict = |ratio: &Ratio| match ratio.error {
        Some(_) => limit.verdict(ratio.value, ratio.error),
        None => Verdict::Unclear,
    };
    let verdict = Verdict::all(ratios.iter().map(|(_, ratio)| verdict(ratio)));
    Target { what, target, measured, verdict }
}

fn of_sessions(sessions: Option<&Sessions>) -> Vec<Target> {
    let figure = |what, target, limit, value: Option<f64>, show: fn(f64) -> String| {
        of_figure(what, target, limit, value.map(|value| (value, None)), show)
    };
    let time = |what, target, most, time: Option<Estimate>| {
        of_figure(what, target, Limit::AtMost(most), time.map(|time| (time.median, time.error())), human::ns)
    };
    let dearest =
        |sessions: &Sessions| sessions.full_speed.iter().filter_map(Flood::cpu_ns_per_event).reduce(f64::max);
    vec![
        figure(
            "userspace, ring to ledger, an event",
            "<= 100 ns of CPU",
            Limit::AtMost(100.0),
            sessions.and_then(dearest),
            human::ns,
        ),
        of_losses("lost, all CPUs at full speed", sessions.map(|sessions| sessions.full_speed.iter())),
        of_losses("lost, and stopped for 1 s meanwhile", sessions.map(|sessions| sessions.stopped.iter())),
        of_losses(
            "lost, all CPUs at full speed, recorded",
            sessions.map(|sessions| sessions.recorded.iter().map(|recorded| &recorded.flood)),
        ),
        figure(
            "recording, an event of the mix",
            "<= 6 bytes",
            Limit::AtMost(6.0),
            sessions.and_then(of_mix),
            |bytes| format!("{} bytes", human::number(bytes)),
        ),
        time(
            "start to first event",
            "<= 300 ms",
            300.0 * MILLISECOND,
            sessions.map(|sessions| sessions.first_event_ns),
        ),
        figure(
            "resident when idle",
            "<= 30 MB",
            Limit::AtMost(30.0 * MEGABYTE),
            sessions.map(|sessions| sessions.idle.rss_bytes as f64),
            |bytes| format!("{} MB", human::number(bytes / MEGABYTE)),
        ),
        time(
            "detach, events waiting",
            "<= 100 ms",
            100.0 * MILLISECOND,
            sessions.map(|sessions| sessions.gone_ns),
        ),
    ]
}

fn of_mix(sessions: &Sessions) -> Option<f64> {
    let mix = sessions.recorded.iter().find(|recorded| recorded.flood.workload == Workload::Mix);
    mix.and_then(Recorded::bytes_per_event)
}

fn of_losses<'a>(what: &'static str, floods: Option<impl Iterator<Item = &'a Flood>>) -> Target {
    let losses: Vec<(Workload, u64)> =
        floods.into_iter().flatten().filter_map(|flood| Some((flood.workload, flood.tracer.lost?))).collect();
    let texts: Vec<String> = losses
        .iter()
        .map(|(workload, lost)| format!("{} ({})", human::count(*lost as f64), workload.name()))
        .collect();
    let verdict = |(_, lost): &(Workload, u64)| if *lost == 0 { Verdict::Met } else { Verdict::NotMet };
    let verdict = Verdict::all(losses.iter().map(verdict));
    Target { what, target: "0", measured: texts.join(", "), verdict }
}

fn of_figure(
    what: &'static str,
    target: &'static str,
    limit: Limit,
    figure: Option<(f64, Option<f64>)>,
    show: fn(f64) -> String,
) -> Target {
    let Some((value, error)) = figure else {
        return Target { what, target, measured: String::new(), verdict: Verdict::NotMeasured };
    };
    Target { what, target, measured: show(value), verdict: limit.verdict(value, error) }
}

/// What the ledger applies, decoding included, in each of its benchmarks.
fn of_rates(results: &[micro::Results]) -> Target {
    let ledger = results.iter().filter(|results| results.name == micro::LEDGER);
    let rates: Vec<(&str, f64)> = ledger
        .flat_map(|results| &results.figures)
        .filter_map(|figures| Some((figures.name.as_str(), figures.events_per_s?)))
        .collect();
    let middle = median(&rates.iter().map(|(_, rate)| *rate).collect::<Vec<_>>());
    let slowest = rates.iter().reduce(|a, b| if b.1 < a.1 { b } else { a });
    let measured = slowest.zip(middle).map_or_else(String::new, |((name, rate), middle)| {
        format!("{}/s at worst ({name}), {}/s in the middle", human::count(*rate), human::count(middle))
    });
    let limit = Limit::AtLeast(5e6);
    let verdict = Verdict::all(rates.iter().map(|(_, rate)| limit.verdict(*rate, None)));
    Target { what: "events from a synthetic source", target: ">= 5 M/s", measured, verdict }
}

fn of_stages(results: &[micro::Results]) -> Vec<Target> {
    let figures = || results.iter().flat_map(|results| &results.figures);
    let large = || figures().filter(|figures| figures.outstanding == Some(LEDGER_OBJECTS));
    let greatest = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::max).map(|value| (value, None));
    vec![
        of_rates(results),
        of_figure(
            "recording, read",
            ">= 10 M events/s",
            Limit::AtLeast(10e6),
            greatest(
                &mut figures()
                    .filter(|figures| figures.name == READ)
                    .filter_map(|figures| figures.events_per_s),
            ),
            |rate| format!("{}/s", human::count(rate)),
        ),
        of_figure(
            "ledger, an object at 10 million",
            "<= 32 bytes",
            Limit::AtMost(32.0),
            greatest(&mut large().filter_map(|figures| figures.bytes_per_object)),
            |bytes| format!("{} bytes", human::number(bytes)),
        ),
        of_figure(
            "ledger, longest pause",
            "<= 20 ms",
            Limit::AtMost(20.0 * MILLISECOND),
            greatest(&mut figures().filter_map(|figures| figures.longest_pause_ns)),
            human::ns,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_within_its_error_of_the_limit_is_unclear() {
        let most = Limit::AtMost(2.0);
        assert_eq!(most.verdict(1.5, Some(0.1)), Verdict::Met);
        assert_eq!(most.verdict(1.95, Some(0.1)), Verdict::Unclear);
        assert_eq!(most.verdict(2.05, Some(0.1)), Verdict::Unclear);
        assert_eq!(most.verdict(2.5, Some(0.1)), Verdict::NotMet);
        assert_eq!(most.verdict(2.0, None), Verdict::Met);
        let least = Limit::AtLeast(6.0);
        assert_eq!(least.verdict(8.0, Some(1.0)), Verdict::Met);
        assert_eq!(least.verdict(5.0, Some(0.5)), Verdict::NotMet);
        assert_eq!(Limit::AtMost(0.0).verdict(0.0, None), Verdict::Met);
        assert_eq!(Limit::AtMost(0.0).verdict(1.0, None), Verdict::NotMet);
    }

    #[test]
    fn one_part_that_is_not_met_decides() {
        use Verdict::{Met, NotMeasured, NotMet, Unclear};
        assert_eq!(Verdict::all([Met, Met]), Met);
        assert_eq!(Verdict::all([Met, Unclear, Met]), Unclear);
        assert_eq!(Verdict::all([Unclear, NotMet, Met]), NotMet);
        assert_eq!(Verdict::all([]), NotMeasured);
    }
}
