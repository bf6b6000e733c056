//! Snapshots as NDJSON, one object a line, exact: bytes, objects, nanoseconds. docs/json.md describes it as a
//! stable interface and docs/snapshot.schema.json is its schema.
//!
//! The types here are the interface, and only that: what the view looks like inside may change without them.

mod names;

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::ser::Formatter;

use self::names::Names;
use super::{Output, Shown, escape, shown};
use crate::view::{
    self,
    reconcile::{self, Sign},
};

/// Raised when a field goes or changes its meaning; not when one is added.
const VERSION: u32 = 1;
/// The last moment that RFC 3339 can write, in seconds: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// Writes each snapshot as a line of JSON.
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    pub fn new(out: W) -> Self {
        JsonLines { out }
    }
}

impl<W: Write> Output for JsonLines<W> {
    fn show(&mut self, snapshot: &view::Snapshot) -> io::Result<Shown> {
        let line = line(snapshot)?;
        shown(self.out.write_all(line.as_bytes()).and_then(|()| self.out.flush()))
    }
}

/// The snapshot as one line, its newline included.
pub fn line(snapshot: &view::Snapshot) -> io::Result<String> {
    let mut bytes = Vec::new();
    Snapshot::from(snapshot).serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Harmless))?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// Compact JSON that may also be looked at on a terminal.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        out.write_all(escape::json_fragment(fragment).as_bytes())
    }
}

#[derive(Serialize)]
struct Snapshot<'a> {
    r#type: &'static str,
    version: u32,
    r#final: bool,
    time: String,
    elapsed_ns: u64,
    settled: Option<Settled>,
    host: &'a str,
    kernel: &'a str,
    by: &'static str,
    sort: &'static str,
    older_ns: Option<u64>,
    sampling: Sampling,
    meminfo: Option<Meminfo>,
    #[serde(rename = "self")]
    own_cost: OwnCost,
    caches: Vec<Cache<'a>>,
    rows: Vec<Row<'a>>,
    rest: Option<Rest>,
    trust: Trust,
    notes: &'a [String],
}

#[derive(Serialize)]
struct Settled {
    ns: u64,
    freed: u64,
}

#[derive(Serialize)]
struct Sampling {
    period: u32,
}

/// The least and the most of a 95 % interval.
type Interval = [u64; 2];

#[derive(Serialize)]
struct Meminfo {
    slab: u64,
    sreclaimable: u64,
    sunreclaim: u64,
}

#[derive(Serialize)]
struct OwnCost {
    probe_ns_per_event: Option<f64>,
    cpu_share: Option<f64>,
    userspace_cpu_share: Option<f64>,
    rss_bytes: Option<u64>,
    kernel_bytes: Option<u64>,
    max_memory_bytes: Option<u64>,
    max_cpu_share: Option<f64>,
}

#[derive(Serialize)]
struct Cache<'a> {
    name: &'a str,
    aliases: &'a [String],
    object_size: u64,
    reclaimable: Option<bool>,
    allocs: u64,
    frees: u64,
    outstanding_objects: u64,
    outstanding_objects_ci95: Option<Interval>,
    outstanding_bytes: u64,
    lost_allocs: u64,
    lost_frees: u64,
    slabinfo_objects: Option<u64>,
    slabinfo_objects_per_s: Option<f64>,
    slabinfo_growth: Option<i64>,
    traced_growth: Option<i64>,
    partial: Option<Partial>,
}

#[derive(Serialize)]
struct Partial {
    reason: &'static str,
    unseen_frees_share: f64,
}

#[derive(Serialize)]
struct Row<'a> {
    key: Cow<'a, str>,
    comm: Option<Cow<'a, str>>,
    pid: Option<u32>,
    cache: Option<&'a str>,
    processes: u64,
    objects: u64,
    objects_ci95: Option<Interval>,
    bytes: u64,
    partial_objects: u64,
    allocs: u64,
    frees: u64,
    allocs_per_s: f64,
    frees_per_s: f64,
    growth_per_s: f64,
    survival: f64,
    oldest_ns: Option<u64>,
    named_objects: u64,
    negative_share: Option<f64>,
    names: Vec<Names<'a>>,
}

#[derive(Serialize)]
struct Rest {
    rows: u64,
    objects: u64,
    objects_ci95: Option<Interval>,
    bytes: u64,
}

