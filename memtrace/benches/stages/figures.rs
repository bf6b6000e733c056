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
    /// By CPU time of the thread, as everything here.
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
        let mut line = format!("{:<24}", self.name);
        if let (Some(ns), Some(rate)) = (self.ns_per_event, self.events_per_s) {
            line += &format!("{ns:8.1} ns/event {:7.2} M events/s", rate / 1e6);
        }
        if let Some(bytes) = self.bytes_per_event {
            line += &format!("{bytes:7.2} B each");
        }
        if let Some(outstanding) = self.outstanding {
            line += &format!("{outstanding:12} outstanding");
        }
        if let (Some(allocated), Some(resident)) = (self.bytes_per_object, self.resident_bytes_per_object) {
            line += &format!("{allocated:7.2} B each, {resident:.2} B in memory");
        }
        if let Some(pause) = self.longest_pause_ns {
            line += &format!("  longest pause {:.3} ms", pause as f64 / 1e6);
        }
        line
    }
}
