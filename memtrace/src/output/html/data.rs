//! What the page's script draws from, as JSON in a compact form that only this page reads. Names in it are escaped as for a
//! terminal, and the script sets them as text.

use std::{
    io,
    iter::repeat,
    time::{Duration, SystemTime},
};

use indexmap::IndexSet;
use maud::{Markup, PreEscaped, html};
use serde_json::{Value, json};

use crate::{
    output::json,
    text::{escape, frame},
    view::{
        profile::Profile,
        series::{Line, Series},
    },
};

/// Of the year 9999.
const LAST_MILLISECOND: u64 = 253_402_300_799_999;

/// A script element with data in it.
pub(super) fn script(id: &str, data: &Value) -> io::Result<Markup> {
    let json = PreEscaped(escape::json_in_html(json::line_of(data)?.trim_end()));
    Ok(html! { script type="application/json" id=(id) { (json) } })
}

/// Of each point its times, in milliseconds since the epoch and since the start, and what there was.
pub(super) fn of_series(series: &Series) -> Value {
    let points = &series.points;
    let since_epoch = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let line = |line: &Line| {
        let values =
            |all: &[u64]| all.iter().copied().chain(repeat(0)).take(points.len()).collect::<Vec<_>>();
        let name = escape::terminal(&line.name);
        json!({ "name": name, "objects": values(&line.objects), "bytes": values(&line.bytes) })
    };
    let marks = series.marks.iter().map(
        |mark| json!({ "elapsed_ms": milliseconds(mark.elapsed), "label": escape::terminal(&mark.label) }),
    );
    json!({
        "time_ms": points.iter().map(|point| milliseconds(since_epoch(point.time))).collect::<Vec<_>>(),
        "elapsed_ms": points.iter().map(|point| milliseconds(point.elapsed)).collect::<Vec<_>>(),
        "slab": points.iter().map(|point| point.slab).collect::<Vec<_>>(),
        "caches": series.caches.iter().map(line).collect::<Vec<_>>(),
        "rows": series.rows.iter().map(line).collect::<Vec<_>>(),
        "marks": marks.collect::<Vec<_>>(),
    })
}

/// A damaged recording may have any time; browsers have no later one.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(LAST_MILLISECOND)
}

/// Each text stands once, since thousands of stacks have the same functions; samples have their numbers. Frames go from the
/// outermost, as a flame graph is drawn, and the first `user` of them are the process's own.
pub(super) fn of_profile(profile: &Profile) -> Value {
    let mut texts: IndexSet<&[u8]> = IndexSet::new();
    // Without stacks there is only the call site, which is in the kernel.
    let has_stacks = profile.stacks_period.is_some();
    let outstanding = profile.samples.iter().filter(|sample| sample.objects > 0);
    let samples = outstanding.map(|sample| {
        json!({
            "comm": texts.insert_full(&sample.comm[..]).0,
            "frames": sample.frames.iter().rev().map(|frame| texts.insert_full(frame.as_bytes()).0).collect::<Vec<_>>(),
            "user": if has_stacks { sample.frames.len() - frame::in_kernel(&sample.frames) } else { 0 },
            "objects": sample.objects,
            "bytes": sample.bytes,
        })
    });
    let samples = samples.collect::<Vec<_>>();
    let texts = texts.into_iter().map(escape::terminal).collect::<Vec<_>>();
    json!({ "stacks_period": profile.stacks_period, "texts": texts, "samples": samples })
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
        let json = of_profile(&profile);
        assert_eq!(json["texts"], serde_json::json!(["curl", "b", "a", "c"]));
        assert_eq!(json["samples"][1]["frames"], serde_json::json!([1, 3]));
        assert_eq!(json["samples"].as_array().unwrap().len(), 2, "what is free again is not drawn");
    }
}