#[derive(Serialize)]
struct Trust {
    emitted: u64,
    applied: u64,
    lost_allocs: u64,
    lost_frees: u64,
    lost_names: u64,
    unknown_frees: u64,
    reused_pointers: u64,
    recursion_misses: u64,
    refused: u64,
    unresolved: u64,
    slabinfo_agreement: Option<f64>,
}

impl<'a> From<&'a view::Snapshot> for Snapshot<'a> {
    fn from(snapshot: &'a view::Snapshot) -> Self {
        let sampling = snapshot.sampling;
        Snapshot {
            r#type: "snapshot",
            version: VERSION,
            r#final: snapshot.is_final,
            time: rfc3339(snapshot.time),
            elapsed_ns: nanos(snapshot.elapsed),
            settled: snapshot
                .settled
                .map(|settled| Settled { ns: nanos(settled.time), freed: settled.freed }),
            host: &snapshot.host,
            kernel: &snapshot.kernel,
            by: by(snapshot.by),
            sort: sort(snapshot.sort),
            older_ns: snapshot.older.map(nanos),
            sampling: Sampling { period: sampling.period },
            meminfo: snapshot.meminfo.map(Meminfo::from),
            own_cost: OwnCost::from(snapshot.own_cost),
            caches: snapshot.caches.iter().map(|cache| Cache::new(cache, sampling)).collect(),
            rows: snapshot.rows.iter().map(|row| Row::new(row, sampling)).collect(),
            rest: snapshot.rest.map(|rest| Rest {
                rows: rest.rows,
                objects: rest.objects,
                objects_ci95: interval(sampling, rest.objects),
                bytes: rest.bytes,
            }),
            trust: Trust::from(&snapshot.trust),
            notes: &snapshot.notes,
        }
    }
}

impl From<view::Meminfo> for Meminfo {
    fn from(meminfo: view::Meminfo) -> Self {
        Meminfo { slab: meminfo.slab, sreclaimable: meminfo.sreclaimable, sunreclaim: meminfo.sunreclaim }
    }
}

impl From<view::OwnCost> for OwnCost {
    fn from(cost: view::OwnCost) -> Self {
        OwnCost {
            probe_ns_per_event: cost.probe_ns_per_event,
            cpu_share: cost.probes_cpu.zip(cost.userspace_cpu).map(|(probes, userspace)| probes + userspace),
            userspace_cpu_share: cost.userspace_cpu,
            rss_bytes: cost.resident_bytes,
            kernel_bytes: cost.kernel_bytes,
            max_memory_bytes: cost.max_memory,
            max_cpu_share: cost.max_cpu,
        }
    }
}

impl<'a> Cache<'a> {
    fn new(cache: &'a view::CacheTotals, sampling: view::Sampling) -> Self {
        Cache {
            name: &cache.name,
            aliases: &cache.aliases,
            object_size: cache.object_size,
            reclaimable: cache.reclaimable,
            allocs: cache.allocs,
            frees: cache.frees,
            outstanding_objects: cache.outstanding_objects,
            outstanding_objects_ci95: interval(sampling, cache.outstanding_objects),
            outstanding_bytes: cache.outstanding_bytes,
            lost_allocs: cache.lost_allocs,
            lost_frees: cache.lost_frees,
            slabinfo_objects: cache.slabinfo_objects,
            slabinfo_objects_per_s: cache.slabinfo_objects_per_s.filter(|rate| rate.is_finite()),
            slabinfo_growth: cache.growth.map(|growth| growth.slabinfo),
            traced_growth: cache.growth.map(|growth| growth.traced),
            partial: cache.partial.map(Partial::from),
        }
    }
}

impl From<reconcile::Partial> for Partial {
    fn from(partial: reconcile::Partial) -> Self {
        let reason = match partial.sign {
            Sign::Reused => "reused",
            Sign::Slabinfo => "slabinfo",
        };
        Partial { reason, unseen_frees_share: finite(partial.unseen_frees_share) }
    }
}

