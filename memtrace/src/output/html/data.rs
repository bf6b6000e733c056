//! What the page's script draws from, as JSON in a compact form that only this page reads. Names in it are escaped as for a
//! terminal, and the script sets them as text.

use std::collections::HashMap;
use std::io;
use std::iter::repeat;
use std::time::{Duration, SystemTime};

use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use crate::{
    output::json,
    text::{escape, frame},
    view::{
        profile::Profile,
        series::{Line, Mark, Series},
    },
};

/// Of the year 9999.
const LAST_MILLISECOND: u64 = 253_402_300_799_999;

/// A script element with data in it.
pub(super) fn script(id: &str, data: &impl Serialize) -> io::Result<Markup> {
    let json = PreEscaped(escape::json_in_html(json::line_of(data)?.trim_end()));
    Ok(html! { script type="application/json" id=(id) { (json) } })
}

pub(super) fn of_series(series: &Series) -> impl Serialize + use<> {
    SeriesJson::from(series)
}

pub(super) fn of_profile(profile: &Profile) -> impl Serialize + use<> {
    ProfileJson::from(profile)
}

#[derive(Serialize)]
struct SeriesJson {
    /// Of each point, milliseconds since the epoch.
    time_ms: Vec<u64>,
    elapsed_ms: Vec<u64>,
    slab: Vec<Option<u64>>,
    caches: Vec<LineJson>,
    rows: Vec<LineJson>,
    marks: Vec<MarkJson>,
}

#[derive(Serialize)]
struct LineJson {
    name: String,
    objects: Vec<u64>,
    bytes: Vec<u64>,
}

#[derive(Serialize)]
struct MarkJson {
    elapsed_ms: u64,
    label: String,
}

impl From<&Series> for SeriesJson {
    fn from(series: &Series) -> Self {
        let points = &series.points;
        let lines = |lines: &[Line]| lines.iter().map(|line| LineJson::of(line, points.len())).collect();
        let since_epoch = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mark = |mark: &Mark| MarkJson {
            elapsed_ms: milliseconds(mark.elapsed),
            label: escape::terminal(&mark.label).into_owned(),
        };
        SeriesJson {
            time_ms: points.iter().map(|point| milliseconds(since_epoch(point.time))).collect(),
            elapsed_ms: points.iter().map(|point| milliseconds(point.elapsed)).collect(),
            slab: points.iter().map(|point| point.slab).collect(),
            caches: lines(&series.caches),
            rows: lines(&series.rows),
            marks: series.marks.iter().map(mark).collect(),
        }
    }
}

impl LineJson {
    fn of(line: &Line, points: usize) -> Self {
        let values = |all: &[u64]| all.iter().copied().chain(repeat(0)).take(points).collect();
        LineJson {
            name: escape::terminal(&line.name).into_owned(),
            objects: values(&line.objects),
            bytes: values(&line.bytes),
        }
    }
}

/// A damaged recording may have any time; browsers have no later one.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(LAST_MILLISECOND)
}

#[derive(Serialize)]
struct ProfileJson {
    stacks_period: Option<u32>,
    /// Each text once: thousands of stacks have the same functions.
    texts: Vec<String>,
    samples: Vec<SampleJson>,
}

/// Texts by their number.
#[derive(Serialize)]
struct SampleJson {
    comm: usize,
    /// The outermost first, as a flame graph is drawn.
    frames: Vec<usize>,
    /// The first so many are the process's own.
    user: usize,
    objects: u64,
    bytes: u64,
}

impl From<&Profile> for ProfileJson {
    fn from(profile: &Profile) -> Self {
        let mut texts = Texts::default();
        // Else there is only the call site, which is in the kernel.
        let has_stacks = profile.stacks_period.is_some();
        let outstanding = profile.samples.iter().filter(|sample| sample.objects > 0);
        let samples = outstanding
            .map(|sample| SampleJson {
                comm: texts.number(&escape::terminal(&sample.comm)),
                frames: sample
                    .frames
                    .iter()
                    .rev()
                    .map(|frame| texts.number(&escape::terminal(frame.as_bytes())))
                    .collect(),
                user: if has_stacks { sample.frames.len() - frame::in_kernel(&sample.frames) } else { 0 },
                objects: sample.objects,
                bytes: sample.bytes,
            })
            .collect();
        ProfileJson { stacks_period: profile.stacks_period, texts: texts.all, samples }
    }
}

/// Texts by number.
#[derive(Default)]
struct Texts {
    all: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Texts {
    fn number(&mut self, text: &str) -> usize {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        self.all.push(text.to_owned());
        self.numbers.insert(text.to_owned(), self.all.len() - 1);
        self.all.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::profile::Sample;

    #[test]
    fn each_text_stands_once() {
        let sample = |frames: &[&str]| Sample {
            frames: frames.iter().map(|frame| (*frame).to_owned()).collect(),
            comm: b"curl".to_vec(),
            objects: 1,
            ..Sample::default()
        };
        let free_again = Sample { objects: 0, ..sample(&["gone"]) };
        let samples = vec![sample(&["a", "b"]), sample(&["c", "b"]), free_again];
        let profile = Profile { stacks_period: Some(1), samples };
        let json: serde_json::Value =
            serde_json::from_str(&json::line_of(&ProfileJson::from(&profile)).unwrap()).unwrap();
        assert_eq!(json["texts"], serde_json::json!(["curl", "b", "a", "c"]));
        assert_eq!(json["samples"][1]["frames"], serde_json::json!([1, 3]));
        assert_eq!(json["samples"].as_array().unwrap().len(), 2, "what is free again is not drawn");
    }
}
