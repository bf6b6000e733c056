//! As CSV: a line for each key at each moment, and one for the others.

use std::io::{self, Write};

use csv::{Terminator, WriterBuilder};

use crate::{
    output::{OTHER, json::nanos},
    text::{escape, time::rfc3339},
    view::key_series::KeySeries,
};

pub fn write(series: &KeySeries, out: &mut dyn Write) -> io::Result<()> {
    let mut out = WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(out);
    let keys = series.by.iter().map(|by| format!("by_{}", by.into_str()));
    let of_moment = ["host", "time", "elapsed_ns", "sampling_period"].map(str::to_owned);
    let figures = ["objects", "bytes", "rows"].map(str::to_owned);
    out.write_record(of_moment.into_iter().chain(keys).chain(figures))?;
    let host = escape::csv(series.host.as_bytes());
    let others = vec![OTHER; series.by.iter().count()];
    for (at, moment) in series.moments.iter().enumerate() {
        let of_moment = [
            host.to_string(),
            rfc3339(moment.time),
            nanos(moment.elapsed).to_string(),
            moment.sampling.period.to_string(),
        ];
        for line in &series.lines {
            let keys = line.keys.iter().map(|key| escape::csv(key).into_owned());
            let held = line.held[at];
            let figures = [held.objects, held.bytes, 1].map(|figure| figure.to_string());
            out.write_record(of_moment.iter().cloned().chain(keys).chain(figures))?;
        }
        let rest = series.others[at];
        let figures = [rest.objects, rest.bytes, rest.rows].map(|figure| figure.to_string());
        let keys = others.iter().map(|key| (*key).to_owned());
        out.write_record(of_moment.into_iter().chain(keys).chain(figures))?;
    }
    out.flush()
}
