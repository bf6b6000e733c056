//! What a benchmark measured: a line for people, or with `--json` one JSON object a line.

use clap::Parser;
use serde::Serialize;

#[derive(Parser)]
pub struct Args {
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// A few seconds instead of minutes
    #[arg(long)]
    pub quick: bool,
    /// Only benchmarks whose names contain this
    filter: Option<String>,
    /// What cargo passes
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    pub fn wants(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| name.contains(filter))
    }

    pub fn print(&self, figures: &Figures) {
        if self.json {
            println!("{}", serde_json::to_string(figures).expect("numbers and a name"));
        } else {
            println!("{}", figures.line());
        }
    }
}

/// What is not measured is null.
#[derive(Default, Serialize)]
pub struct Figures {
    pub stage: &'static str,
    pub name: String,
    /// By CPU time of the thread, as everything here but for [`Self::against_one`].
    pub events_per_s: Option<f64>,
    pub ns_per_event: Option<f64>,
    /// In a recording.
    pub bytes_per_event: Option<f64>,
    /// Allocated bytes for each outstanding object.
    pub bytes_per_object: Option<f64>,
    /// The same by what is in memory.
    pub resident_bytes_per_object: Option<f64>,
    pub outstanding: Option<usize>,
    /// The longest time that one batch of events took.
    pub longest_pause_ns: Option<u64>,
    /// How many times as many events two threads follow as one does, by the clock.
    pub against_one: Option<f64>,
}

impl Figures {
    pub fn new(stage: &'static str, name: &str) -> Self {
        Self { stage, name: name.to_owned(), ..Self::default() }
    }

    /// These events took this time.
    pub fn speed(mut self, events: usize, cpu_ns: u64) -> Self {
        let ns = cpu_ns as f64 / events as f64;
        self.ns_per_event = Some(ns);
        self.events_per_s = Some(1e9 / ns);
        self
    }

    fn line(&self) -> String {
        let figures = [
            (self.ns_per_event, "ns/event"),
            (self.events_per_s.map(|rate| rate / 1e6), "M events/s"),
            (self.against_one, "x one thread"),
            (self.bytes_per_event, "B/event"),
            (self.outstanding.map(|count| count as f64), "outstanding"),
            (self.bytes_per_object, "B/object"),
            (self.resident_bytes_per_object, "B/object resident"),
            (self.longest_pause_ns.map(|ns| ns as f64 / 1e6), "ms longest pause"),
        ];
        let shown = figures.into_iter().filter_map(|(value, unit)| Some(format!("  {:.2} {unit}", value?)));
        format!("{:<18}{}", self.name, shown.collect::<String>())
    }
}
