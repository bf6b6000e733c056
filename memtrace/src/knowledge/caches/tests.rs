use std::collections::BTreeSet;

use super::*;

#[test]
fn the_file_is_well_formed() {
    if let Err(error) = parse(include_str!("../caches.toml")) {
        panic!("{error}");
    }
}

#[test]
fn no_name_stands_twice_or_behind_a_family_that_hides_it() {
    let mut seen = BTreeSet::new();
    for entry in all() {
        for name in &entry.names {
            assert!(seen.insert(name.as_str()), "{name} is there twice");
            let found = find(name.as_str()).map(|found| found.title.as_str());
            assert_eq!(found, Some(entry.title.as_str()), "{name}");
        }
    }
}

#[test]
fn the_caches_that_matter_are_known() {
    let check =
        |name: &str, reclaim| assert_eq!(find(name).map(|entry| entry.reclaim), Some(reclaim), "{name}");
    for name in [
        "dentry",
        "dentry(123:web.service)",
        "ext4_inode_cache",
        "xfs_inode",
        "ovl_inode",
        "kmalloc-rcl-64",
        "buffer_head",
    ] {
        check(name, Reclaim::Pressure);
    }
    for name in [
        "filp",
        "kmalloc-64",
        "kmalloc-rnd-03-64",
        "kmalloc-cg-1k",
        "shmem_inode_cache",
        "sock_inode_cache",
        "TCPv6",
        "bio-248",
        "raid5-md0",
        "msg_msg-8k",
        "key_jar",
    ] {
        check(name, Reclaim::Owner);
    }
    check("mqueue_inode_cache", Reclaim::Owner);
    check("Acpi-Namespace", Reclaim::Never);
    assert!(find("no_such_cache").is_none());
    assert!(find("").is_none());
    assert!(all().iter().flat_map(|entry| &entry.names).count() >= 40);
}

#[test]
fn bookkeeping_is_told_from_what_is_held() {
    for (name, expected) in [
        ("buffer_head", Some("the page cache")),
        ("radix_tree_node", Some("the page cache")),
        ("ext4_extent_status", Some("where files' blocks are")),
        ("jbd2_journal_head", Some("the filesystem's metadata")),
        ("ext4_inode_cache", Some("files that exist")),
        ("lsm_inode_cache", Some("files that exist")),
        ("dentry", Some("names that were looked up")),
        ("sock_inode_cache", None),
        ("shmem_inode_cache", None),
        ("filp", None),
        ("kmalloc-64", None),
        ("kmalloc-rcl-64", Some("names that were looked up")),
    ] {
        assert_eq!(bookkeeping_of(name), expected, "{name}");
    }
    assert_eq!(find("tw_sock_TCP").and_then(|entry| entry.timer_s), Some(60));
}