impl<'a> Row<'a> {
    fn new(row: &'a view::Row, sampling: view::Sampling) -> Self {
        Row {
            key: escape::json(&row.key),
            comm: row.comm.as_deref().map(escape::json),
            pid: row.pid,
            cache: row.cache.as_deref(),
            processes: row.processes,
            objects: row.objects,
            objects_ci95: interval(sampling, row.objects),
            bytes: row.bytes,
            partial_objects: row.partial_objects,
            allocs: row.allocs,
            frees: row.frees,
            allocs_per_s: finite(row.allocs_per_s),
            frees_per_s: finite(row.frees_per_s),
            growth_per_s: finite(row.growth_per_s),
            survival: finite(row.survival()),
            oldest_ns: row.oldest.map(nanos),
            named_objects: row.named_objects,
            negative_share: row.negatives.map(names::negative_share),
            names: row.names.iter().map(Names::from).collect(),
        }
    }
}

impl From<&view::Trust> for Trust {
    fn from(trust: &view::Trust) -> Self {
        Trust {
            emitted: trust.emitted,
            applied: trust.applied,
            lost_allocs: trust.lost_allocs,
            lost_frees: trust.lost_frees,
            lost_names: trust.lost_names,
            unknown_frees: trust.unknown_frees,
            reused_pointers: trust.reused_pointers,
            recursion_misses: trust.recursion_misses,
            refused: trust.refused,
            unresolved: trust.unresolved,
            slabinfo_agreement: trust.slabinfo_agreement.filter(|share| share.is_finite()),
        }
    }
}

fn by(by: view::By) -> &'static str {
    match by {
        view::By::Comm => "comm",
        view::By::Pid => "pid",
        view::By::Cache => "cache",
    }
}

fn sort(sort: view::Sort) -> &'static str {
    match sort {
        view::Sort::Bytes => "bytes",
        view::Sort::Objects => "objects",
        view::Sort::Growth => "growth",
        view::Sort::Age => "age",
    }
}

fn interval(sampling: view::Sampling, estimate: u64) -> Option<Interval> {
    sampling.interval(estimate).map(|interval| [*interval.start(), *interval.end()])
}

/// In UTC with nanoseconds. A clock outside of what RFC 3339 can write is shown as the nearest moment that it can.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let since = since.min(Duration::from_secs(LAST_SECOND));
    humantime::format_rfc3339_nanos(SystemTime::UNIX_EPOCH + since).to_string()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// JSON has no infinity. A rate that is none says that nothing was measured.
