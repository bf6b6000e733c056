//! Each metric, declared once: name, what it means, and where its figures come from.

use std::{
    collections::BTreeMap,
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeLabel as _, EncodeLabelSet, LabelSetEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

use super::{Config, Recordings, exposed::Exposed, group::Group, places::Labels};
use crate::{
    text::escape,
    view::{CacheTotals, census::CacheCensus},
};

/// Gauges and counters are all there is: node_exporter's text files take no other type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
}

/// Metrics of one name.
#[derive(Debug)]
pub struct Family {
    name: &'static str,
    /// What ends the name.
    unit: Option<&'static str>,
    kind: Kind,
    /// A sentence, without its full stop.
    help: &'static str,
    samples: fn(&Exposed) -> Vec<Sample>,
}

struct Sample {
    labels: Labels,
    value: f64,
}

impl Family {
    pub fn encode(&self, exposed: &Exposed, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let samples = (self.samples)(exposed);
        if samples.is_empty() {
            return Ok(());
        }
        let unit = self.unit.map(|unit| Unit::Other(unit.to_owned()));
        let kind = match self.kind {
            Kind::Gauge => MetricType::Gauge,
            Kind::Counter => MetricType::Counter,
        };
        let mut metric =
            encoder.encode_descriptor(self.name, &format!("{}.", self.help), unit.as_ref(), kind)?;
        for Sample { labels, value } in samples {
            let labels = LabelSet(labels);
            let mut of_labels = metric.encode_family(&labels)?;
            match self.kind {
                Kind::Gauge => of_labels.encode_gauge(&value)?,
                Kind::Counter => of_labels.encode_counter::<NoLabelSet, _, f64>(&value, None)?,
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct LabelSet(Labels);

impl EncodeLabelSet for LabelSet {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| (*name, value.as_str()).encode(encoder.encode_label()))
    }
}

const fn gauge(
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
    samples: fn(&Exposed) -> Vec<Sample>,
) -> Family {
    Family { name, unit, kind: Kind::Gauge, help, samples }
}

const fn counter(
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
    samples: fn(&Exposed) -> Vec<Sample>,
) -> Family {
    Family { name, unit, kind: Kind::Counter, help, samples }
}

const BYTES: Option<&str> = Some("bytes");
const SECONDS: Option<&str> = Some("seconds");
const RATIO: Option<&str> = Some("ratio");

/// With the prefix `memtrace_`.
pub const OURS: &[Family] = &[
    gauge(
        "outstanding_objects",
        None,
        "Slab objects allocated since the start and not freed, by who allocated them",
        |e| groups(e, |group| Some(group.objects as f64)),
    ),
    gauge(
        "outstanding",
        BYTES,
        "Memory of the slab objects allocated since the start and not freed, by who allocated them",
        |e| groups(e, |group| Some(group.bytes as f64)),
    ),
    gauge("oldest", SECONDS, "Age of the oldest outstanding object", |e| {
        groups(e, |group| group.oldest.map(|age| age.as_secs_f64()))
    }),
    counter("cache_allocations", None, "Objects allocated since the start", |e| {
        caches(e, |cache| Some(cache.allocs as f64))
    }),
    counter("cache_frees", None, "Of the objects allocated since the start, those that were freed", |e| {
        caches(e, |cache| Some(cache.frees as f64))
    }),
    gauge(
        "cache_objects",
        None,
        "All objects of the cache by /proc/slabinfo, also from before the start",
        |e| caches(e, |cache| cache.slabinfo_objects.map(|objects| objects as f64)),
    ),
    gauge(
        "cache",
        BYTES,
        "Memory of all objects of the cache by /proc/slabinfo, also from before the start",
        |e| {
            caches(e, |cache| {
                cache.slabinfo_objects.map(|objects| objects.saturating_mul(cache.object_size) as f64)
            })
        },
    ),
    gauge(
        "cache_partial",
        None,
        "1 if some frees of the cache are not seen: its outstanding objects may be free",
        |e| caches(e, |cache| Some(f64::from(u8::from(cache.partial.is_some())))),
    ),
    gauge(
        "leak_growth",
        Some("bytes_per_second"),
        "How fast who leaks or floods a cache grows in it; absent where nobody does",
        findings,
    ),
    gauge("already_there_objects", None, "Objects that the slab held at the start, by an estimate", |e| {
        already_there(e, |cache| cache.objects)
    }),
    gauge("already_there", BYTES, "What the slab held at the start, by cache", |e| {
        already_there(e, |cache| cache.bytes)
    }),
    gauge(
        "census_objects",
        None,
        "Objects that the slab held at the latest census, by an estimate; holder tells whom they are charged to",
        |e| census(e, |group| group.objects as f64),
    ),
    gauge(
        "census",
        BYTES,
        "Memory that the slab held at the latest census, by an estimate; holder tells whom it is charged to",
        |e| census(e, |group| group.bytes as f64),
    ),
    gauge("census_timestamp", SECONDS, "When the latest census was taken", |e| {
        e.snapshot.latest_census.iter().flat_map(|census| one(since_1970(census.time))).collect()
    }),
    counter("events", None, "Allocations, frees and names that the kernel's probes sent", |e| {
        one(e.snapshot.trust.emitted as f64)
    }),
    counter("lost_events", None, "Events that found their ring full", |e| {
        let trust = &e.snapshot.trust;
        let kinds = [("alloc", trust.lost_allocs), ("free", trust.lost_frees), ("name", trust.lost_names)];
        kinds.map(|(kind, lost)| labelled("kind", kind, lost as f64)).into()
    }),
    counter(
        "missed_probe_runs",
        None,
        "Probe runs that the kernel skipped because another one was running",
        |e| one(e.snapshot.trust.missed() as f64),
    ),
    counter("unknown_frees", None, "Frees of objects from before the start", |e| {
        one(e.snapshot.trust.unknown_frees as f64)
    }),
    counter(
        "unseen_frees",
        None,
        "Objects whose free nobody saw, found in the kernel's memory or by their next allocation",
        |e| one(e.snapshot.trust.unseen_frees() as f64),
    ),
    gauge(
        "sampling_period",
        None,
        "One object in so many is followed; counts are estimates where this is not 1",
        |e| one(e.snapshot.sampling.period.into()),
    ),
    gauge("folded_series", None, "Rows without series of their own: they are counted as (other)", |e| {
        one(e.folded as f64)
    }),
    gauge("self_cpu", RATIO, "Share of one CPU that memtrace takes", |e| {
        let cost = &e.snapshot.own_cost;
        let parts = [("probes", cost.probes_cpu), ("userspace", cost.userspace_cpu)];
        parts.into_iter().filter_map(|(part, share)| Some(labelled("part", part, share?))).collect()
    }),
    gauge("self_memory", BYTES, "Memory that memtrace takes", |e| {
        let cost = &e.snapshot.own_cost;
        let parts = [("kernel", cost.kernel_bytes), ("userspace", cost.resident_bytes)];
        parts.into_iter().filter_map(|(part, bytes)| Some(labelled("part", part, bytes? as f64))).collect()
    }),
    gauge("host_available", BYTES, "Memory that programs can still get, by the kernel's estimate", |e| {
        let available = e.snapshot.meminfo.and_then(|meminfo| meminfo.available);
        available.map(|bytes| one(bytes as f64)).unwrap_or_default()
    }),
    gauge("host_slab", BYTES, "Slab memory of the host, by whether the kernel can take it back", |e| {
        let Some(meminfo) = e.snapshot.meminfo else { return Vec::new() };
        let states = [("reclaimable", meminfo.sreclaimable), ("unreclaimable", meminfo.sunreclaim)];
        states.map(|(state, bytes)| labelled("state", state, bytes as f64)).into()
    }),
    gauge(
        "config_last_reload_successful",
        None,
        "1 if the configuration file was right when it was read last; absent where there is none",
        |e| config(e, |config| f64::from(u8::from(config.is_good))),
    ),
    gauge(
        "config_last_reload_success_timestamp",
        SECONDS,
        "When the configuration that holds was read",
        |e| config(e, |config| since_1970(config.taken)),
    ),
    counter("recordings", None, "Recordings that were made, by what for", |e| {
        let made = e.process.recordings.iter().flat_map(|recordings| &recordings.made);
        made.map(|(reason, count)| labelled("reason", reason, *count as f64)).collect()
    }),
    counter(
        "failed_recordings",
        None,
        "Recordings that were to be made, and of which there is nothing",
        |e| recordings(e, |recordings| Some(recordings.failed as f64)),
    ),
    gauge("recording", BYTES, "What the bundles of recordings take that are kept", |e| {
        recordings(e, |recordings| Some(recordings.bytes as f64))
    }),
    gauge("last_recording_timestamp", SECONDS, "When the last recording was complete", |e| {
        recordings(e, |recordings| recordings.last.map(since_1970))
    }),
    gauge("build_info", None, "Always 1", |_| vec![labelled("version", env!("CARGO_PKG_VERSION"), 1.0)]),
    gauge("tracing", None, "1, or 0 while it rests because it took more than --max-cpu allows", |e| {
        one(f64::from(u8::from(!e.snapshot.is_final)))
    }),
    gauge("last_report_timestamp", SECONDS, "When these figures were read", |e| {
        one(since_1970(e.snapshot.time))
    }),
];

/// What exporters have in common, under the names that they share.
pub const PROCESS: &[Family] = &[
    counter("process_cpu", SECONDS, "CPU time of this process; the probes' is not in it", |e| {
        one(e.process.cpu.as_secs_f64())
    }),
    gauge("process_resident_memory", BYTES, "Resident memory of this process", |e| {
        e.snapshot.own_cost.resident_bytes.map(|bytes| one(bytes as f64)).unwrap_or_default()
    }),
    gauge("process_start_time", SECONDS, "When this process started", |e| one(since_1970(e.process.started))),
];

fn since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn recordings(exposed: &Exposed, value: fn(&Recordings) -> Option<f64>) -> Vec<Sample> {
    exposed.process.recordings.iter().filter_map(value).flat_map(one).collect()
}

fn config(exposed: &Exposed, value: fn(&Config) -> f64) -> Vec<Sample> {
    exposed.process.config.iter().flat_map(|config| one(value(config))).collect()
}

fn one(value: f64) -> Vec<Sample> {
    vec![Sample { labels: Labels::new(), value }]
}

fn labelled(name: &'static str, label: &str, value: f64) -> Sample {
    Sample { labels: vec![(name, label.to_owned())], value }
}

fn groups(exposed: &Exposed, value: fn(&Group) -> Option<f64>) -> Vec<Sample> {
    let sample = |group: &Group| Some(Sample { labels: group.labels.clone(), value: value(group)? });
    exposed.groups.iter().filter_map(sample).collect()
}

fn caches(exposed: &Exposed, value: fn(&CacheTotals) -> Option<f64>) -> Vec<Sample> {
    let sample = |cache: &CacheTotals| Some(labelled("cache", &cache.name, value(cache)?));
    exposed.snapshot.caches.iter().filter_map(sample).collect()
}

/// Those of one command name in one cache together: it may be accused in several cgroups.
fn findings(exposed: &Exposed) -> Vec<Sample> {
    let mut sums: BTreeMap<Labels, f64> = BTreeMap::new();
    for finding in exposed.snapshot.verdict.iter().flat_map(|verdict| verdict.accused()) {
        let comm = finding.comm.as_deref().map(|comm| escape::terminal(comm).into_owned());
        let labels = vec![
            ("cache", finding.cache.clone()),
            ("comm", comm.unwrap_or_default()),
            ("is", finding.kind.into_str().to_owned()),
        ];
        *sums.entry(labels).or_default() += finding.bytes_per_s;
    }
    sums.into_iter().map(|(labels, value)| Sample { labels, value }).collect()
}

fn already_there(exposed: &Exposed, value: fn(&CacheCensus) -> u64) -> Vec<Sample> {
    let caches = exposed.snapshot.census.iter().flat_map(|census| &census.caches);
    caches.map(|cache| labelled("cache", &cache.name, value(cache) as f64)).collect()
}

fn census(exposed: &Exposed, value: fn(&Group) -> f64) -> Vec<Sample> {
    let sample = |group: &Group| Sample { labels: group.labels.clone(), value: value(group) };
    exposed.census.iter().map(sample).collect()
}
