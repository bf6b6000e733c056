use std::{
    fmt::Write as _,
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
};

use flate2::read::GzDecoder;
use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::output::sample;

fn bytes(profile: &Profile, snapshot: &Snapshot) -> Vec<u8> {
    let mut out = Vec::new();
    write(profile, snapshot, &mut out).unwrap();
    out
}

fn decode(file: &[u8]) -> proto::Profile {
    let mut message = Vec::new();
    GzDecoder::new(file).read_to_end(&mut message).unwrap();
    proto::Profile::decode(&message[..]).unwrap()
}

/// A decoded file, whose numbers are looked up.
struct Reader(proto::Profile);

impl Reader {
    fn string(&self, id: i64) -> &str {
        &self.0.string_table[id as usize]
    }

    fn value_type(&self, of: proto::ValueType) -> String {
        format!("{}/{}", self.string(of.r#type), self.string(of.unit))
    }

    /// Function and file.
    fn frame(&self, location: u64) -> (&str, Option<&str>) {
        let location = &self.0.location[location as usize - 1];
        let function = &self.0.function[location.line[0].function_id as usize - 1];
        let mapping = (location.mapping_id as usize).checked_sub(1).map(|at| &self.0.mapping[at]);
        let file = mapping.map(|mapping| self.string(mapping.filename));
        assert_eq!(file.unwrap_or_default(), self.string(function.filename));
        assert_eq!(function.system_name, function.name);
        (self.string(function.name), file)
    }

    fn label(&self, sample: &proto::Sample, key: &str) -> Option<&str> {
        let label = sample.label.iter().find(|label| self.string(label.key) == key)?;
        Some(self.string(label.str))
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let types: Vec<_> = self.0.sample_type.iter().map(|&of| self.value_type(of)).collect();
        let period_type = self.0.period_type.map(|of| self.value_type(of)).unwrap_or_default();
        writeln!(out, "types {}, by default {}", types.join(" "), self.string(self.0.default_sample_type))
            .unwrap();
        writeln!(out, "period {} {period_type}", self.0.period).unwrap();
        writeln!(out, "time {} ns, for {} ns", self.0.time_nanos, self.0.duration_nanos).unwrap();
        for &comment in &self.0.comment {
            writeln!(out, "# {}", self.string(comment)).unwrap();
        }
        for sample in &self.0.sample {
            let labels: Vec<_> = sample
                .label
                .iter()
                .map(|label| format!("{}={}", self.string(label.key), self.string(label.str)))
                .collect();
            writeln!(out, "{:?} {}", sample.value, labels.join(" ")).unwrap();
            for &location in &sample.location_id {
                let (function, file) = self.frame(location);
                writeln!(out, "    {function} in {}", file.unwrap_or("-")).unwrap();
            }
        }
        out
    }

    /// What was written, with its texts escaped.
    fn samples(&self) -> Vec<Sample> {
        let name = |id: u64| match self.frame(id) {
            (function, None | Some(KERNEL)) => function.to_owned(),
            (function, Some(file)) if function.starts_with(&format!("{file}+0x")) => function.to_owned(),
            (function, Some(file)) => format!("{function} [{file}]"),
        };
        let sample = |sample: &proto::Sample| {
            let label = |key| self.label(sample, key).map(str::to_owned);
            let cache = label("cache").unwrap();
            let frames: Vec<String> = sample.location_id.iter().copied().map(name).collect();
            let is_known = frames != [format!("[{cache}]")];
            let [allocs, alloc_bytes, objects, bytes] = sample.value[..] else { panic!("four values") };
            Sample {
                frames: if is_known { frames } else { Vec::new() },
                comm: label("comm").unwrap().into_bytes(),
                cgroup: label("cgroup").map(String::into_bytes),
                node: label("node").map(|node| node.parse().unwrap()),
                cache,
                allocs: allocs as u64,
                alloc_bytes: alloc_bytes as u64,
                objects: objects as u64,
                bytes: bytes as u64,
            }
        };
        self.0.sample.iter().map(sample).collect()
    }
}

fn escaped(sample: &Sample) -> Sample {
    let clean = |bytes: &[u8]| escape::terminal(bytes).into_owned();
    Sample {
        frames: sample.frames.iter().map(|frame| clean(frame.as_bytes())).collect(),
        comm: clean(&sample.comm).into_bytes(),
        cgroup: sample.cgroup.as_deref().map(|path| clean(path).into_bytes()),
        cache: clean(sample.cache.as_bytes()),
        ..*sample
    }
}

#[test]
fn messages() {
    assert_snapshot!(Reader(decode(&bytes(&sample::profile(), &sample::final_dentry()))).text());
}

#[test]
fn hostile_names() {
    let lossy = sample::lossy();
    let hostile = Snapshot { trust: lossy.trust, ..sample::hostile() };
    assert_snapshot!(Reader(decode(&bytes(&sample::hostile_profile(), &hostile))).text());
}

#[test]
fn the_same_profile_is_the_same_file() {
    let file = || bytes(&sample::profile(), &sample::dentry());
    assert_eq!(file(), file());
}

proptest! {
    #[test]
    fn what_is_written_is_read(profile in sample::any_profile()) {
        let reader = Reader(decode(&bytes(&profile, &sample::dentry())));
        prop_assert_eq!(&reader.0.string_table[0], "");
        prop_assert_eq!(reader.0.period, i64::from(profile.stacks_period.unwrap_or(1)));
        prop_assert_eq!(reader.samples(), profile.samples.iter().map(escaped).collect::<Vec<_>>());
    }
}

/// What the real tool prints. None, loudly, where it is not there: with `MEMTRACE_NO_SKIP=1` a failure.
fn pprof(directory: &Path, arguments: &[&str]) -> Option<String> {
    let mut go = Command::new("go");
    // What it keeps, and its settings, are not the user's. Times are shown in the local zone.
    go.args(["tool", "pprof"]).args(arguments).current_dir(directory).stdin(Stdio::null());
    go.env("XDG_CONFIG_HOME", directory).env("PPROF_TMPDIR", directory).env("TZ", "UTC");
    match go.output() {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "go tool pprof {arguments:?}: {errors}");
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) if std::env::var_os("MEMTRACE_NO_SKIP").is_none_or(|value| value != "1") => {
            eprintln!("SKIPPED: cannot run go tool pprof: {error}; `cargo xtask setup` installs it");
            None
        }
        Err(error) => panic!("cannot run go tool pprof: {error}; `cargo xtask setup` installs it"),
    }
}

