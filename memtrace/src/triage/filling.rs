//! What slab caches are full of: told by their names, and by how many objects each of them has.

use super::window::CacheRow;
use crate::{knowledge::caches, procfs::slab::size_of_kmalloc};

/// What fills the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
pub enum Filling {
    /// Names of files, most of which do not exist.
    NegativeDentries,
    Dentries,
    Inodes,
    Files,
    Sockets,
    /// The kmalloc caches, which many parts of the kernel share.
    Kmalloc,
    /// Any other cache.
    Cache,
}

/// Names of files: dentries, and those that are too long to stand in one.
pub fn is_of_names(name: &str) -> bool {
    name == "dentry" || name.starts_with("kmalloc-rcl-")
}

/// Whether what fills the one cache fills the other: a socket is a file too, and a long name has memory of its own.
pub fn goes_with(name: &str, of: &str) -> bool {
    let is_of_files = |name: &str| name == "filp" || is_of_sockets(name);
    name == of || is_of_files(name) && is_of_files(of) || is_of_names(name) && is_of_names(of)
}

/// Whether objects of this cache of kmalloc came with the slabs of others: each slab of a cache that is charged to cgroups has an
/// array with a pointer for each of its objects, two words where allocations are profiled. Linux commit 286e04b8ed7a ("mm:
/// memcg/slab: allocate obj_cgroups for non-root slab pages") (in v5.9).
pub fn is_of_arrays(cache: &CacheRow, all: &[CacheRow]) -> bool {
    const WORD: u64 = 8;
    let Some(size) = size_of_kmalloc(&cache.name) else { return false };
    let fits = |bytes: u64| bytes <= size && bytes > next_smaller(size);
    let has_array = |of: &&CacheRow| {
        let bytes = of.objects_per_slab.saturating_mul(WORD);
        of.slabs_growth > 0 && size_of_kmalloc(&of.name).is_none() && (fits(bytes) || fits(2 * bytes))
    };
    let arrays: i64 = all.iter().filter(has_array).map(|of| of.slabs_growth).fold(0, i64::saturating_add);
    cache.objects_growth > 0 && cache.objects_growth <= arrays.saturating_mul(2)
}

/// The size of kmalloc below this one.
fn next_smaller(size: u64) -> u64 {
    match size {
        96 => 64,
        128 => 96,
        192 => 128,
        256 => 192,
        _ => size / 2,
    }
}

/// Which kind of object has most, of what grew or of what there is. A socket is also an open file (`filp`) and a dentry, an
/// inode mostly also a dentry: so many of these as there are sockets and inodes count for them.
pub fn filling(caches: &[CacheRow], by_growth: bool, negative: Option<(u64, i64)>) -> Filling {
    let figure = |growth: i64, size: u64| if by_growth { growth.max(0) as f64 } else { size as f64 };
    let bytes = |cache: &CacheRow| figure(cache.growth, cache.bytes);
    let objects = |cache: &CacheRow| figure(cache.objects_growth, cache.objects);
    let of = |is: fn(&str) -> bool| {
        let caches = caches.iter().filter(move |cache| names(cache).any(is));
        caches.fold((0.0, 0.0), |(b, n), cache| (b + bytes(cache), n + objects(cache)))
    };
    let (files, dentries) = (of(|name| name == "filp"), of(|name| name == "dentry"));
    let (inodes, sockets) = (of(is_of_inodes), of(|name| name == "sock_inode_cache"));
    let each = |(bytes, objects): (f64, f64)| if objects > 0.0 { bytes / objects } else { 0.0 };
    // Whoever lists /proc/PID/fd, as monitors do, makes an inode and a dentry for each open file there is.
    let of_proc = of(|name| name == "proc_inode_cache");
    let listed = of_proc.1.min(files.1);
    let inodes = (inodes.0 - listed * each(of_proc), inodes.1 - listed);
    // Names that do not exist have no inode.
    let negative = negative.map_or(0.0, |(all, grew)| figure(grew, all)).min(dentries.1);
    let of_sockets = sockets.1.min(dentries.1 - negative);
    let of_inodes = inodes.1.min(dentries.1 - negative - of_sockets);
    let of_listed = listed.min(dentries.1 - negative - of_sockets - of_inodes);
    let own = dentries.1 - of_sockets - of_inodes - of_listed;
    let sockets_files = sockets.1.min(files.1);
    let has_sockets = if sockets.1 > 0.0 { 1.0 } else { 0.0 };
    let sockets_bytes =
        has_sockets * of(is_of_sockets).0 + sockets_files * each(files) + of_sockets * each(dentries);
    // Long names have memory of their own beside the dentry.
    let long_names = if own > 0.0 { of(|name| name.starts_with("kmalloc-rcl-")).0 } else { 0.0 };
    let of_names = if negative * 2.0 >= own { Filling::NegativeDentries } else { Filling::Dentries };
    let others = caches.iter().filter(|cache| !names(cache).any(is_of_a_kind));
    let candidates = [
        (Filling::Sockets, sockets_bytes),
        (Filling::Files, (files.1 - sockets_files) * each(files)),
        (Filling::Inodes, inodes.0 + of_inodes * each(dentries)),
        (of_names, own * each(dentries) + long_names),
        (Filling::Kmalloc, of(is_kmalloc).0),
        (Filling::Cache, others.map(bytes).fold(0.0, f64::max)),
    ];
    let most = candidates.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    most.filter(|(_, bytes)| *bytes > 0.0).map_or(Filling::Cache, |(filling, _)| filling)
}

