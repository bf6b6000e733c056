//! Profiles as pprof reads them: `go tool pprof`, and the services that keep such profiles.
//!
//! Command, cgroup, cache and NUMA node are labels: `-tags` shows them, `-tagfocus` and `-tagroot` use them. Functions of the kernel are in the mapping
//! that perf calls `[kernel.kallsyms]`, those of programs and modules in their file's. The allocator's own functions are left out of what
//! pprof shows, so that what called it stands first; the file has them.

mod proto;
mod scraped;

use std::{
    io::{self, Write},
    time::{Duration, UNIX_EPOCH},
};

use flate2::{Compression, write::GzEncoder};
use indexmap::IndexSet;
use prost::Message as _;

use super::{documents::report, phrases::provenance};
use crate::{
    text::{
        escape,
        frame::{Frame, Place},
    },
    view::{
        Snapshot,
        profile::{Profile, Profiled, Sample},
    },
};

/// Of each sample; Go's heap profiles have the same.
const SAMPLE_TYPES: [(&str, &str); 4] = [
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
];
const DEFAULT_SAMPLE_TYPE: &str = "inuse_space";

const KERNEL: &str = "[kernel.kallsyms]";

/// The slab allocator's own functions, of all kernels that have been seen, and those that only copy into what it gives.
const ALLOCATOR: &str = "_*(do_)?(kmem_cache_alloc|kmalloc|kvmalloc|krealloc|slab_alloc|kmemdup|kstrn?dup).*";

/// What pprof calls samples that others are compared with.
const BASE: (&str, &str) = ("pprof::base", "true");

/// What whoever collects profiles asks for. Their samples are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scraped {
    /// What is outstanding is shown first.
    Heap,
    /// What was allocated, freed or not.
    Allocs,
}

/// Samples of a profile that is scraped, at most: Pyroscope takes 16,000. Those of fewest bytes become one.
const MAX_SCRAPED: usize = 10_000;

/// A gzip file.
pub fn write(profile: &Profile, snapshot: &Snapshot, out: &mut impl Write) -> io::Result<()> {
    pack(&encode(Profiled { profile, snapshot }, None), out)
}

/// A gzip file for those that keep one profile after another, Parca and Pyroscope: its time is that of the report, since they
/// file it by that, it has no labels, each set of which would be a series there, and so the command name is the outermost frame.
pub fn write_scraped(
    of: Scraped,
    profile: &Profile,
    snapshot: &Snapshot,
    out: &mut impl Write,
) -> io::Result<()> {
    pack(&scraped(of, profile, snapshot), out)
}

/// What `-diff_base` makes of two such files, in one: pprof tells shares of what was there before.
pub fn write_difference(before: Profiled<'_>, after: Profiled<'_>, out: &mut impl Write) -> io::Result<()> {
    pack(&encode(after, Some(before)), out)
}

fn pack(profile: &proto::Profile, out: &mut impl Write) -> io::Result<()> {
    let mut gzip = GzEncoder::new(out, Compression::default());
    gzip.write_all(&profile.encode_to_vec())?;
    gzip.finish().map(drop)
}

fn encode(of: Profiled<'_>, base: Option<Profiled<'_>>) -> proto::Profile {
    let Profiled { profile, snapshot } = of;
    let mut tables = Tables::new();
    let mut sample: Vec<proto::Sample> = profile.samples.iter().map(|sample| tables.sample(sample)).collect();
    let base_samples = base.iter().flat_map(|base| &base.profile.samples);
    sample.extend(base_samples.map(|sample| tables.base(sample)));
    let mut comments = comments(profile, snapshot);
    let told = base.into_iter().flat_map(|base| self::comments(base.profile, base.snapshot));
    comments.extend(told.map(|comment| format!("before: {comment}")));
    let started = snapshot.start().duration_since(UNIX_EPOCH).unwrap_or_default();
    let stacks_period = profile.stacks_period.unwrap_or(1);
    let (function, location) = tables.functions();
    proto::Profile {
        sample_type: SAMPLE_TYPES.map(|named| tables.value_type(named)).to_vec(),
        sample,
        drop_frames: tables.string(ALLOCATOR),
        time_nanos: nanos(started),
        duration_nanos: nanos(snapshot.elapsed),
        period_type: Some(tables.value_type(("objects", "count"))),
        period: i64::from(stacks_period).saturating_mul(snapshot.sampling.period.into()),
        comment: comments.iter().map(|comment| tables.string(comment)).collect(),
        default_sample_type: tables.string(DEFAULT_SAMPLE_TYPE),
        mapping: tables.mappings(),
        location,
        function,
        string_table: tables.strings.into_iter().collect(),
    }
}

fn scraped(of: Scraped, profile: &Profile, snapshot: &Snapshot) -> proto::Profile {
    let mut tables = Tables::new();
    let merged = scraped::merged(profile, MAX_SCRAPED);
    let sample = merged.iter().map(|sample| tables.unlabelled(sample)).collect();
    let now = snapshot.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let comments = comments(profile, snapshot);
    let (function, location) = tables.functions();
    proto::Profile {
        sample_type: SAMPLE_TYPES.map(|named| tables.value_type(named)).to_vec(),
        sample,
        drop_frames: tables.string(ALLOCATOR),
        time_nanos: nanos(now),
        duration_nanos: nanos(snapshot.elapsed),
        // What their user interfaces know a heap profile by.
        period_type: Some(tables.value_type(("space", "bytes"))),
        period: 1,
        comment: comments.iter().map(|comment| tables.string(comment)).collect(),
        default_sample_type: tables.string(match of {
            Scraped::Heap => DEFAULT_SAMPLE_TYPE,
            Scraped::Allocs => "alloc_space",
        }),
        mapping: tables.mappings(),
        location,
        function,
        string_table: tables.strings.into_iter().collect(),
    }
}

