use std::{fs, path::Path};

use clap::Parser;
use proptest::prelude::*;

use super::*;
use crate::{
    procfs::{
        meminfo::SlabMemory,
        slab::{Counts, SlabCache, SlabCaches},
    },
    text::width,
};

fn cache(name: &str, aliases: &[&str], size: u64, reclaimable: bool, counts: [u64; 4]) -> SlabCache {
    let [active_objects, total_objects, slabs, pages] = counts;
    SlabCache {
        name: name.to_owned(),
        aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
        name_is_certain: true,
        object_size: Some(size - size / 50),
        slab_size: Some(size),
        reclaimable: Some(reclaimable),
        counts: Some(Counts { active_objects, total_objects, slabs, pages }),
    }
}

fn some_caches() -> SlabCaches {
    let caches = vec![
        cache("buffer_head", &["ext4_fc_dentry_update"], 104, true, [187_212, 467_000, 11_975, 11_975]),
        cache("dentry", &[], 192, true, [92_988, 93_000, 4_429, 4_429]),
        cache(
            "dmaengine-unmap-2-and-more",
            &["iommu_iova", "jbd2_inode", "ksm_rmap_item"],
            64,
            false,
            [64, 64, 1, 1],
        ),
        cache("ext4_inode_cache", &[], 1_128, true, [63_462, 63_462, 4_533, 18_132]),
        cache("evil\u{1b}[2J\n\u{202e}", &["x\ty"], 8, false, [1, 512, 1, 1]),
        cache("kmalloc-8k", &[], 8_192, false, [31, 32, 8, 64]),
        cache("xfs_inode", &[], 1_024, true, [0, 0, 0, 0]),
    ];
    SlabCaches { caches, missing: None }
}

fn request(sort: Sort, top: usize) -> Request {
    Request {
        pattern: None,
        sort,
        top: NonZeroUsize::new(top),
        page_size: 4096,
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_764_000_000_123),
        meminfo: Some(SlabMemory {
            slab: 150_000_000,
            sreclaimable: 140_000_000,
            sunreclaim: 10_000_000,
            available: None,
        }),
        earlier: None,
    }
}

/// Two seconds ago there were more buffer heads and fewer dentries, and one cache was not there.
fn earlier(caches: &SlabCaches) -> Option<(Duration, Vec<Option<Counts>>)> {
    let counts = caches.caches.iter().map(|cache| {
        let now = cache.counts?;
        match cache.name.as_str() {
            "dentry" => {
                Some(Counts { active_objects: 90_000, total_objects: 90_006, slabs: 4_286, pages: 4_286 })
            }
            "buffer_head" => Some(Counts { active_objects: 187_300, pages: 12_000, ..now }),
            "kmalloc-8k" => None,
            _ => Some(now),
        }
    });
    Some((Duration::from_secs(2), counts.collect()))
}

fn report(change: impl FnOnce(&mut Request, &mut SlabCaches)) -> Report {
    let (mut request, mut caches) = (request(Sort::Bytes, 0), some_caches());
    change(&mut request, &mut caches);
    Report::new(request, caches).unwrap()
}

/// The line as it is written, in which keys have an order, with a break before each object.
fn json_of(report: &Report) -> String {
    let mut out = Vec::new();
    json::write(report, &mut out).unwrap();
    serde_json::from_slice::<serde_json::Value>(&out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.find('\n'), Some(text.len() - 1), "one object a line");
    text.replace('{', "\n{")
}

#[test]
fn table_in_a_window_of_80_columns() {
    let text = table::render(&report(|_, _| {}), false, Frame::wide(80));
    assert!(text.lines().next().unwrap().len() <= 80);
    insta::assert_snapshot!(text);
}

#[test]
fn table_in_a_window_of_120_columns() {
    insta::assert_snapshot!(table::render(
        &report(|request, _| request.top = NonZeroUsize::new(3)),
        true,
        Frame::wide(120)
    ));
}

#[test]
fn growth_in_a_window_of_80_columns() {
    let report = report(|request, caches| {
        request.sort = Sort::Growth;
        request.earlier = earlier(caches);
    });
    insta::assert_snapshot!(table::render(&report, false, Frame::wide(80)));
}

#[test]
fn growth_in_a_window_of_120_columns() {
    insta::assert_snapshot!(table::render(
        &report(|request, caches| request.earlier = earlier(caches)),
        false,
        Frame::wide(120)
    ));
}

#[test]
fn table_of_a_pattern() {
    let report = report(|request, _| request.pattern = Some("inode".to_owned()));
    insta::assert_snapshot!(table::render(&report, true, Frame::default()));
}

#[test]
fn table_without_sources() {
    let report = report(|request, caches| {
        request.meminfo = None;
        caches.missing =
            Some(MissingSource::Slabinfo(SlabinfoError::Absent { path: "/proc/slabinfo".into() }));
        caches.caches.truncate(3);
        for cache in &mut caches.caches {
            cache.counts = None;
            cache.slab_size = None;
            cache.reclaimable = None;
        }
    });
    insta::assert_snapshot!(table::render(&report, false, Frame::wide(80)));
}

#[test]
fn json_has_exact_numbers() {
    let report = report(|request, caches| {
        request.top = NonZeroUsize::new(2);
        request.earlier = earlier(caches);
    });
    insta::assert_snapshot!(json_of(&report));
}

