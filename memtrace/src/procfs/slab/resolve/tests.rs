use super::*;

/// Names, each with what is merged into it.
const CACHES: [(&str, &[&str]); 24] = [
    ("dentry", &[]),
    ("dma-kmalloc-64", &[]),
    ("dmaengine-unmap-2", &["iommu_iova", "jbd2_inode", "ksm_rmap_item"]),
    ("ext4_inode_cache", &[]),
    ("filp", &[]),
    ("inode_cache", &[]),
    ("ip6_dst_cache", &["task_delay_info"]),
    ("kmalloc-1k", &[]),
    ("kmalloc-64", &[]),
    ("kmalloc-cg-1k", &[]),
    ("kmalloc-cg-64", &[]),
    ("kmalloc-rcl-64", &[]),
    ("kmalloc-rnd-01-64", &[]),
    ("kmalloc-rnd-01-1k", &[]),
    ("kmalloc-rnd-02-64", &[]),
    ("memdup_user-8", &[]),
    ("kmalloc-8", &[]),
    ("msg_msg-64", &[]),
    ("pid", &["cred"]),
    ("proc_inode_cache", &[]),
    ("sgpool-64", &["biovec-64"]),
    ("shmem_inode_cache", &[]),
    ("sock_inode_cache", &[]),
    ("xfs_inode", &[]),
];

fn caches(named: &[(&str, &[&str])]) -> SlabCaches {
    let cache = |&(name, aliases): &(&str, &[&str])| SlabCache {
        name: name.to_owned(),
        aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
        name_is_certain: true,
        ..SlabCache::default()
    };
    SlabCaches { caches: named.iter().map(cache).collect(), missing: None }
}

/// What a user would be told: the caches (those named without a glob with a star), then the notes, or the error.
fn tell(patterns: &[&str], caches: &SlabCaches) -> String {
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    match resolve(&patterns, caches) {
        Err(error) => error.to_string(),
        Ok(selection) => {
            let all = if selection.all { "all: " } else { "" };
            let names: Vec<String> = selection
                .caches
                .iter()
                .map(|name| format!("{name}{}", if selection.named.contains(name) { "!" } else { "" }))
                .collect();
            [&[all.to_owned() + &names.join(" ")], &selection.notes[..]].concat().join("\n")
        }
    }
}

fn of(patterns: &[&str]) -> String {
    tell(patterns, &caches(&CACHES))
}

