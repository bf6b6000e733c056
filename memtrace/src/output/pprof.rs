//! Profiles as pprof reads them: `go tool pprof`, and the services that keep such profiles.
//!
//! Command, cgroup, cache and NUMA node are labels: `-tags` shows them, `-tagfocus` and `-tagroot` use them. Functions of the kernel are in the mapping
//! that perf calls `[kernel.kallsyms]`, those of programs and modules in their file's. The allocator's own functions are left out of what
//! pprof shows, so that what called it stands first; the file has them.

mod proto;

use std::{
    collections::HashMap,
    io::{self, Write},
    time::{Duration, UNIX_EPOCH},
};

use flate2::{Compression, write::GzEncoder};
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

/// A gzip file.
pub fn write(profile: &Profile, snapshot: &Snapshot, out: &mut impl Write) -> io::Result<()> {
    pack(&encode(Profiled { profile, snapshot }, None), out)
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
    let started = provenance::start(snapshot).duration_since(UNIX_EPOCH).unwrap_or_default();
    let stacks_period = profile.stacks_period.unwrap_or(1);
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
        mapping: tables.mappings,
        location: tables.locations,
        function: tables.functions,
        string_table: tables.strings,
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

/// What samples refer to by its number, each once.
struct Tables {
    strings: Vec<String>,
    string_ids: HashMap<String, i64>,
    mappings: Vec<proto::Mapping>,
    /// By the file's name.
    mapping_ids: HashMap<i64, u64>,
    /// A place for each function: nothing finer is known of it.
    locations: Vec<proto::Location>,
    functions: Vec<proto::Function>,
    /// Of a function, and so of its place, by its name and mapping.
    function_ids: HashMap<(i64, u64), u64>,
}

impl Tables {
    /// The kernel is the first mapping, which pprof takes for what the profile is of.
    fn new() -> Self {
        let mut tables = Self {
            strings: Vec::new(),
            string_ids: HashMap::new(),
            mappings: Vec::new(),
            mapping_ids: HashMap::new(),
            locations: Vec::new(),
            functions: Vec::new(),
            function_ids: HashMap::new(),
        };
        tables.string("");
        tables.mapping(KERNEL);
        tables
    }

    fn sample(&mut self, sample: &Sample) -> proto::Sample {
        let counts = [sample.allocs, sample.alloc_bytes, sample.objects, sample.bytes];
        let location_id = match &sample.frames[..] {
            // pprof shows what has a place only.
            [] => {
                let function = format!("[{}]", sample.cache);
                vec![self.location(Frame { function: &function, place: Place::Unknown })]
            }
            frames => frames.iter().map(|name| self.location(Frame::of(name))).collect(),
        };
        let labels = [
            ("comm", Some(&sample.comm[..])),
            ("cgroup", sample.cgroup.as_deref()),
            ("cache", Some(sample.cache.as_bytes())),
        ];
        let mut label: Vec<proto::Label> = labels
            .into_iter()
            .filter_map(|(key, text)| Some(self.label(key, &escape::terminal(text?))))
            .collect();
        label.extend(sample.node.map(|node| self.label("node", &node.to_string())));
        proto::Sample {
            label,
            location_id,
            value: counts.map(|count| i64::try_from(count).unwrap_or(i64::MAX)).to_vec(),
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
        let (filename, mapping_id) = match place {
            Place::Kernel => (KERNEL.into(), self.mapping(KERNEL)),
            Place::File(file) => {
                let file = escape::terminal(file.as_bytes());
                let mapping = self.mapping(&file);
                (file, mapping)
            }
            Place::Unknown => ("".into(), 0),
        };
        let next = self.functions.len() as u64 + 1;
        let id = *self.function_ids.entry((name, mapping_id)).or_insert(next);
        if id == next {
            let filename = self.string(&filename);
            self.functions.push(proto::Function { id, name, system_name: name, filename });
            self.locations.push(proto::Location {
                id,
                mapping_id,
                line: vec![proto::Line { function_id: id }],
            });
        }
        id
    }

    fn mapping(&mut self, file: &str) -> u64 {
        let filename = self.string(file);
        let next = self.mappings.len() as u64 + 1;
        let id = *self.mapping_ids.entry(filename).or_insert(next);
        if id == next {
            self.mappings.push(proto::Mapping {
                id,
                filename,
                has_functions: true,
                has_filenames: true,
                has_line_numbers: true,
                has_inline_frames: true,
            });
        }
        id
    }

    fn value_type(&mut self, (of, unit): (&str, &str)) -> proto::ValueType {
        proto::ValueType { r#type: self.string(of), unit: self.string(unit) }
    }

    fn string(&mut self, text: &str) -> i64 {
        if let Some(&id) = self.string_ids.get(text) {
            return id;
        }
        let id = self.strings.len() as i64;
        self.strings.push(text.to_owned());
        self.string_ids.insert(text.to_owned(), id);
        id
    }
}

#[cfg(test)]
mod tests;
