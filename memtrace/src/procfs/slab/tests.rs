use std::{fs, os::unix::fs::symlink};

use super::*;

/// Two merged groups, one directory that stands for itself, two caches that sysfs does not know.
const SLABINFO: &str = "slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>
dentry  100 105 192 21 1 : tunables 0 0 0 : slabdata 5 5 0
ip6_dst_cache  3 16 256 16 1 : tunables 0 0 0 : slabdata 1 1 0
pid  30 42 192 21 2 : tunables 0 0 0 : slabdata 2 2 0
odd  1 2 64 64 1 : tunables 0 0 0 : slabdata 1 1 0
odd  10 20 64 64 1 : tunables 0 0 0 : slabdata 2 2 0
dentry(12:web)  7 21 192 21 1 : tunables 0 0 0 : slabdata 1 1 0
";

fn files(slabinfo: Option<&str>, with_sysfs: bool) -> (tempfile::TempDir, Files) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("proc")).unwrap();
    if let Some(text) = slabinfo {
        fs::write(root.path().join("proc/slabinfo"), text).unwrap();
    }
    if with_sysfs {
        let slab = root.path().join("sys/kernel/slab");
        for (directory, object_size, slab_size, reclaimable) in [
            ("dentry", "184\n", "192\n", "1\n"),
            (":A-0000256", "249\n", "256\n", "0\n"),
            (":A-0000192", "x", "", "0"),
        ] {
            let directory = slab.join(directory);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("object_size"), object_size).unwrap();
            fs::write(directory.join("slab_size"), slab_size).unwrap();
            fs::write(directory.join("reclaim_account"), reclaimable).unwrap();
        }
        for (name, directory) in [
            ("task_delay_info", ":A-0000256"),
            ("ip6_dst_cache", ":A-0000256"),
            ("pid", ":A-0000192"),
            ("cred", ":A-0000192"),
            ("gone", ":dangling"),
        ] {
            symlink(directory, slab.join(name)).unwrap();
        }
        fs::write(slab.join("a_file"), "is no cache").unwrap();
    }
    let files = Files::at(root.path());
    (root, files)
}

/// One line a cache, with what is known of it.
fn show(caches: &SlabCaches) -> String {
    let lines = caches.caches.iter().map(|cache| {
        let sizes = (cache.object_size, cache.slab_size);
        let counts = cache.counts.map(|c| (c.active_objects, c.total_objects, c.slabs, c.pages));
        let mark = if cache.name_is_certain { "" } else { "?" };
        let reclaimable = cache.reclaimable;
        format!("{}{mark} {:?} {sizes:?} {reclaimable:?} {counts:?}\n", cache.name, cache.aliases)
    });
    lines.collect()
}

