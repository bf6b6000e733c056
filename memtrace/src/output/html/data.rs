//! What the page's script draws from, as JSON: the snapshot by its stable schema (docs/json.md), and beside it the series and the
//! profile in a compact form that only this page reads.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::Document;
use crate::{
    output::json,
    text::escape,
    view::{
        profile::{Profile, Sample},
        series::{Line, Series},
    },
};

/// More points than that make a page that browsers open slowly, and more than any window is wide.
const MAX_POINTS: usize = 7_200;

/// Of the year 9999.
const LAST_MILLISECOND: u64 = 253_402_300_799_999;

/// Each for a script element of its own.
pub(super) struct Data {
    pub(super) snapshot: String,
    pub(super) series: String,
    pub(super) profile: String,
}

impl Data {
    pub(super) fn of(document: &Document<'_>) -> io::Result<Self> {
        Ok(Data {
            snapshot: embedded(&json::line(document.snapshot)?),
            series: embedded(&json::line_of(&SeriesJson::from(document.series))?),
            profile: of_profile(document.profile)?,
        })
    }
}

pub(super) fn of_profile(profile: &Profile) -> io::Result<String> {
    Ok(embedded(&json::line_of(&ProfileJson::from(profile))?))
}

fn embedded(line: &str) -> String {
    escape::json_in_html(line.trim_end())
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
        let kept = kept(series.points.len());
        let points = || kept.iter().map(|&at| &series.points[at]);
        let lines = |lines: &[Line]| lines.iter().map(|line| LineJson::of(line, &kept)).collect();
        SeriesJson {
            time_ms: points()
                .map(|point| {
                    milliseconds(point.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
                })
                .collect(),
            elapsed_ms: points().map(|point| milliseconds(point.elapsed)).collect(),
            slab: points().map(|point| point.slab).collect(),
            caches: lines(&series.caches),
            rows: lines(&series.rows),
            marks: series
                .marks
                .iter()
                .map(|mark| MarkJson {
                    elapsed_ms: milliseconds(mark.elapsed),
                    label: escape::json(&mark.label).into_owned(),
                })
                .collect(),
        }
    }
}

impl LineJson {
    fn of(line: &Line, kept: &[usize]) -> Self {
        let values = |all: &[u64]| kept.iter().map(|&at| all.get(at).copied().unwrap_or(0)).collect();
        LineJson {
            name: escape::json(&line.name).into_owned(),
            objects: values(&line.objects),
            bytes: values(&line.bytes),
        }
    }
}

/// Which of so many points are drawn: each n-th, and the last.
fn kept(points: usize) -> Vec<usize> {
    let Some(last) = points.checked_sub(1) else { return Vec::new() };
    let every = points.div_ceil(MAX_POINTS).max(1);
    (0..last).step_by(every).chain([last]).collect()
}

/// A damaged recording may tell any time; browsers know no later one.
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
    /// Of these, so many of the first are the process's own.
    user: usize,
    objects: u64,
    bytes: u64,
}

impl From<&Profile> for ProfileJson {
    fn from(profile: &Profile) -> Self {
        let mut texts = Texts::default();
        let outstanding = profile.samples.iter().filter(|sample| sample.objects > 0);
        let samples = outstanding
            .map(|sample| SampleJson {
                comm: texts.number(&escape::json(&sample.comm)),
                frames: sample.frames.iter().rev().map(|frame| texts.number(frame)).collect(),
                user: sample.frames.len() - kernel_frames(sample, profile.stacks_period.is_some()),
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

/// How many of a stack's frames, from the innermost, are the kernel's. Its part of a stack ends in a function of the kernel
/// proper (`do_syscall_64`, `ret_from_fork`), which is the last to have neither file nor module, nor a place in one. Without
/// stacks there is only the place in the kernel.
fn kernel_frames(sample: &Sample, has_stacks: bool) -> usize {
    if !has_stacks {
        return sample.frames.len();
    }
    let is_proper = |frame: &String| !frame.contains([' ', '+', '(']);
    sample.frames.iter().rposition(is_proper).map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_part_of_a_stack_is_told() {
        let check = |frames: &[&str], kernel: usize| {
            let frames = frames.iter().map(|frame| (*frame).to_owned()).collect();
            assert_eq!(kernel_frames(&Sample { frames, ..Sample::default() }, true), kernel);
        };
        check(&[], 0);
        check(&["kmalloc", "do_syscall_64"], 2);
        check(
            &["kmalloc", "ovl_alloc_inode [overlay]", "do_syscall_64", "open64 [libc.so.6]", "curl+0x12"],
            3,
        );
        check(&["kmalloc", "do_syscall_64", "(no frame pointer)"], 2);
        check(&["open64 [libc.so.6]", "main [curl]"], 0);
    }

    #[test]
    fn long_series_are_thinned() {
        let check = |points: usize, expect: &[usize]| assert_eq!(kept(points), expect, "{points}");
        check(0, &[]);
        check(1, &[0]);
        check(3, &[0, 1, 2]);
        for points in [MAX_POINTS, MAX_POINTS + 1, 10 * MAX_POINTS + 7] {
            let kept = kept(points);
            assert!(kept.len() <= MAX_POINTS + 1 && kept.len() > MAX_POINTS / 2 && kept.is_sorted());
            assert_eq!((kept[0], kept.last()), (0, Some(&(points - 1))));
        }
    }

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