fn finite(rate: f64) -> f64 {
    if rate.is_finite() { rate } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::output::sample;

    fn parse(snapshot: &view::Snapshot) -> Value {
        serde_json::from_str(&line(snapshot).unwrap()).unwrap()
    }

    fn schema() -> jsonschema::Validator {
        let schema: Value = serde_json::from_str(include_str!("../../../docs/snapshot.schema.json")).unwrap();
        jsonschema::draft202012::meta::validate(&schema).expect("the schema is one");
        jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
    }

    #[test]
    fn a_snapshot_in_full() {
        insta::assert_snapshot!(line(&sample::dentry()).unwrap());
    }

    #[test]
    fn hostile_names() {
        insta::assert_snapshot!(line(&sample::hostile()).unwrap());
    }

    #[test]
    fn estimates_have_their_interval() {
        let json = parse(&sample::sampled());
        assert_eq!(json.pointer("/sampling/period"), Some(&64.into()));
        let of = |path: &str| json.pointer(path).and_then(Value::as_u64).unwrap();
        for what in ["/rows/0/objects", "/caches/0/outstanding_objects", "/rest/objects"] {
            let [low, high] = [0, 1].map(|end| of(&format!("{what}_ci95/{end}")));
            assert!((low..high).contains(&of(what)), "{what}");
        }
    }

    #[test]
    fn what_is_absent_is_null() {
        let mut snapshot = sample::caches(view::By::Cache);
        snapshot.meminfo = None;
        snapshot.rows[0].oldest = None;
        snapshot.own_cost = view::OwnCost { userspace_cpu: Some(0.01), ..view::OwnCost::default() };
        let json = parse(&snapshot);
        for path in [
            "/meminfo",
            "/rest",
            "/older_ns",
            "/caches/2/reclaimable",
            "/caches/2/slabinfo_objects",
            "/caches/2/slabinfo_objects_per_s",
            "/self/probe_ns_per_event",
            "/self/cpu_share",
            "/self/rss_bytes",
            "/rows/0/objects_ci95",
            "/caches/0/outstanding_objects_ci95",
            "/rows/0/comm",
            "/rows/0/pid",
            "/rows/0/oldest_ns",
        ] {
            assert_eq!(json.pointer(path), Some(&Value::Null), "{path}");
        }
    }

    #[test]
    fn numbers_are_exact() {
        let mut snapshot = sample::dentry();
        snapshot.rows[0].bytes = u64::MAX;
        snapshot.elapsed = Duration::MAX;
        let json = parse(&snapshot);
        assert_eq!(json.pointer("/rows/0/bytes").and_then(Value::as_u64), Some(u64::MAX));
        assert_eq!(json.pointer("/elapsed_ns").and_then(Value::as_u64), Some(u64::MAX));
    }

    #[test]
    fn any_clock_can_be_written() {
        let check = |time, expect: &str| assert_eq!(rfc3339(time), expect);
        check(SystemTime::UNIX_EPOCH, "1970-01-01T00:00:00.000000000Z");
        check(SystemTime::UNIX_EPOCH - Duration::from_secs(1), "1970-01-01T00:00:00.000000000Z");
        check(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60), "9999-12-31T23:59:59.000000000Z");
        check(sample::dentry().time, "2025-11-24T16:00:00.123000000Z");
    }

    #[test]
    fn real_output_is_valid_by_the_schema() {
        let schema = schema();
        for snapshot in sample::all() {
            let json = parse(&snapshot);
            let errors: Vec<String> = schema.iter_errors(&json).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}\n{json:#}");
        }
    }

    #[test]
    fn the_schema_describes_every_field() {
        // Closed where it is open to additions on purpose, it finds a field that docs forgot.
        let mut schema: Value =
            serde_json::from_str(include_str!("../../../docs/snapshot.schema.json")).unwrap();
        close(&mut schema);
        let schema = jsonschema::draft202012::new(&schema).unwrap();
        for snapshot in sample::all() {
            let json = parse(&snapshot);
            let errors: Vec<String> = schema.iter_errors(&json).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}");
        }
    }

    /// Forbids and requires what `properties` does not name and does.
    fn close(schema: &mut Value) {
        match schema {
            Value::Object(object) => {
                if let Some(Value::Object(properties)) = object.get("properties") {
                    let names = properties.keys().cloned().map(Value::String).collect();
                    object.insert("required".to_owned(), Value::Array(names));
                    object.insert("additionalProperties".to_owned(), Value::Bool(false));
                }
                object.values_mut().for_each(close);
            }
            Value::Array(values) => values.iter_mut().for_each(close),
            _ => {}
        }
    }

    #[test]
    fn the_schema_refuses_what_is_not_a_snapshot() {
        let schema = schema();
        let break_it = |path: &str, value: Value| {
            let mut json = parse(&sample::dentry());
            *json.pointer_mut(path).unwrap() = value;
            assert!(!schema.is_valid(&json), "{path}");
        };
        break_it("/type", "other".into());
        break_it("/version", 2.into());
        break_it("/time", "yesterday".into());
        break_it("/elapsed_ns", (-1).into());
        break_it("/by", "colour".into());
        break_it("/rows/0/objects", 1.5.into());
        break_it("/rows/0/growth_per_s", Value::Null);
        break_it("/trust/emitted", "many".into());
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert_eq!(JsonLines::new(Gone).show(&sample::dentry()).unwrap(), Shown::ReaderGone);
    }

    proptest! {
        #[test]
        fn one_line_that_parses_whatever_the_names(key in any::<Vec<u8>>(), name in any::<String>(), rate in any::<f64>()) {
            let mut snapshot = sample::dentry();
            snapshot.rows[0].key = key.clone();
            snapshot.rows[0].growth_per_s = rate;
            snapshot.rows[0].names[0].example = name.into_bytes();
            let line = line(&snapshot).unwrap();
            prop_assert!(line.ends_with('\n') && !line.trim_end_matches('\n').chars().any(char::is_control));
            let json: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(json.pointer("/rows/0/key").and_then(Value::as_str), Some(&*escape::json(&key)));
            prop_assert!(json.pointer("/rows/0/growth_per_s").is_some_and(Value::is_number));
        }
    }
}