/// `go tool pprof -comments` shows them.
fn comments(profile: &Profile, snapshot: &Snapshot) -> Vec<String> {
    let mut comments = vec![format!("memtrace {}", env!("CARGO_PKG_VERSION"))];
    comments.extend(provenance::words(profile, snapshot));
    comments.extend(report::trust_sentences(snapshot));
    comments
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

/// What samples refer to by its number.
#[derive(Default)]
struct Tables {
    strings: IndexSet<String>,
    /// By their files' names.
    mappings: IndexSet<i64>,
    /// By their names.
    functions: IndexSet<(i64, Mapping)>,
}

/// Its number, and its file's name.
type Mapping = (u64, i64);

const NO_MAPPING: Mapping = (0, 0);

impl Tables {
    /// The kernel is the first mapping, which pprof takes for what the profile is of.
    fn new() -> Self {
        let mut tables = Self::default();
        tables.string("");
        tables.mapping(KERNEL);
        tables
    }

    fn sample(&mut self, sample: &Sample) -> proto::Sample {
        let location_id = self.locations(sample);
        let node = sample.node.map(|node| node.to_string());
        let labels = [
            ("comm", Some(&sample.comm[..])),
            ("cgroup", sample.cgroup.as_deref()),
            ("cache", Some(sample.cache.as_bytes())),
            ("node", node.as_deref().map(str::as_bytes)),
        ];
        let labels = labels.into_iter().filter_map(|(key, text)| Some((key, escape::terminal(text?))));
        let label = labels.map(|(key, text)| self.label(key, &text)).collect();
        proto::Sample { label, location_id, value: values(sample) }
    }

    /// Its command name is its outermost frame.
    fn unlabelled(&mut self, sample: &Sample) -> proto::Sample {
        let mut location_id = self.locations(sample);
        let comm = String::from_utf8_lossy(&sample.comm);
        location_id.push(self.location(Frame { function: &comm, place: Place::Unknown }));
        proto::Sample { label: Vec::new(), location_id, value: values(sample) }
    }

    fn locations(&mut self, sample: &Sample) -> Vec<u64> {
        match &sample.frames[..] {
            // pprof shows what has a place only.
            [] => {
                let function = format!("[{}]", sample.cache);
                vec![self.location(Frame { function: &function, place: Place::Unknown })]
            }
            frames => frames.iter().map(|name| self.location(Frame::of(name))).collect(),
        }
    }

    /// One that is taken off the others.
    fn base(&mut self, sample: &Sample) -> proto::Sample {
        let mut base = self.sample(sample);
        base.label.push(self.label(BASE.0, BASE.1));
        base.value.iter_mut().for_each(|value| *value = -*value);
        base
    }

    fn label(&mut self, key: &str, text: &str) -> proto::Label {
        proto::Label { key: self.string(key), str: self.string(text) }
    }

    fn location(&mut self, Frame { function, place }: Frame<'_>) -> u64 {
        let name = self.string(&escape::terminal(function.as_bytes()));
        let of = match place {
            Place::Kernel => self.mapping(KERNEL),
            Place::File(file) => self.mapping(&escape::terminal(file.as_bytes())),
            Place::Unknown => NO_MAPPING,
        };
        id(self.functions.insert_full((name, of)).0)
    }

    fn mapping(&mut self, file: &str) -> Mapping {
        let file = self.string(file);
        (id(self.mappings.insert_full(file).0), file)
    }

    fn mappings(&self) -> Vec<proto::Mapping> {
        let mapping = |(at, &filename)| proto::Mapping {
            id: id(at),
            filename,
            has_functions: true,
            has_filenames: true,
            has_line_numbers: true,
            has_inline_frames: true,
        };
        self.mappings.iter().enumerate().map(mapping).collect()
    }

    /// A place for each: nothing finer is known.
    fn functions(&self) -> (Vec<proto::Function>, Vec<proto::Location>) {
        let function = |(at, &(name, (mapping_id, filename)))| {
            let (id, line) = (id(at), vec![proto::Line { function_id: id(at) }]);
            let function = proto::Function { id, name, system_name: name, filename };
            (function, proto::Location { id, mapping_id, line })
        };
        self.functions.iter().enumerate().map(function).unzip()
    }

    fn value_type(&mut self, (of, unit): (&str, &str)) -> proto::ValueType {
        proto::ValueType { r#type: self.string(of), unit: self.string(unit) }
    }

    fn string(&mut self, text: &str) -> i64 {
        let known = self.strings.get_index_of(text);
        known.unwrap_or_else(|| self.strings.insert_full(text.to_owned()).0) as i64
    }
}

fn values(sample: &Sample) -> Vec<i64> {
    let counts = [sample.allocs, sample.alloc_bytes, sample.objects, sample.bytes];
    counts.map(|count| i64::try_from(count).unwrap_or(i64::MAX)).to_vec()
}

/// Ids begin at 1.
fn id(at: usize) -> u64 {
    at as u64 + 1
}

#[cfg(test)]
mod tests;