#[test]
fn both_sources_are_joined() {
    let (_root, files) = files(Some(SLABINFO), true);
    let mut caches = files.slab_caches().unwrap();
    files.read_object_sizes(&mut caches);
    assert!(caches.missing.is_none());
    insta::assert_snapshot!(show(&caches), @r#"
    dentry [] (Some(184), Some(192)) Some(true) Some((100, 105, 5, 5))
    dentry(12:web) [] (Some(184), Some(192)) Some(true) Some((7, 21, 1, 1))
    gone [] (None, None) None None
    ip6_dst_cache ["task_delay_info"] (Some(249), Some(256)) Some(false) Some((3, 16, 1, 1))
    odd [] (None, Some(64)) None Some((11, 22, 3, 3))
    pid ["cred"] (None, Some(192)) Some(false) Some((30, 42, 2, 4))
    "#);
}

#[test]
fn the_kernel_s_own_names_are_described_without_numbers() {
    let (_root, files) = files(None, true);
    let caches = files.described_caches(["pid", "dentry", "dentry(12:web)", "odd"].into_iter()).unwrap();
    insta::assert_snapshot!(show(&caches), @r#"
    dentry [] (None, None) Some(true) None
    dentry(12:web) [] (None, None) Some(true) None
    odd [] (None, None) None None
    pid ["cred"] (None, None) Some(false) None
    "#);
}

#[test]
fn an_entry_that_comes_or_goes_changes_the_fingerprint() {
    let (root, files) = files(None, true);
    let alias = root.path().join("sys/kernel/slab/skbuff");
    let before = files.slab_fingerprint();
    assert!(before.is_some());
    symlink(":A-0000256", &alias).unwrap();
    let with_alias = files.slab_fingerprint();
    assert_ne!(with_alias, before);
    assert_eq!(files.slab_fingerprint(), with_alias);
    fs::remove_file(alias).unwrap();
    assert_eq!(files.slab_fingerprint(), before);
    assert_eq!(Files::at(&root.path().join("nothing")).slab_fingerprint(), None);
}

#[test]
fn without_slabinfo_names_and_sizes_remain() {
    let (root, files) = files(None, true);
    let mut caches = files.slab_caches().unwrap();
    files.read_object_sizes(&mut caches);
    let missing =
        caches.missing.as_ref().unwrap().to_string().replace(&root.path().display().to_string(), "");
    insta::assert_snapshot!(missing, @"/proc/slabinfo does not exist: /proc is not mounted, or the kernel has no CONFIG_SLUB_DEBUG; the numbers of objects are unknown");
    insta::assert_snapshot!(show(&caches), @r#"
    cred? ["pid"] (None, None) Some(false) None
    dentry [] (Some(184), Some(192)) Some(true) None
    gone [] (None, None) None None
    ip6_dst_cache? ["task_delay_info"] (Some(249), Some(256)) Some(false) None
    "#);
}

#[test]
fn without_sysfs_the_numbers_remain() {
    let (root, files) = files(Some(SLABINFO), false);
    let caches = files.slab_caches().unwrap();
    let missing =
        caches.missing.as_ref().unwrap().to_string().replace(&root.path().display().to_string(), "");
    insta::assert_snapshot!(missing, @"/sys/kernel/slab does not exist: sysfs is not mounted, or the kernel's slab allocator is not SLUB; merged caches and reclaimable memory are unknown");
    assert_eq!(caches.get("dentry").unwrap().slab_size, Some(192));
    assert_eq!(caches.get("dentry").unwrap().reclaimable, None);
    assert_eq!(caches.get("cred"), None);
}

#[test]
fn without_both_it_is_an_error() {
    let (root, files) = files(None, false);
    let error = files.slab_caches().unwrap_err().to_string().replace(&root.path().display().to_string(), "");
    insta::assert_snapshot!(error, @"the slab caches cannot be listed: /proc/slabinfo does not exist: /proc is not mounted, or the kernel has no CONFIG_SLUB_DEBUG; /sys/kernel/slab does not exist: sysfs is not mounted, or the kernel's slab allocator is not SLUB");
}

#[test]
fn a_malformed_slabinfo_counts_as_missing() {
    let (_root, files) = files(Some("slabinfo - version: 2.1\nnonsense\n"), true);
    let missing = files.slab_caches().unwrap().missing.unwrap().to_string();
    insta::assert_snapshot!(missing, @"line 2 of slabinfo is malformed: there is no `: slabdata`; the numbers of objects are unknown");
}

/// It cannot be so in a kernel of today; if it is, no name may vanish.
#[test]
fn several_slabinfo_names_in_one_group_are_caches_each() {
    let both = format!("{SLABINFO}cred  1 21 192 21 1 : tunables 0 0 0 : slabdata 1 1 0\n");
    let (_root, files) = files(Some(&both), true);
    let caches = files.slab_caches().unwrap();
    for name in ["cred", "pid"] {
        let cache = caches.get(name).unwrap();
        assert!(cache.aliases.is_empty() && cache.name_is_certain, "{cache:?}");
    }
}

#[test]
fn an_update_takes_the_numbers_of_later() {
    let (_root, files) = files(Some(SLABINFO), true);
    let mut caches = files.slab_caches().unwrap();
    let later = "slabinfo - version: 2.1\ndentry  200 210 192 21 1 : tunables 0 0 0 : slabdata 10 10 0\n\
        new  1 1 8 8 1 : tunables 0 0 0 : slabdata 1 1 0\n";
    caches.update(&slabinfo::parse(later.as_bytes()).unwrap());
    let counts = caches.get("dentry").unwrap().counts.unwrap();
    assert_eq!(counts, Counts { active_objects: 200, total_objects: 210, slabs: 10, pages: 10 });
    assert_eq!(counts.bytes(4096), 40_960);
    assert_eq!(caches.get("pid").unwrap().counts, None);
    assert_eq!(caches.get("new"), None);
}

/// On the machine that runs the test, whatever it is: only what must hold on each.
#[test]
fn this_host() {
    let files = Files::live();
    let mut caches = match files.slab_caches() {
        Ok(caches) if caches.missing.is_none() => caches,
        Ok(caches) => return eprintln!("skipped: {}", caches.missing.unwrap()),
        Err(error) => return eprintln!("skipped: {error}"),
    };
    files.read_object_sizes(&mut caches);
    for cache in &caches.caches {
        for name in cache.names() {
            let selection = resolve(&[name.to_owned()], &caches).unwrap();
            assert!(selection.contains(&cache.name), "{name} selects {selection:?}, not {cache:?}");
        }
        if let Some(counts) = cache.counts {
            assert!(counts.active_objects <= counts.total_objects, "{cache:?}");
            assert!(counts.slabs <= counts.pages, "{cache:?}");
        }
        if let (Some(object), Some(slab)) = (cache.object_size, cache.slab_size) {
            assert!(0 < object && object <= slab, "{cache:?}");
        }
    }
    let mut names: Vec<&str> = caches.caches.iter().flat_map(SlabCache::names).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "a name is in two caches");
    for line in files.slabinfo().unwrap() {
        // A cache may have been made in between.
        let Some(cache) = caches.get(&line.name) else { continue };
        assert!(cache.name_is_certain, "{cache:?}");
    }
    let memory = files.slab_memory().unwrap();
    assert_eq!(memory.slab, memory.sreclaimable + memory.sunreclaim);
}