/// Two profiles in a directory: `old.pb.gz`, and `new.pb.gz` with more of the second sample.
fn two_profiles() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let old = sample::profile();
    let mut new = old.clone();
    new.samples[1].objects += 1000;
    new.samples[1].bytes += 192_000;
    for (name, profile) in [("old.pb.gz", &old), ("new.pb.gz", &new)] {
        std::fs::write(directory.path().join(name), bytes(profile, &sample::dentry())).unwrap();
    }
    directory
}

/// The lines behind the one that begins so, up to one that begins otherwise, with single blanks: what versions of the tool differ
/// in is around them.
fn behind(text: &str, head: &str, end: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let lines = lines.skip_while(|line| !line.starts_with(head)).skip(1);
    lines.take_while(|line| end.is_empty() || !line.starts_with(end)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_real_tool_shows_what_calls_the_allocator_most() {
    let directory = two_profiles();
    let Some(top) = pprof(directory.path(), &["-top", "-unit=b", "old.pb.gz"]) else { return };
    assert_snapshot!(behind(&top, "flat flat%", ""));
    assert!(top.contains("Type: inuse_space\nTime: Nov 24, 2025 at 3:59pm (UTC)\n"), "{top}");
}

#[test]
fn the_real_tool_knows_the_labels() {
    let directory = two_profiles();
    let arguments = ["-tags", "-unit=b", "-sample_index=alloc_space", "old.pb.gz"];
    let Some(tags) = pprof(directory.path(), &arguments) else { return };
    assert_snapshot!(behind(&tags, "cache: Total", ""));
    let arguments = ["-top", "-sample_index=inuse_objects", "-tagfocus=cache=filp", "old.pb.gz"];
    let focused = pprof(directory.path(), &arguments).unwrap();
    assert!(focused.contains("Showing nodes accounting for 7, 0.029% of 23989 total"), "{focused}");
}

#[test]
fn the_real_tool_reads_all_there_is() {
    let directory = two_profiles();
    let Some(raw) = pprof(directory.path(), &["-raw", "old.pb.gz"]) else { return };
    assert_snapshot!(behind(&raw, "Samples:", "Locations"));
    assert!(raw.contains("PeriodType: objects count\nPeriod: 32\n"), "{raw}");
}

#[test]
fn the_real_tool_tells_what_is_new() {
    let directory = two_profiles();
    let arguments = ["-top", "-unit=b", "-base", "old.pb.gz", "new.pb.gz"];
    let Some(difference) = pprof(directory.path(), &arguments) else { return };
    assert_snapshot!(behind(&difference, "flat flat%", ""));
}

/// One file of both is to it what two are.
#[test]
fn the_real_tool_takes_a_difference_for_one() {
    let directory = two_profiles();
    let (old, mut new) = (sample::profile(), sample::profile());
    new.samples[1].objects += 1000;
    new.samples[1].bytes += 192_000;
    let snapshot = sample::dentry();
    let [before, after] = [&old, &new].map(|profile| Profiled { profile, snapshot: &snapshot });
    let mut file = Vec::new();
    write_difference(before, after, &mut file).unwrap();
    std::fs::write(directory.path().join("difference.pb.gz"), file).unwrap();
    let Some(one) = pprof(directory.path(), &["-top", "-unit=b", "difference.pb.gz"]) else { return };
    let two = ["-top", "-unit=b", "-diff_base", "old.pb.gz", "new.pb.gz"];
    let two = pprof(directory.path(), &two).unwrap();
    let shown = |text: &str| {
        let nodes = text.lines().find(|line| line.starts_with("Showing nodes")).unwrap().to_owned();
        (nodes, behind(text, "flat flat%", ""))
    };
    assert_eq!(shown(&one), shown(&two));
    assert!(shown(&one).0.contains("192000B"), "{one}");
}

/// It leaves out what is inside of the allocator, so that the one who asked for memory is shown.
#[test]
fn the_real_tool_leaves_the_allocator_out() {
    let directory = tempfile::tempdir().unwrap();
    let within = [
        "__kmalloc_node_noprof",
        "alloc_slab_obj_exts",
        "allocate_slab",
        "___slab_alloc",
        "__slab_alloc.isra.0",
    ];
    let allocators = [
        "kmem_cache_alloc",
        "kmem_cache_alloc_lru_noprof",
        "__kmalloc_cache_noprof",
        "__kmem_cache_alloc_node",
        "__do_kmalloc_node",
        "__kmalloc_node_track_caller",
        "kmalloc_trace",
        "__kvmalloc_node_noprof",
        "krealloc_noprof",
        "kmemdup_noprof",
        "kstrdup",
    ];
    let mut profile = sample::profile();
    let one = profile.samples.swap_remove(1);
    let through = |allocator: &&str| Sample {
        frames: within.iter().chain([allocator, &"caller"]).map(ToString::to_string).collect(),
        ..one.clone()
    };
    profile.samples = allocators.iter().map(through).collect();
    std::fs::write(directory.path().join("p.pb.gz"), bytes(&profile, &sample::dentry())).unwrap();
    let Some(top) = pprof(directory.path(), &["-top", "-unit=b", "p.pb.gz"]) else { return };
    assert_eq!(behind(&top, "flat flat%", ""), "48789312B 100% 100% 48789312B 100% caller");
}

#[test]
fn the_real_tool_bears_hostile_names() {
    let directory = tempfile::tempdir().unwrap();
    let file = bytes(&sample::hostile_profile(), &sample::hostile());
    std::fs::write(directory.path().join("hostile.pb.gz"), file).unwrap();
    let Some(tags) = pprof(directory.path(), &["-tags", "hostile.pb.gz"]) else { return };
    assert!(!tags.chars().any(|c| c.is_control() && c != '\n'), "{tags:?}");
    assert!(tags.contains("<script>alert(1)</script>"), "{tags}");
}