fn is_of_a_kind(name: &str) -> bool {
    matches!(name, "filp" | "dentry") || is_of_sockets(name) || is_of_inodes(name) || is_kmalloc(name)
}

pub fn names(cache: &CacheRow) -> impl Iterator<Item = &str> {
    std::iter::once(cache.name.as_str()).chain(cache.aliases.iter().map(String::as_str))
}

fn is_of_sockets(name: &str) -> bool {
    name == "sock_inode_cache" || caches::is_of_sockets(name) || name.contains("_sock_")
}

/// What security modules keep for each inode, of whatever filesystem, is none itself.
fn is_of_inodes(name: &str) -> bool {
    let is_inode = name.ends_with("inode_cache") || name.ends_with("_inode");
    is_inode && !["sock_inode_cache", "lsm_inode_cache"].contains(&name)
}

/// Of kmalloc's families, and those of single users (kmem_buckets).
fn is_kmalloc(name: &str) -> bool {
    ["kmalloc-", "dma-kmalloc-", "msg_msg-", "memdup_user-"].iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::caches;

    #[test]
    fn arrays_of_a_slab_s_objects_come_with_the_slab() {
        let heads = CacheRow {
            name: "buffer_head".to_owned(),
            slabs_growth: 7306,
            objects_per_slab: 39,
            ..CacheRow::default()
        };
        let kmalloc = |name: &str, objects_growth| CacheRow {
            name: name.to_owned(),
            objects_growth,
            ..CacheRow::default()
        };
        let all = [heads];
        let is = |name, growth| is_of_arrays(&kmalloc(name, growth), &all);
        // 39 pointers are 312 bytes.
        assert!(is("kmalloc-512", 7272) && is("kmalloc-rnd-05-512", 7272));
        // As many more would be somebody's.
        assert!(!is("kmalloc-512", 20_000) && !is("kmalloc-256", 7272) && !is("kmalloc-cg-512", 7272));
        assert!(!is("kmalloc-512", -5) && !is("filp", 7272));
        // With two words each.
        assert!(is("kmalloc-1k", 7272));
    }

    #[test]
    fn bookkeeping_is_what_knowledge_says() {
        let of = caches::bookkeeping_of;
        assert_eq!(of("buffer_head"), Some("the page cache"));
        assert_eq!(["filp", "sock_inode_cache", "kmalloc-512", "no_such"].map(of), [None; 4]);
    }
}
