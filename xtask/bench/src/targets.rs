//! What memtrace is to reach, from `targets.toml`, beside what was measured. A bench reports: nothing fails here for being slow.

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::compare::Comparison;
use crate::contender::Contender;
use crate::figures::{Flood, Recorded, Sessions};
use crate::human;
use crate::stages::{self, Figures};
use crate::stats::{Estimate, Ratio, median};
use crate::workload::Workload;

#[derive(Debug, Serialize)]
pub struct Target {
    pub what: String,
    pub target: String,
    pub measured: String,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Met,
    /// The spread of the runs is too wide to tell.
    Unclear,
    NotMet,
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
        verdicts.into_iter().max().unwrap_or(Self::NotMeasured)
    }
}

/// What a figure may be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    /// From `<= 300 ms`; in the unit that figures have.
    fn parse(text: &str) -> Result<Self> {
        let (limit, amount): (fn(f64) -> Self, _) = match text.strip_prefix(">= ") {
            Some(amount) => (Self::AtLeast, amount),
            None => (Self::AtMost, text.trim_start_matches("<= ")),
        };
        let mut words = amount.split(' ');
        let number: f64 = words.next().unwrap_or_default().parse()?;
        let scale = match words.next() {
            None | Some("x" | "ns" | "bytes") => 1.0,
            Some("ms" | "MB" | "M" | "M/s") => 1e6,
            Some(unit) => bail!("unknown unit {unit}"),
        };
        Ok(limit(scale * number))
    }

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

#[derive(Deserialize)]
struct File {
    target: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    what: String,
    limit: String,
    figure: Figure,
}

/// What a target is about.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Figure {
    /// Added time by another contender's, under each workload.
    Ratio {
        of: Contender,
        to: Contender,
    },
    /// memtrace's own CPU time, the most of the workloads at full speed.
    CpuPerEvent,
    Lost(Session),
    RecordedBytesPerEvent,
    FirstEvent,
    IdleMemory,
    Detach,
    /// What the ledger applies, decoding included, in each of its benchmarks.
    LedgerRates,
    ReadRate,
    BytesPerObject,
    LongestPause,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Session {
    FullSpeed,
    Stopped,
    Recorded,
}

/// What targets are compared with.
pub struct Measured<'a> {
    pub comparisons: &'a [Comparison],
    pub sessions: Option<&'a Sessions>,
    pub stages: &'a [Figures],
}

struct Value {
    /// Of what it is, where there are several.
    name: String,
    value: f64,
    error: Option<f64>,
}

/// The benchmark of reading a recording's events.
const READ: &str = "record-read";

/// The size of ledger that targets are for.
const LEDGER_OBJECTS: u64 = 10_000_000;

/// Each target of the file, beside what was measured.
pub fn judge(measured: &Measured) -> Result<Vec<Target>> {
    let file: File = toml::from_str(include_str!("../targets.toml")).context("targets.toml")?;
    file.target.into_iter().map(|entry| entry.judge(measured)).collect()
}

impl Entry {
    fn judge(self, measured: &Measured) -> Result<Target> {
        let limit = Limit::parse(&self.limit).with_context(|| format!("targets.toml: {}", self.limit))?;
        let values = self.figure.values(measured);
        let verdict = |value: &Value| match (self.figure, value.error) {
            // What ran but once or twice may be far off.
            (Figure::Ratio { .. }, None) => Verdict::Unclear,
            (_, error) => limit.verdict(value.value, error),
        };
        Ok(Target {
            verdict: Verdict::all(values.iter().map(verdict)),
            measured: self.figure.summary(&values, limit),
            what: self.what,
            target: self.limit,
        })
    }
}

