use super::*;
use crate::{
    output::sample,
    view::{Negatives, reconcile::Partial, survival},
};

/// What somebody holds: who, in which cache, and whether it grows.
struct Scene {
    comm: &'static str,
    cache: &'static str,
    /// Objects a second that stay, until then.
    per_s: u64,
    until: u64,
}

/// In seconds.
const ELAPSED: u64 = 30;

const fn scene(comm: &'static str, cache: &'static str, per_s: u64) -> Scene {
    Scene { comm, cache, per_s, until: ELAPSED }
}

fn cache_info(name: &str) -> CacheInfo {
    let object_size = match name {
        "dentry" => 192,
        "buffer_head" => 104,
        "kmalloc-cg-1k" => 1024,
        "lsm_file_cache" => 24,
        _ => 256,
    };
    let reclaimable = Some(matches!(name, "dentry" | "buffer_head" | "unknown_reclaimable"));
    CacheInfo { name: name.to_owned(), object_size, reclaimable, ..CacheInfo::default() }
}

/// After 30 s. Rows are those of the sample, by name; dentries are negative by this share.
fn judge_with(
    scenes: &[Scene],
    negative: f64,
    change: impl FnOnce(&mut SessionFacts<'_>),
) -> Option<Verdict> {
    judge_changed(scenes, negative, |_| {}, change)
}

fn judge_changed(
    scenes: &[Scene],
    negative: f64,
    change_caches: impl FnOnce(&mut [CacheInfo]),
    change: impl FnOnce(&mut SessionFacts<'_>),
) -> Option<Verdict> {
    let mut infos: Vec<CacheInfo> = scenes.iter().map(|scene| cache_info(scene.cache)).collect();
    change_caches(&mut infos);
    let held = |(scene, cache): (&Scene, _)| Held {
        cache,
        survival: survival::until(scene.per_s, scene.until, ELAPSED),
    };
    let held: Vec<(&Scene, Held<'_>)> = scenes.iter().zip(scenes.iter().zip(&infos).map(held)).collect();
    let mut rows: Vec<(Row, Vec<Held<'_>>)> = Vec::new();
    for (scene, held) in held {
        let of_row = rows.iter_mut().find(|(row, _)| row.comm.as_deref() == Some(scene.comm.as_bytes()));
        match of_row {
            Some((_, all)) => all.push(held),
            None => rows.push((row(scene, negative), vec![held])),
        }
    }
    let snapshot = sample::started();
    let incidents = Incidents::built_in();
    let mut session = SessionFacts {
        caches: &snapshot.caches,
        meminfo: snapshot.meminfo,
        trust: &snapshot.trust,
        incidents: &incidents,
        period: 1,
        elapsed: Duration::from_secs(ELAPSED),
    };
    change(&mut session);
    verdict(rows.iter().map(|(row, held)| (row, &held[..])), &session)
}

fn row(scene: &Scene, negative: f64) -> Row {
    Row {
        keys: vec![scene.comm.into()],
        comm: Some(scene.comm.into()),
        negatives: Some(Negatives { looked_at: 1000, dentries: 1000, negative: (negative * 1000.0) as u64 }),
        ..sample::started().rows[0].clone()
    }
}

fn judge(scenes: &[Scene], negative: f64) -> Verdict {
    judge_with(scenes, negative, |_| {}).expect("it is late enough")
}

fn found(verdict: &Verdict) -> Vec<(Kind, &str, &str)> {
    let one = |it: &'_ Finding| (it.kind, it.comm.clone(), it.cache.clone());
    let all: Vec<_> = verdict.findings.iter().map(one).collect();
    all.into_iter()
        .map(|(kind, comm, cache)| {
            let comm = String::from_utf8(comm.unwrap_or_default()).expect("the test's");
            (kind, &*comm.leak(), &*cache.leak())
        })
        .collect()
}

/// Each file has such data: by chance, a sample may follow more of these than of files.
#[test]
fn what_grows_beside_may_say_more_though_it_is_fewer() {
    let verdict = judge(&[scene("a", "lsm_file_cache", 5), scene("a", "filp", 3)], 0.0);
    assert_eq!(found(&verdict), [(Kind::Leak, "a", "filp")]);
    assert_eq!((&*verdict.findings[0].with, &verdict.too_few), (&["lsm_file_cache".to_owned()][..], &None));
    // Alone it is too few.
    assert_eq!(found(&judge(&[scene("a", "filp", 3)], 0.0)), []);
}

/// Files are open in one place, and names asked for in another.
#[test]
fn where_is_said_of_the_objects_that_grow() {
    let group = |kind, path: &str| NameGroup { kind, path: Some(path.into()), ..NameGroup::default() };
    let mut row = row(&scene("a", "filp", 50), 0.9);
    row.names = vec![
        group(Some(Class::Dentry), "/names"),
        group(Some(Class::Inode), "/inodes"),
        group(Some(Class::File), "/files"),
        group(Some(Class::Socket), "/sockets"),
    ];
    let of = |cache: &str| place(&cache_info(cache), &row).and_then(|group| group.path.clone());
    let check = |cache, path: &str| assert_eq!(of(cache).as_deref(), Some(path.as_bytes()), "{cache}");
    check("dentry", "/names");
    check("kmalloc-rcl-128", "/names");
    check("filp", "/files");
    check("TCP", "/sockets");
    check("sock_inode_cache", "/sockets");
    check("cred", "/names");
    row.names.truncate(1);
    assert_eq!(place(&cache_info("filp"), &row), None);
}

#[test]
fn what_is_held_leaks_and_what_never_existed_floods() {
    assert_eq!(found(&judge(&[scene("a", "filp", 50)], 0.0)), [(Kind::Leak, "a", "filp")]);
    assert_eq!(found(&judge(&[scene("a", "dentry", 5000)], 0.9)), [(Kind::Flood, "a", "dentry")]);
    assert_eq!(found(&judge(&[scene("a", "dentry", 5000)], 0.1)), [(Kind::Cache, "a", "dentry")]);
    for cache in ["buffer_head", "ext4_inode_cache", "radix_tree_node", "unknown_reclaimable"] {
        assert_eq!(found(&judge(&[scene("a", cache, 5000)], 0.9)), [(Kind::Cache, "a", cache)]);
    }
    // Of a cache that nobody knows, all is held.
    assert_eq!(found(&judge(&[scene("a", "some_driver", 50)], 0.9)), [(Kind::Leak, "a", "some_driver")]);
}

#[test]
fn two_leakers_are_two_findings_and_a_logger_is_none() {
    let scenes =
        [scene("log", "buffer_head", 60_000), scene("slow", "filp", 300), scene("fast", "filp", 400)];
    let verdict = judge(&scenes, 0.0);
    let expected =
        [(Kind::Leak, "fast", "filp"), (Kind::Leak, "slow", "filp"), (Kind::Cache, "log", "buffer_head")];
    assert_eq!(found(&verdict), expected);
    assert_eq!(verdict.first().and_then(|first| first.comm.as_deref()), Some(&b"fast"[..]));
}

#[test]
fn what_grows_together_is_one_finding_by_the_cache_that_says_most() {
    let pipes = [scene("a", "kmalloc-cg-1k", 100), scene("a", "filp", 200), scene("a", "inode_cache", 100)];
    let verdict = judge(&pipes, 0.0);
    assert_eq!(found(&verdict), [(Kind::Leak, "a", "filp"), (Kind::Cache, "a", "inode_cache")]);
    assert_eq!(verdict.findings[0].with, ["kmalloc-cg-1k"]);
}

#[test]
fn of_merged_caches_another_says_more() {
    let aliased = |infos: &mut [CacheInfo]| infos[0].aliases = vec!["UNIX".to_owned()];
    let scenes = [scene("a", "signal_cache", 100), scene("a", "sock_inode_cache", 100)];
    let verdict = judge_changed(&scenes, 0.0, aliased, |_| {}).unwrap();
    assert_eq!(found(&verdict), [(Kind::Leak, "a", "sock_inode_cache")]);
    // And nobody knows which of them a timer frees.
    let aliased = |infos: &mut [CacheInfo]| infos[0].aliases = vec!["tcp_bind_bucket".to_owned()];
    let verdict = judge_changed(&[scene("a", "eventpoll_epi", 100)], 0.0, aliased, |_| {}).unwrap();
    assert_eq!(found(&verdict), []);
}

/// The kernel makes one for each slab of what is charged to cgroups.
#[test]
fn arrays_of_slabs_are_nobody_s() {
    // The sample's row allocated 23,470 objects.
    assert_eq!(found(&judge(&[scene("a", "kmalloc-192", 50)], 0.0)), []);
    assert_eq!(found(&judge(&[scene("a", "kmalloc-rnd-05-192", 50)], 0.0)), []);
    assert_eq!(found(&judge(&[scene("a", "kmalloc-192", 500)], 0.0)), [(Kind::Leak, "a", "kmalloc-192")]);
    assert_eq!(
        found(&judge(&[scene("a", "kmalloc-cg-192", 50)], 0.0)),
        [(Kind::Leak, "a", "kmalloc-cg-192")]
    );
}

#[test]
fn a_flood_that_fills_the_host_in_months_is_none() {
    // 4 GiB are available.
    assert_eq!(found(&judge(&[scene("a", "dentry", 5)], 0.9)), []);
    assert_eq!(found(&judge(&[scene("a", "dentry", 50)], 0.9)), [(Kind::Flood, "a", "dentry")]);
}

#[test]
fn what_a_timer_frees_is_kept_only_if_it_outlives_it() {
    assert_eq!(found(&judge(&[scene("a", "tw_sock_TCP", 500)], 0.0)), []);
}

#[test]
fn frees_that_are_not_seen_accuse_nobody() {
    let snapshot = sample::started();
    let mut caches = snapshot.caches;
    caches[0].partial =
        Some(Partial { sign: super::super::reconcile::Sign::Reused, unseen_frees_share: 0.5 });
    let verdict = judge_with(&[scene("a", "dentry", 5000)], 0.9, |session| {
        session.caches = Box::leak(caches.clone().into_boxed_slice());
    });
    assert_eq!(verdict, Some(Verdict::default()));
}

#[test]
fn it_may_be_too_early_or_too_little() {
    let early =
        judge_with(&[scene("a", "filp", 50)], 0.0, |session| session.elapsed = Duration::from_secs(5));
    assert_eq!(early, None);
    let verdict = judge(&[scene("a", "filp", 2)], 0.0);
    assert_eq!(found(&verdict), []);
    assert_eq!(verdict.too_few.map(|few| (few.cache, few.objects)), Some(("filp".to_owned(), 60)));
    // Beside somebody who is accused, it is not worth a word.
    assert_eq!(judge(&[scene("a", "filp", 2), scene("b", "filp", 50)], 0.0).too_few, None);
}

#[test]
fn a_known_incident_brings_its_remedy() {
    let verdict = judge(&[scene("curl", "dentry", 2000)], 0.98);
    let nss = verdict.findings[0].known.iter().find(|known| known.id == "nss-does-not-exist").unwrap();
    assert!(nss.for_good.iter().any(|remedy| remedy.contains("NSS_SDB_USE_CACHE=yes")), "{nss:?}");
    assert!(nss.signs.len() >= MIN_SIGNS, "{nss:?}");
}

#[test]
fn what_makes_a_claim_unsure_is_said() {
    let trust = Trust { emitted: 1000, lost_frees: 20, recursion_misses: 3, refused: 1, ..Trust::default() };
    assert_eq!(doubts(&trust), [Doubt::Lost { share: 0.02 }, Doubt::Missed(3), Doubt::Refused]);
    assert_eq!(doubts(&Trust { emitted: 1_000_000, lost_allocs: 900, ..Trust::default() }), []);
}

#[test]
fn a_cache_in_which_as_much_of_before_is_freed_may_not_grow() {
    let mut caches = sample::started().caches;
    let growth = |traced| crate::view::reconcile::Growth {
        slabinfo: traced,
        traced,
        slack: 10,
        outstanding: 9_000,
        reused: 0,
    };
    let mut replaced = |traced| {
        caches[0].growth = Some(growth(traced));
        super::replaced(6_000, &caches[0])
    };
    assert_eq!(replaced(9_000), None);
    assert_eq!(replaced(6_001), None);
    assert_eq!(replaced(6_000), Some(Doubt::Replaced(3_000)));
    assert_eq!(replaced(-500), Some(Doubt::Replaced(9_500)));
    // More was freed than is known of.
    assert_eq!(replaced(10_000), None);
}

#[test]
fn what_is_over_is_said_and_not_accused() {
    let over = |comm, cache, per_s| Scene { until: 12, ..scene(comm, cache, per_s) };
    let ended = |scenes: &[Scene], negative| {
        let Verdict { findings, ended, .. } = judge(scenes, negative);
        assert_eq!(findings.iter().filter(|finding| finding.is_accusation()).count(), 0);
        ended.map(|ended| (ended.cache, ended.objects, ended.until.as_secs()))
    };
    let leak = ended(&[over("a", "filp", 5000)], 0.0).expect("it took files");
    assert!(leak.0 == "filp" && leak.1 == 60_000 && (12..15).contains(&leak.2), "{leak:?}");
    // The largest of several.
    let flood = ended(&[over("a", "filp", 1000), over("b", "dentry", 9000)], 0.9).expect("names were made");
    assert_eq!(flood.0, "dentry");
    // Who fills caches, and what is little beside all that is outstanding, is not worth a word.
    assert_eq!(ended(&[over("a", "buffer_head", 5000)], 0.0), None);
    assert_eq!(ended(&[over("a", "filp", 10)], 0.0), None);
    // While somebody leaks, that is what matters.
    assert_eq!(judge(&[over("a", "filp", 5000), scene("b", "filp", 100)], 0.0).ended, None);
}
