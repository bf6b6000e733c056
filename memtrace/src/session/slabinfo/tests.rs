use std::fs;

use super::*;

/// A host whose slabinfo can be written.
struct Host {
    root: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("proc")).unwrap();
        Self { root }
    }

    /// Caches by name and objects.
    fn has(&self, caches: &[(&str, u64)]) {
        let lines = caches.iter().map(|(name, objects)| {
            format!("{name} {objects} 999999 192 21 1 : tunables 0 0 0 : slabdata 5 5 0\n")
        });
        let text = "slabinfo - version: 2.1\n".to_owned() + &lines.collect::<String>();
        fs::write(self.root.path().join("proc/slabinfo"), text).unwrap();
    }

    fn has_no_slabinfo(&self) {
        fs::remove_file(self.root.path().join("proc/slabinfo")).unwrap();
    }

    fn series(&self) -> SlabinfoSeries {
        let mut series = SlabinfoSeries::new(Files::at(self.root.path()));
        series.read(Duration::ZERO);
        series
    }
}

fn at(series: &mut SlabinfoSeries, milliseconds: u64, cache: &str) -> Option<(u64, Option<f64>)> {
    let elapsed = Duration::from_millis(milliseconds);
    if series.is_due(elapsed) {
        series.read(elapsed);
    }
    series.latest().get(cache).map(|slabinfo| (slabinfo.objects, slabinfo.objects_per_s))
}

#[test]
fn the_first_reading_has_no_rate_and_the_second_comes_soon() {
    let host = Host::new();
    host.has(&[("dentry", 100)]);
    let mut series = host.series();
    host.has(&[("dentry", 150)]);
    assert_eq!(at(&mut series, 0, "dentry"), Some((100, None)));
    assert_eq!(at(&mut series, 399, "dentry"), Some((100, None)));
    assert_eq!(at(&mut series, 400, "dentry"), Some((150, Some(125.0))));
}

#[test]
fn later_it_is_read_every_five_seconds() {
    let host = Host::new();
    host.has(&[("dentry", 100)]);
    let mut series = host.series();
    assert_eq!(at(&mut series, 1_000, "dentry"), Some((100, Some(0.0))));
    host.has(&[("dentry", 90)]);
    assert_eq!(at(&mut series, 5_999, "dentry"), Some((100, Some(0.0))));
    assert_eq!(at(&mut series, 6_000, "dentry"), Some((90, Some(-2.0))));
    host.has(&[("dentry", 110)]);
    assert_eq!(at(&mut series, 16_000, "dentry"), Some((110, Some(2.0))));
}

#[test]
fn at_the_end_rates_are_those_of_the_session() {
    let host = Host::new();
    host.has(&[("dentry", 100)]);
    let mut series = host.series();
    host.has(&[("dentry", 900), ("filp", 7)]);
    assert_eq!(at(&mut series, 5_000, "dentry"), Some((900, Some(160.0))));
    host.has(&[("dentry", 900), ("filp", 7)]);
    assert_eq!(at(&mut series, 10_000, "dentry"), Some((900, Some(0.0))));
    let rates = series.since_start();
    assert_eq!([&rates["dentry"], &rates["filp"]].map(|cache| cache.objects_per_s), [Some(80.0), None]);
}

#[test]
fn a_new_cache_has_no_rate_yet_and_one_that_is_gone_is_not_there() {
    let host = Host::new();
    host.has(&[("dentry", 100)]);
    let mut series = host.series();
    host.has(&[("filp", 7)]);
    assert_eq!(at(&mut series, 500, "filp"), Some((7, None)));
    assert_eq!(at(&mut series, 500, "dentry"), None);
}

/// Before v5.9 each cgroup had its own: `dentry(12:web)`.
#[test]
fn the_caches_of_all_cgroups_are_one() {
    let host = Host::new();
    host.has(&[("dentry", 100), ("dentry(12:web)", 10), ("dentry(13:db)", 1)]);
    assert_eq!(at(&mut host.series(), 0, "dentry"), Some((111, None)));
}

#[test]
fn what_cannot_be_read_is_tried_again_and_does_not_make_up_rates() {
    let host = Host::new();
    let mut series = host.series();
    assert_eq!(at(&mut series, 1_000, "dentry"), None);
    host.has(&[("dentry", 100)]);
    assert_eq!(at(&mut series, 2_000, "dentry"), Some((100, None)));
    host.has_no_slabinfo();
    assert_eq!(at(&mut series, 3_000, "dentry"), Some((100, None)));
    // The rate is over the time between the two readings that there were.
    host.has(&[("dentry", 120)]);
    assert_eq!(at(&mut series, 4_000, "dentry"), Some((120, Some(10.0))));
}

#[test]
fn what_the_kernel_estimates_is_inexact() {
    let host = Host::new();
    let inexact = |slabs: u64| {
        let line = format!("dentry 100 200 192 21 1 : tunables 0 0 0 : slabdata {slabs} {slabs} 0\n");
        fs::write(host.root.path().join("proc/slabinfo"), format!("slabinfo - version: 2.1\n{line}"))
            .unwrap();
        host.series().latest()["dentry"].inexact
    };
    assert_eq!([inexact(10), inexact(10_000), inexact(10_001)], [0, 0, 50]);
}