#[test]
fn json_without_sources() {
    let report = report(|request, caches| {
        request.meminfo = None;
        request.pattern = Some("x*".to_owned());
        caches.missing =
            Some(MissingSource::Slabinfo(SlabinfoError::Absent { path: "/proc/slabinfo".into() }));
        caches.caches = vec![SlabCache { name: "xfs\u{1b}\"".to_owned(), ..SlabCache::default() }];
    });
    insta::assert_snapshot!(json_of(&report));
}

#[test]
fn orders() {
    let order = |sort| {
        let report = report(|request, caches| {
            request.sort = sort;
            request.earlier = earlier(caches);
            caches.caches.retain(|cache| !cache.name.starts_with("evil"));
        });
        report.rows.iter().map(|row| row.cache.name.clone()).collect::<Vec<_>>().join(" ")
    };
    let all = [Sort::Bytes, Sort::Objects, Sort::Growth, Sort::Size, Sort::Name];
    insta::assert_snapshot!(all.map(order).join("\n"), @"
    ext4_inode_cache buffer_head dentry kmalloc-8k dmaengine-unmap-2-and-more xfs_inode
    buffer_head dentry ext4_inode_cache dmaengine-unmap-2-and-more kmalloc-8k xfs_inode
    dentry kmalloc-8k ext4_inode_cache dmaengine-unmap-2-and-more buffer_head xfs_inode
    kmalloc-8k ext4_inode_cache xfs_inode dentry buffer_head dmaengine-unmap-2-and-more
    buffer_head dentry dmaengine-unmap-2-and-more ext4_inode_cache kmalloc-8k xfs_inode
    ");
}

proptest! {
    #[test]
    fn rows_and_rest_add_up(
        counts in prop::collection::vec(prop::option::of(any::<[u32; 4]>()), 1..20),
        top in 0usize..25,
        width in prop::option::of(0usize..200),
    ) {
        let caches = counts.iter().enumerate().map(|(index, counts)| {
            let mut cache = cache(&format!("cache-{index}"), &[], 8, false, counts.unwrap_or_default().map(u64::from));
            cache.counts = cache.counts.filter(|_| counts.is_some());
            cache
        });
        let report = Report::new(request(Sort::Objects, top), SlabCaches { caches: caches.collect(), missing: None }).unwrap();
        let shown: u64 = report.rows.iter().filter_map(|row| row.bytes).sum();
        prop_assert_eq!(shown + report.rest.map_or(0, |rest| rest.bytes), report.total.bytes);
        let caches = report.rows.len() as u64 + report.rest.map_or(0, |rest| rest.caches);
        prop_assert_eq!(caches, report.total.caches);
        let text = table::render(&report, true, Frame { width, height: None });
        let width = width.unwrap_or(usize::MAX);
        prop_assert!(text.starts_with("CACHE") || width < "CACHE".len());
        prop_assert!(text.lines().all(|line| width::cells(line) <= width), "{text}");
    }
}

#[derive(Debug, Parser)]
#[command(name = "memtrace caches", no_binary_name = true)]
struct Cli {
    #[command(flatten)]
    args: CachesArgs,
}

fn root_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

const SLABINFO: (&str, &str) =
    ("proc/slabinfo", "slabinfo - version: 2.1\ndentry 100 105 192 21 1 : tunables 0 0 0 : slabdata 5 5 0\n");
const DENTRY: (&str, &str) = ("sys/kernel/slab/dentry/reclaim_account", "1\n");

/// What the command says, the fixture's place cut out.
fn error_of(line: &str, root: &Path) -> String {
    let parsed = match Cli::try_parse_from(line.split_terminator(' ')) {
        Ok(cli) => gather(&cli.args, &Files::at(root)).map(drop).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string().lines().next().unwrap_or_default().to_owned()),
    };
    let text = parsed.err().unwrap_or_else(|| "no error".to_owned());
    text.replace(&root.display().to_string(), "")
}

#[test]
fn errors() {
    let both = root_with(&[SLABINFO, DENTRY]);
    let sysfs = root_with(&[DENTRY]);
    let none = root_with(&[]);
    let mut text = String::new();
    for (line, root) in [
        ("", &both),
        ("dent -i 1ms", &both),
        ("", &sysfs),
        ("", &none),
        ("-i 1s", &sysfs),
        ("-s growth", &sysfs),
        ("zebra -i 1d", &both),
        ("dent[", &both),
        ("-i 0s", &both),
        ("-i -5s", &both),
        ("-i 400d", &both),
        ("-i soon", &both),
        ("-t 0", &both),
        ("-t -1", &both),
        ("-s age", &both),
        ("-o xml", &both),
    ] {
        text += &format!("{line}: {}\n", error_of(line, root.path()));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn two_readings_of_a_fixture_do_not_grow() {
    let root = root_with(&[SLABINFO, DENTRY]);
    let args = Cli::try_parse_from(["-i", "1ms"]).unwrap().args;
    let report = gather(&args, &Files::at(root.path())).unwrap();
    let growth = report.total.growth.unwrap();
    assert_eq!((growth.objects, growth.bytes), (0, 0));
    assert!(report.interval.unwrap() >= Duration::from_millis(1));
}

#[test]
fn help() {
    use clap::CommandFactory as _;
    insta::assert_snapshot!(Cli::command().term_width(100).render_long_help());
}