impl Figure {
    fn values(self, measured: &Measured) -> Vec<Value> {
        let sessions = measured.sessions.iter();
        let stages = measured.stages.iter();
        let floods = sessions.clone().flat_map(|sessions| &sessions.full_speed);
        let recorded = sessions.clone().flat_map(|sessions| &sessions.recorded);
        match self {
            Self::Ratio { of, to } => {
                let ratio = |comparison: &Comparison| {
                    let Ratio { value, error } = comparison.ratio(of, to)?;
                    Some(Value { name: comparison.workload.name(), value, error })
                };
                measured.comparisons.iter().filter_map(ratio).collect()
            }
            Self::CpuPerEvent => greatest(floods.filter_map(Flood::cpu_ns_per_event)),
            Self::Lost(Session::FullSpeed) => losses(floods),
            Self::Lost(Session::Stopped) => losses(sessions.flat_map(|sessions| &sessions.stopped)),
            Self::Lost(Session::Recorded) => losses(recorded.map(|recorded| &recorded.flood)),
            Self::RecordedBytesPerEvent => greatest(
                recorded
                    .filter(|recorded| recorded.flood.workload == Workload::Mix)
                    .filter_map(Recorded::bytes_per_event),
            ),
            Self::FirstEvent => sessions.map(|sessions| Value::from(sessions.first_event_ns)).collect(),
            Self::Detach => sessions.map(|sessions| Value::from(sessions.gone_ns)).collect(),
            Self::IdleMemory => greatest(sessions.map(|sessions| sessions.idle.rss_bytes as f64)),
            Self::LedgerRates => {
                let rate = |figures: &Figures| {
                    Some(Value { name: figures.name.clone(), value: figures.events_per_s?, error: None })
                };
                stages.filter(|figures| figures.stage == stages::LEDGER).filter_map(rate).collect()
            }
            Self::ReadRate => greatest(
                stages.filter(|figures| figures.name == READ).filter_map(|figures| figures.events_per_s),
            ),
            Self::BytesPerObject => greatest(
                stages
                    .filter(|figures| figures.outstanding == Some(LEDGER_OBJECTS))
                    .filter_map(|figures| figures.bytes_per_object),
            ),
            Self::LongestPause => greatest(stages.filter_map(|figures| figures.longest_pause_ns)),
        }
    }

    /// What was measured, as the table shows it.
    fn summary(self, values: &[Value], limit: Limit) -> String {
        match self {
            Self::Ratio { .. } | Self::LedgerRates => self.worst_and_middle(values, limit),
            Self::Lost(_) => {
                let each = values.iter().map(|value| format!("{} ({})", self.shown(value.value), value.name));
                each.collect::<Vec<_>>().join(", ")
            }
            _ => values.first().map_or_else(String::new, |value| self.shown(value.value)),
        }
    }

    fn worst_and_middle(self, values: &[Value], limit: Limit) -> String {
        let worst = values.iter().reduce(|a, b| if limit.is_worse(b.value, a.value) { b } else { a });
        let middle = median(&values.iter().map(|value| value.value).collect::<Vec<_>>());
        let Some((worst, middle)) = worst.zip(middle) else { return String::new() };
        let error = worst.error.map_or_else(String::new, |error| format!(" ±{}", human::number(error)));
        format!(
            "{}{error} at worst ({}), {} in the middle",
            self.shown(worst.value),
            worst.name,
            self.shown(middle)
        )
    }

    fn shown(self, value: f64) -> String {
        match self {
            Self::Ratio { .. } => human::number(value),
            Self::Lost(_) => human::count(value),
            Self::CpuPerEvent | Self::FirstEvent | Self::Detach | Self::LongestPause => human::ns(value),
            Self::RecordedBytesPerEvent | Self::BytesPerObject => format!("{} bytes", human::number(value)),
            Self::IdleMemory => format!("{} MB", human::number(value / 1e6)),
            Self::LedgerRates | Self::ReadRate => format!("{}/s", human::count(value)),
        }
    }
}

fn losses<'a>(floods: impl Iterator<Item = &'a Flood>) -> Vec<Value> {
    let lost = |flood: &Flood| {
        Some(Value { name: flood.workload.name(), value: flood.tracer.lost? as f64, error: None })
    };
    floods.filter_map(lost).collect()
}

fn greatest(values: impl Iterator<Item = f64>) -> Vec<Value> {
    let greatest = values.reduce(f64::max);
    greatest.map(|value| Value { name: String::new(), value, error: None }).into_iter().collect()
}

impl From<Estimate> for Value {
    fn from(estimate: Estimate) -> Self {
        Self { name: String::new(), value: estimate.median, error: estimate.error() }
    }
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
    fn a_limit_is_in_the_unit_of_its_figure() {
        let limit = |text| Limit::parse(text).unwrap();
        assert_eq!(limit("<= 1.15 x floor"), Limit::AtMost(1.15));
        assert_eq!(limit("<= 300 ms"), Limit::AtMost(300e6));
        assert_eq!(limit(">= 10 M events/s"), Limit::AtLeast(10e6));
        assert_eq!(limit("0"), Limit::AtMost(0.0));
        assert!(Limit::parse("<= 3 furlongs").is_err());
        assert!(Limit::parse("<= few").is_err());
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
