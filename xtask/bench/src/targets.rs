//! What memtrace is to reach, from `targets.toml`, beside what was measured. A bench reports: nothing fails here for being slow.

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::human;
use crate::stats::{Estimate, Ratio, median};

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
        let number: f64 = amount.split(' ').next().unwrap_or_default().parse()?;
        let scale = match unit(amount) {
            "" | "x" | "%" | "ns" | "bytes" => 1.0,
            "ms" | "MB" | "M" | "M/s" => 1e6,
            "MiB" => 1_048_576.0,
            unit => bail!("unknown unit {unit}"),
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

/// What follows the number of a limit.
fn unit(limit: &str) -> &str {
    limit.trim_start_matches(['<', '>', '=', ' ']).split(' ').nth(1).unwrap_or_default()
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
    figure: String,
    show: Show,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Show {
    Worst,
    Spread,
    Each,
}

/// A figure in `results.json`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Figure {
    Number(f64),
    Estimate(Estimate),
    Ratio(Ratio),
}

impl Figure {
    fn value(self) -> f64 {
        match self {
            Self::Number(value) => value,
            Self::Estimate(estimate) => estimate.median,
            Self::Ratio(ratio) => ratio.value,
        }
    }

    fn verdict(self, limit: Limit) -> Verdict {
        match self {
            Self::Number(value) => limit.verdict(value, None),
            Self::Estimate(estimate) => limit.verdict(estimate.median, estimate.error()),
            // What ran but once or twice may be far off.
            Self::Ratio(Ratio { error: None, .. }) => Verdict::Unclear,
            Self::Ratio(Ratio { value, error }) => limit.verdict(value, error),
        }
    }
}

/// Each target of the file, beside what is in `results`.
pub fn judge(results: &Json) -> Result<Vec<Target>> {
    entries()?.into_iter().map(|entry| entry.judge(results)).collect()
}

fn entries() -> Result<Vec<Entry>> {
    let file: File = toml::from_str(include_str!("../targets.toml")).context("targets.toml")?;
    Ok(file.target)
}

impl Entry {
    fn judge(self, results: &Json) -> Result<Target> {
        let limit = Limit::parse(&self.limit).with_context(|| format!("targets.toml: {}", self.limit))?;
        let figures = figures(results, &self.figure);
        Ok(Target {
            verdict: Verdict::all(figures.iter().map(|(_, figure)| figure.verdict(limit))),
            measured: self.measured(&figures, limit).unwrap_or_default(),
            what: self.what,
            target: self.limit,
        })
    }

    fn measured(&self, figures: &[(&str, Figure)], limit: Limit) -> Option<String> {
        let text = |value: f64| shown(value, unit(&self.limit));
        if let Show::Each = self.show {
            let each = figures.iter().map(|(name, figure)| format!("{} ({name})", text(figure.value())));
            return Some(each.collect::<Vec<_>>().join(", "));
        }
        let is_worse = |a: Figure, b: Figure| limit.is_worse(a.value(), b.value());
        let (name, worst) = figures.iter().copied().reduce(|a, b| if is_worse(b.1, a.1) { b } else { a })?;
        let Show::Spread = self.show else { return Some(text(worst.value())) };
        let middle = median(&figures.iter().map(|(_, figure)| figure.value()).collect::<Vec<_>>())?;
        let worst = if let Figure::Ratio(ratio) = worst { ratio.to_string() } else { text(worst.value()) };
        Some(format!("{worst} at worst ({name}), {} in the middle", text(middle)))
    }
}

fn shown(value: f64, unit: &str) -> String {
    match unit {
        "ns" | "ms" => human::ns(value),
        "bytes" => format!("{} bytes", human::number(value)),
        "MB" => format!("{} MB", human::number(value / 1e6)),
        "M" | "M/s" => format!("{}/s", human::count(value)),
        "MiB" => human::bytes(value),
        "%" => format!("{} %", human::number(value)),
        "x" => human::number(value),
        _ => human::count(value),
    }
}

/// The figures at a path, each with the workload or the benchmark that it is of.
fn figures<'a>(results: &'a Json, path: &str) -> Vec<(&'a str, Figure)> {
    let mut found = vec![("", results)];
    for step in path.split('.') {
        let next = |(name, value): (&'a str, &'a Json)| children(value, step).map(move |child| (name, child));
        let named = |(name, value): (&'a str, &'a Json)| {
            let own = ["workload", "name"].iter().find_map(|key| value[*key].as_str());
            (own.unwrap_or(name), value)
        };
        found = found.into_iter().flat_map(next).map(named).collect();
    }
    let figure = |(name, value)| Some((name, Figure::deserialize(value).ok()?));
    found.into_iter().filter_map(figure).collect()
}

fn children<'a>(value: &'a Json, step: &str) -> Box<dyn Iterator<Item = &'a Json> + 'a> {
    let Json::Array(items) = value else { return Box::new(value.get(step).into_iter()) };
    let Some((key, wanted)) = step.split_once('=') else { return Box::new(items.iter()) };
    let (key, wanted) = (key.to_owned(), wanted.to_owned());
    Box::new(items.iter().filter(move |item| match &item[key.as_str()] {
        Json::String(text) => *text == wanted,
        other => wanted.parse::<Json>().is_ok_and(|wanted| wanted == *other),
    }))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Where each target's figure is.
    pub fn paths() -> Vec<String> {
        entries().unwrap().into_iter().map(|entry| entry.figure).collect()
    }

    pub fn has_figures(results: &Json, path: &str) -> bool {
        !figures(results, path).is_empty()
    }

    #[test]
    fn figures_are_found_by_their_path_and_have_the_name_of_their_workload() {
        let results = serde_json::json!({"comparisons": [
            {"workload": "fork", "costs": [
                {"contender": "all", "to_floor": {"value": 3.0, "error": 0.1}},
                {"contender": "dentry", "to_floor": {"value": 2.0, "error": null}},
            ]},
            {"workload": "open", "costs": [{"contender": "all", "to_floor": null}]},
        ], "idle": {"rss_bytes": 5, "ns": {"median": 2.0, "mad": 0.0, "runs": 3}}});
        let ratio = |value, error| Figure::Ratio(Ratio { value, error });
        let all = figures(&results, "comparisons.*.costs.contender=all.to_floor");
        assert_eq!(all, [("fork", ratio(3.0, Some(0.1)))]);
        let any = figures(&results, "comparisons.*.costs.*.to_floor");
        assert_eq!(any, [("fork", ratio(3.0, Some(0.1))), ("fork", ratio(2.0, None))]);
        assert_eq!(figures(&results, "idle.rss_bytes"), [("", Figure::Number(5.0))]);
        let ns = Estimate { median: 2.0, mad: 0.0, runs: 3 };
        assert_eq!(figures(&results, "idle.ns"), [("", Figure::Estimate(ns))]);
        assert_eq!(figures(&results, "idle.*.none"), []);
    }

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
        assert_eq!(limit("<= 64 MiB"), Limit::AtMost(67_108_864.0));
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