#[test]
fn exact_names() {
    insta::assert_snapshot!(of(&["dentry"]), @"dentry!");
    insta::assert_snapshot!(of(&["filp", "dentry", "filp"]), @"filp! dentry!");
    insta::assert_snapshot!(of(&["pid"]), @"
    pid!
    pid is merged with cred: their objects cannot be told apart
    ");
}

#[test]
fn names_of_merged_caches() {
    insta::assert_snapshot!(of(&["task_delay_info"]), @"
    ip6_dst_cache!
    task_delay_info is merged with ip6_dst_cache: their objects cannot be told apart; the cache is shown as ip6_dst_cache
    ");
    insta::assert_snapshot!(of(&["jbd2_inode", "iommu_iova"]), @"
    dmaengine-unmap-2!
    jbd2_inode is merged with dmaengine-unmap-2, iommu_iova, ksm_rmap_item: their objects cannot be told apart; the cache is shown as dmaengine-unmap-2
    iommu_iova is merged with dmaengine-unmap-2, jbd2_inode, ksm_rmap_item: their objects cannot be told apart; the cache is shown as dmaengine-unmap-2
    ");
}

#[test]
fn all_of_them() {
    let text = of(&["all"]);
    assert!(text.starts_with("all: dentry dma-kmalloc-64 "), "{text}");
    assert_eq!(text.split(' ').count(), CACHES.len() + 1);
    // A cache that is really called so goes first.
    let odd = caches(&[("all", &[]), ("dentry", &[])]);
    assert_eq!(tell(&["all"], &odd), "all!");
}

#[test]
fn globs() {
    insta::assert_snapshot!(of(&["*kmalloc*-64"]), @"dma-kmalloc-64 kmalloc-64 kmalloc-cg-64 kmalloc-rcl-64 kmalloc-rnd-01-64 kmalloc-rnd-02-64");
    insta::assert_snapshot!(of(&["?entry", "fil[a-p]", "[!a-w]*"]), @"dentry filp xfs_inode");
    insta::assert_snapshot!(of(&["**entry**"]), @"dentry");
    insta::assert_snapshot!(of(&["*inode*"]), @"
    dmaengine-unmap-2 ext4_inode_cache inode_cache proc_inode_cache shmem_inode_cache sock_inode_cache xfs_inode
    '*inode*' also selects merged caches, whose objects cannot be told apart: dmaengine-unmap-2 (for jbd2_inode)
    ");
    insta::assert_snapshot!(of(&["dent*", "dentry"]), @"dentry!");
}

#[test]
fn kmalloc_families() {
    insta::assert_snapshot!(of(&["kmalloc-64"]), @"
    kmalloc-64! kmalloc-rnd-01-64 kmalloc-rnd-02-64
    kmalloc-64 includes its 2 random copies kmalloc-rnd-*-64
    kmalloc-cg-64, kmalloc-rcl-64, dma-kmalloc-64 and msg_msg-64 are separate caches; add those you mean, or use '*kmalloc*-64'
    ");
    insta::assert_snapshot!(of(&["kmalloc-1k"]), @"
    kmalloc-1k! kmalloc-rnd-01-1k
    kmalloc-1k includes its random copy kmalloc-rnd-01-1k
    kmalloc-cg-1k is a separate cache; add it, or use '*kmalloc*-1k'
    ");
    insta::assert_snapshot!(of(&["kmalloc-8"]), @"
    kmalloc-8!
    memdup_user-8 is a separate cache; add it
    ");
    // What is selected anyway needs no hint.
    insta::assert_snapshot!(of(&["kmalloc-1k", "kmalloc-cg-1k"]), @"
    kmalloc-1k! kmalloc-rnd-01-1k kmalloc-cg-1k!
    kmalloc-1k includes its random copy kmalloc-rnd-01-1k
    ");
    insta::assert_snapshot!(of(&["kmalloc-cg-64"]), @"kmalloc-cg-64!");
}

#[test]
fn caches_of_single_cgroups_belong_to_their_root() {
    let old = caches(&[("dentry", &[]), ("dentry(12:web)", &[]), ("dentry(9:a (b))", &[]), ("filp", &[])]);
    insta::assert_snapshot!(tell(&["dentry"], &old), @"dentry! dentry(12:web)! dentry(9:a (b))!");
    insta::assert_snapshot!(tell(&["dentry(7:new)"], &old), @"
    dentry! dentry(12:web)! dentry(9:a (b))!
    dentry(7:new) selects all of dentry: the caches of single cgroups are not told apart
    ");
    let selection = resolve(&["filp".to_owned()], &old).unwrap();
    assert!(selection.contains("filp") && selection.contains("filp(3:later)"));
    assert!(!selection.contains("dentry(12:web)") && !selection.contains("fil"));
}

#[test]
fn root_names() {
    for (name, root) in [
        ("dentry", "dentry"),
        ("dentry(123:cgroup)", "dentry"),
        ("dentry(1:a(b)c)", "dentry"),
        ("dentry(1:)", "dentry"),
        ("odd(name)", "odd(name)"),
        ("odd(x:name)", "odd(x:name)"),
        ("(1:a)", "(1:a)"),
        ("dentry(1:a", "dentry(1:a"),
        ("", ""),
    ] {
        assert_eq!(root_name(name), root, "{name}");
    }
}

/// The kernel's name is any of the group's where slabinfo does not tell.
#[test]
fn an_uncertain_name_selects_all_of_its_group() {
    let mut caches = caches(&[("cred", &["pid"])]);
    caches.caches[0].name_is_certain = false;
    insta::assert_snapshot!(tell(&["pid"], &caches), @"
    cred! pid
    pid is merged with cred: their objects cannot be told apart
    ");
}

/// One line for each pattern, resolved by itself.
fn each(patterns: &[&str]) -> String {
    patterns.iter().map(|pattern| of(&[pattern]) + "\n").collect()
}

#[test]
fn unknown_names() {
    let patterns = ["dentri", "inode", "Dentry", "kmalloc-65", "zzz", " dentry", "xf", "\u{1b}[31mdentry\n"];
    insta::assert_snapshot!(each(&patterns), @r#"
    no slab cache is called 'dentri'; the nearest is dentry; `memtrace caches` lists them all
    no slab cache is called 'inode'; the nearest are: ext4_inode_cache, inode_cache, jbd2_inode, proc_inode_cache, shmem_inode_cache; `memtrace caches` lists them all
    no slab cache is called 'Dentry'; the nearest is dentry; `memtrace caches` lists them all
    no slab cache is called 'kmalloc-65'; the nearest are: kmalloc-64, kmalloc-1k, kmalloc-8, kmalloc-cg-64, dma-kmalloc-64; `memtrace caches` lists them all
    no slab cache is called 'zzz'; `memtrace caches` lists them all
    no slab cache is called ' dentry'; the nearest is dentry; `memtrace caches` lists them all
    no slab cache is called 'xf'; `memtrace caches` lists them all
    '\x1b[31mdentry\n' is not a valid glob: invalid range pattern at character 2; write [[] for a bracket itself
    "#);
    // The first that fails is the one that is told.
    assert_eq!(of(&["dentry", "zzz", ""]), of(&["zzz"]));
}

#[test]
fn globs_that_match_nothing() {
    insta::assert_snapshot!(each(&["dentri*", "zz*", "*inodes*"]), @r#"
    no slab cache matches 'dentri*'; the nearest is dentry; `memtrace caches` lists them all
    no slab cache matches 'zz*'; `memtrace caches` lists them all
    no slab cache matches '*inodes*'; `memtrace caches` lists them all
    "#);
}

#[test]
fn empty_and_broken_patterns() {
    insta::assert_snapshot!(each(&["", " ", "kmalloc-[", "[z-a]\u{7}["]), @r#"
    the name of the slab cache is empty: give a name such as dentry, a glob such as 'kmalloc-*', or all
    the name of the slab cache is empty: give a name such as dentry, a glob such as 'kmalloc-*', or all
    'kmalloc-[' is not a valid glob: invalid range pattern at character 9; write [[] for a bracket itself
    '[z-a]\x07[' is not a valid glob: invalid range pattern at character 7; write [[] for a bracket itself
    "#);
    assert_eq!(of(&[]), of(&[""]));
}

#[test]
fn names_from_the_kernel_are_escaped() {
    let hostile = caches(&[("evil\u{1b}[2Jcache", &["al\nias"]), ("evil", &[])]);
    let text = ["al\nias", "evil\u{1b}cache", "*\u{1b}*"]
        .map(|pattern| tell(&[pattern], &hostile).replace('\u{1b}', "ESC"));
    insta::assert_snapshot!(text.join("\n\n"), @r#"
    evilESC[2Jcache!
    al\nias is merged with evil\x1b[2Jcache: their objects cannot be told apart; the cache is shown as evil\x1b[2Jcache

    no slab cache is called 'evil\x1bcache'; the nearest is evil\x1b[2Jcache; `memtrace caches` lists them all

    evilESC[2Jcache
    "#);
}

proptest::proptest! {
    #[test]
    fn arbitrary_patterns_never_panic(pattern in ".{0,30}") {
        let _ = of(&[&pattern]);
    }

    #[test]
    fn patterns_full_of_signs_never_panic(pattern in "[a-c*?!\\[\\]()0-9:-]{0,20}") {
        let _ = of(&[&pattern]);
    }
}
