use std::{collections::HashSet, time::Duration};

use memtrace_common::generation::GENERATION_MASK;

use super::CacheDirectory;
use crate::{
    stream::event::{Address, Alloc, Comm, NO_GFP, NO_NODE, NO_STACK, Task},
    view::lookups::{CacheInfo, Caches},
};

const CACHES: Address = 0xffff_8881_0000_0000;
const FUSE: Address = 0xffff_8881_0000_0100;
const DENTRY: Address = 0xffff_8881_0000_0200;

fn info(name: &str, aliases: &[&str]) -> CacheInfo {
    CacheInfo {
        name: name.to_owned(),
        aliases: aliases.iter().map(ToString::to_string).collect(),
        ..CacheInfo::default()
    }
}

fn now(caches: &[(Address, &str)]) -> Caches {
    caches.iter().map(|&(address, name)| (address, info(name, &[]))).collect()
}

fn directory(filtered: &[Address]) -> CacheDirectory {
    let infos = now(&[(CACHES, "kmem_cache"), (FUSE, "fuse_inode"), (DENTRY, "dentry")]);
    CacheDirectory::new(infos, CACHES, Vec::new(), filtered.iter().copied().collect::<HashSet<_>>())
}

fn alloc(ptr: Address, cache: Address) -> Alloc {
    let task = Task { tgid: 1, started: 0, comm: Comm::truncated(b"insmod"), is_kthread: false };
    Alloc {
        time: 0,
        ptr,
        cache,
        call_site: 0,
        cgroup: 1,
        stack: NO_STACK,
        gfp: NO_GFP,
        node: NO_NODE,
        task,
        is_io_worker: false,
        may_repeat: false,
    }
}

impl CacheDirectory {
    fn name_at(&self, address: Address) -> &str {
        self.name_of(self.number(address))
    }

    fn name_of(&self, number: Address) -> &str {
        self.infos.get(&number).map_or("", |info| info.name.as_str())
    }
}

#[test]
fn a_cache_goes_by_its_address() {
    let mut directory = directory(&[]);
    let succeeded = directory.update(now(&[(CACHES, "kmem_cache"), (FUSE, "fuse_inode")]), Duration::ZERO);
    assert_eq!((succeeded, directory.number(FUSE), directory.name_at(FUSE)), (vec![], FUSE, "fuse_inode"));
}

#[test]
fn caches_that_are_made_are_seen_once() {
    let mut directory = directory(&[]);
    for (ptr, cache) in [(0x1000, DENTRY), (FUSE, CACHES), (0x2000, FUSE), (FUSE, CACHES)] {
        directory.notice(&alloc(ptr, cache));
    }
    assert_eq!(directory.new, [FUSE]);
}

#[test]
fn a_cache_that_the_kernel_side_saw_being_made_in_another_s_place_is_another() {
    let mut directory = directory(&[]);
    directory.generations.insert(FUSE, FUSE + 1);
    let succeeded = directory.update(now(&[(FUSE, "ovl_inode"), (DENTRY, "dentry")]), Duration::ZERO);
    assert_eq!((succeeded, directory.number(FUSE)), (vec![], FUSE + 1));
    assert_eq!((directory.name_of(FUSE), directory.name_of(FUSE + 1)), ("fuse_inode", "ovl_inode"));
}

#[test]
fn a_cache_whose_name_has_changed_is_another() {
    let mut directory = directory(&[]);
    let succeeded = directory.update(now(&[(FUSE, "ovl_inode"), (DENTRY, "dentry")]), Duration::ZERO);
    let number = directory.number(FUSE);
    assert_eq!((succeeded, number & !GENERATION_MASK), (vec![FUSE], FUSE));
    assert_eq!((directory.name_of(FUSE), directory.name_of(number)), ("fuse_inode", "ovl_inode"));
    directory.update(now(&[(FUSE, "fuse_inode"), (DENTRY, "dentry")]), Duration::ZERO);
    assert_eq!(directory.name_at(FUSE), "fuse_inode");
    assert_eq!(directory.number(DENTRY), DENTRY);
}

#[test]
fn a_cache_keeps_its_name_when_it_is_gone() {
    let mut directory = directory(&[]);
    directory.update(now(&[(DENTRY, "dentry")]), Duration::ZERO);
    assert_eq!((directory.name_of(FUSE), directory.number(FUSE)), ("fuse_inode", FUSE));
    assert_eq!(directory.destroyed(), []);
}

#[test]
fn a_cache_that_was_asked_for_is_missed() {
    let mut directory = directory(&[FUSE, DENTRY]);
    directory.update(now(&[(FUSE, "fuse_inode"), (DENTRY, "dentry")]), Duration::from_secs(1));
    assert_eq!(directory.destroyed(), []);
    for seconds in [2, 3] {
        directory.update(now(&[(FUSE, "ovl_inode"), (DENTRY, "dentry")]), Duration::from_secs(seconds));
        assert_eq!(directory.destroyed(), [("fuse_inode".to_owned(), Duration::from_secs(2))]);
    }
}

#[test]
fn aliases_are_added_and_kept() {
    let mut directory = directory(&[]);
    for (now, all) in [(&["b"][..], &["b"][..]), (&["a", "b"], &["a", "b"]), (&["c"], &["a", "b", "c"])] {
        directory.update(Caches::from([(FUSE, info("fuse_inode", now))]), Duration::ZERO);
        assert_eq!(directory.infos[&FUSE].aliases, all);
    }
}
