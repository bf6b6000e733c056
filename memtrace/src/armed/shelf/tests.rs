use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use proptest::{collection::vec, prelude::*};

use super::*;

fn bundle(second: u64, charge: &str, rate: u64, bytes: u64) -> Bundle {
    Bundle::of(&format!("memtrace-20261129T1820{second:02}Z-{charge}-{rate}.tar.zst"), bytes).unwrap()
}

fn gone(bundles: &[Bundle], bundle_limit: usize, bytes: u64) -> Vec<String> {
    let gone = excess(bundles.to_vec(), Limits { bundles: bundle_limit, bytes });
    gone.into_iter().map(|bundle| bundle.name[17..].trim_end_matches(END).to_owned()).collect()
}

#[test]
fn the_least_bad_goes_and_of_equals_the_oldest() {
    let all = [
        bundle(5, "leak", 100, 10),
        bundle(1, "none", 0, 10),
        bundle(2, "none", 0, 10),
        bundle(3, "flood", 5000, 10),
        bundle(4, "none", 9_000_000, 10),
    ];
    assert_eq!(gone(&all, 5, 50), [""; 0]);
    assert_eq!(gone(&all, 2, 50), ["T182001Z-none-0", "T182002Z-none-0", "T182004Z-none-9000000"]);
    assert_eq!(gone(&all, 5, 15).len(), 4);
    assert_eq!(gone(&all, 5, 5).len(), 5, "one alone may be too large");
}

#[test]
fn a_name_says_what_it_is() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_796_062_805);
    let nothing = name(time, None, Duration::from_secs(30));
    assert_eq!(nothing, "memtrace-20261130T182005Z-none-0.tar.zst");
    assert_eq!(Bundle::of(&nothing, 7).unwrap().severity, Severity { is_accused: false, bytes_per_s: 0 });
    for other in [
        "incident.tar.zst",
        "memtrace-.tar.zst",
        "memtrace-20261130T174005Z-leak-x.tar.zst",
        "memtrace-20261130T174005Z-other-1.tar.zst",
        "memtrace-20261130T174005Z-leak-1-2.tar.zst",
        "memtrace-20261130T174005Z-leak-1.tar",
    ] {
        assert_eq!(Bundle::of(other, 7), None, "{other}");
    }
}

#[test]
fn a_full_disk_allows_less_and_at_last_nothing() {
    let m = 1 << 20;
    assert_eq!(allowed(1000 * m, 100 * m), Some(100 * m));
    assert_eq!(allowed(116 * m, 100 * m), Some(50 * m));
    assert_eq!(allowed(24 * m, 100 * m), Some(4 * m));
    assert_eq!(allowed(23 * m, 100 * m), None);
    assert_eq!(allowed(18 * m, m), Some(m));
    assert_eq!(allowed(0, m), None);
}

fn shelf(directory: &Path, bundles: usize, bytes: u64) -> Result<Shelf, ShelfError> {
    Shelf::open(directory, Limits { bundles, bytes })
}

fn names(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().flatten();
    let mut names: Vec<_> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn only_bundles_go_and_what_was_never_completed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundles");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    let (worst, least) = (bundle(1, "leak", 5, 3).name, bundle(2, "none", 0, 3).name);
    for name in [&*worst, &*least, "notes.txt", ".memtrace-a1b2c3", ".profile"] {
        fs::write(path.join(name), "123").unwrap();
    }
    let opened = shelf(&path, 1, 100).unwrap();
    assert_eq!(names(&path), [".profile", &*worst, &*least, "notes.txt"]);
    let gone = opened.tidy().unwrap();
    assert_eq!(gone.iter().map(|bundle| &bundle.name).collect::<Vec<_>>(), [&least]);
    assert_eq!(names(&path), [".profile", &*worst, "notes.txt"]);
    let (allowed, gone) = opened.make_room(1 << 20).unwrap();
    assert_eq!((allowed, gone.len()), (Some(100), 0), "a bundle cannot be larger than all may be");
}

#[test]
fn a_directory_has_one_watch_and_is_ours() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b");
    let first = shelf(&path, 1, 1).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(matches!(shelf(&path, 1, 1), Err(ShelfError::Taken(_))));
    drop(first);
    drop(shelf(&path, 1, 1).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(shelf(&path, 1, 1), Err(ShelfError::Open(_))));
    fs::write(directory.path().join("file"), "").unwrap();
    assert!(matches!(shelf(&directory.path().join("file"), 1, 1), Err(ShelfError::Directory { .. })));
}

proptest! {
    /// What stays is within the limits, nothing that goes is worse than what stays, and no more goes than has to.
    #[test]
    fn what_stays_is_the_worst(
        all in vec((0_u64..60, any::<bool>(), 0_u64..5, 1_u64..100), 0..30),
        limit in 0_usize..12,
        bytes in 0_u64..800,
    ) {
        let charge = |is_accused| if is_accused { "leak" } else { "none" };
        let all: Vec<_> =
            all.into_iter().map(|(at, accused, rate, bytes)| bundle(at, charge(accused), rate, bytes)).collect();
        let gone = excess(all.clone(), Limits { bundles: limit, bytes });
        let mut stays = all;
        for bundle in &gone {
            let at = stays.iter().position(|one| one == bundle).expect("it was there");
            stays.remove(at);
        }
        let sum = |bundles: &[Bundle]| bundles.iter().map(|bundle| bundle.bytes).sum::<u64>();
        prop_assert!(stays.len() <= limit && sum(&stays) <= bytes);
        let key = |bundle: &Bundle| (bundle.severity, bundle.time.clone());
        let (worst_gone, least_bad) = (gone.iter().map(key).max(), stays.iter().map(key).min());
        prop_assert!(worst_gone.is_none() || least_bad.is_none() || worst_gone <= least_bad);
        if let Some(last) = gone.last() {
            prop_assert!(stays.len() + 1 > limit || sum(&stays) + last.bytes > bytes);
        }
    }
}
