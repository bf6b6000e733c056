//! As OpenMetrics 1.0, to be taken in by Prometheus as if it had scraped them: gauges with the time of each moment.

use std::{
    io::{self, Write},
    time::SystemTime,
};

use crate::{
    output::OTHER,
    procfs::meminfo::SlabMemory,
    text::escape,
    view::key_series::{Held, KeySeries, Moment},
};

/// One after the other: series of a family have to stand together, and so have the times of a series.
pub fn write(series: &KeySeries, out: &mut dyn Write) -> io::Result<()> {
    of_keys(
        series,
        "objects",
        "Slab objects that were allocated since tracing began and not freed.",
        out,
        |held| held.objects,
    )?;
    of_keys(series, "bytes", "Memory of these objects.", out, |held| held.bytes)?;
    let host = label("host", series.host.as_bytes());
    let of_host: [(&str, &str, &[OfState]); 2] = [
        (
            "slab",
            "Slab memory of the host by /proc/meminfo.",
            &[
                (r#"state="reclaimable""#, |memory| Some(memory.sreclaimable)),
                (r#"state="unreclaimable""#, |memory| Some(memory.sunreclaim)),
            ],
        ),
        ("available", "Memory for new allocations by /proc/meminfo.", &[("", |memory| memory.available)]),
    ];
    for (what, help, states) in of_host {
        let name = format!("memtrace_host_{what}_bytes");
        family(&name, "bytes", help, out)?;
        for (state, value) in states {
            let gap = if state.is_empty() { "" } else { "," };
            let labels = format!("{host}{gap}{state}");
            let values = series.moments.iter().map(|moment| moment.meminfo.and_then(|memory| value(&memory)));
            samples(&name, &labels, &series.moments, values, out)?;
        }
    }
    out.write_all(b"# EOF\n")
}

type OfState = (&'static str, fn(&SlabMemory) -> Option<u64>);

fn of_keys(
    series: &KeySeries,
    unit: &str,
    help: &str,
    out: &mut dyn Write,
    figure: impl Fn(Held) -> u64,
) -> io::Result<()> {
    let name = format!("memtrace_outstanding_{unit}");
    family(&name, unit, help, out)?;
    for line in &series.lines {
        let labels = labels(series, line.keys.iter().map(Vec::as_slice));
        samples(&name, &labels, &series.moments, line.held.iter().map(|held| Some(figure(*held))), out)?;
    }
    let others = series.others.iter();
    let others = others.map(|rest| Some(figure(Held { objects: rest.objects, bytes: rest.bytes })));
    let labels = labels(series, series.by.iter().map(|_| OTHER.as_bytes()));
    samples(&name, &labels, &series.moments, others, out)
}

fn family(name: &str, unit: &str, help: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# TYPE {name} gauge\n# UNIT {name} {unit}\n# HELP {name} {help}")
}

fn samples(
    name: &str,
    labels: &str,
    moments: &[Moment],
    values: impl Iterator<Item = Option<u64>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut before = None;
    for (moment, value) in moments.iter().zip(values) {
        let time = time(moment.time);
        // Of two at one time, as when the clock was set back, there can be one.
        let (Some(value), true) = (value, before < Some(time)) else { continue };
        before = Some(time);
        writeln!(out, "{name}{{{labels}}} {value} {}.{:03}", time / 1000, time % 1000)?;
    }
    Ok(())
}

/// Milliseconds since 1970: finer is nothing in Prometheus.
fn time(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis()
}

fn labels<'a>(series: &KeySeries, keys: impl Iterator<Item = &'a [u8]>) -> String {
    let keys = series.by.iter().zip(keys).map(|(by, key)| label(by.into_str(), key));
    [label("host", series.host.as_bytes())].into_iter().chain(keys).collect::<Vec<_>>().join(",")
}

fn label(name: &str, value: &[u8]) -> String {
    let mut text = format!("{name}=\"");
    for c in escape::column(value).chars() {
        match c {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str(r#"\""#),
            c => text.push(c),
        }
    }
    text + "\""
}
