//! As NDJSON: an object for the whole, then one for each moment. docs/series.schema.json is the schema.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use crate::{
    output::json::{Interval, Meminfo, Sampling, all, interval, line_of, nanos, objects},
    text::{escape, time::rfc3339},
    view::{
        self, Rest,
        key_series::{self, Held, KeySeries},
    },
};

/// Raised when a field goes or changes its meaning; not when one is added.
const VERSION: u32 = 1;

objects! {
    struct Series<'a> of series: &'a KeySeries {
        r#type: &'static str = "series",
        version: u32 = VERSION,
        host: &'a str = &series.host,
        kernel: &'a str = &series.kernel,
        by: String = series.by.names(),
        older_ns: Option<u64> = series.older.map(nanos),
        moments: usize = series.moments.len(),
        keys: Vec<Vec<Cow<'a, str>>> = all(&series.lines, |line| all(&line.keys, |key| escape::json(key))),
        notes: &'a [String] = &series.notes,
    }

    struct Moment of moment: &key_series::Moment, all_of_it: Held, keys: Vec<OfKey>, others: Others {
        r#type: &'static str = "moment",
        time: String = rfc3339(moment.time),
        elapsed_ns: u64 = nanos(moment.elapsed),
        sampling: Sampling = Sampling::of(moment.sampling),
        meminfo: Option<Meminfo> = moment.meminfo.map(Meminfo::of),
        objects: u64 = all_of_it.objects,
        bytes: u64 = all_of_it.bytes,
        keys: Vec<OfKey> = keys,
        others: Others = others,
    }

    struct OfKey of held: Held, sampling: view::Sampling {
        objects: u64,
        objects_ci95: Option<Interval> = interval(sampling, held.objects),
        bytes: u64,
    }

    struct Others of rest: Rest, sampling: view::Sampling {
        rows: u64,
        objects: u64,
        objects_ci95: Option<Interval> = interval(sampling, rest.objects),
        bytes: u64,
    }
}

pub fn write(series: &KeySeries, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(line_of(&Series::of(series))?.as_bytes())?;
    for (at, moment) in series.moments.iter().enumerate() {
        let keys = all(&series.lines, |line| OfKey::of(line.held[at], moment.sampling));
        let others = Others::of(series.others[at], moment.sampling);
        let line = line_of(&Moment::of(moment, series.total(at), keys, others))?;
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}
