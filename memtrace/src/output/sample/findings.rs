//! What somebody is accused of, or nobody.

use std::time::Duration;

use super::started;
use crate::view::{
    KnownIncident, Slope, Snapshot, Trend, Verdict,
    finding::{Doubt, Ended, Finding, Kind, TooFew},
};

/// At the end, it is known who leaks.
pub(crate) fn verdict() -> Snapshot {
    let slope = Slope { per_s: 1948.2, low: 1921.0, high: 1975.5 };
    let mut snapshot = Snapshot { is_final: true, ..started() };
    for (row, trend) in
        snapshot.rows.iter_mut().zip([Trend::Growing(slope), Trend::Plateaued, Trend::Churning])
    {
        row.trend = trend;
    }
    let row = &snapshot.rows[0];
    let finding = Finding {
        kind: Kind::Flood,
        keys: row.keys.clone(),
        comm: row.comm.clone(),
        started_by: row.started_by[0].comms.clone(),
        processes: row.processes,
        cache: "dentry".to_owned(),
        aliases: Vec::new(),
        share_of_cache: 1.0,
        with: Vec::new(),
        objects: row.objects,
        slope,
        bytes_per_s: slope.per_s * 192.0,
        kept: 0.998,
        place: row.names.first().cloned(),
        negative: Some(0.988),
        explains: Some(0.972),
        slab_growth_share: 0.931,
        is_reclaimable: Some(true),
        full_in: Some(Duration::from_secs(11_500)),
        doubts: vec![Doubt::Lost { share: 0.012 }, Doubt::Replaced(14_204)],
        known: vec![KnownIncident {
            id: "nss-does-not-exist".to_owned(),
            title: "NSS asks for thousands of names that do not exist".to_owned(),
            cause: "At each start it measures how fast a directory is.".to_owned(),
            now: vec!["Stop the caller.".to_owned()],
            for_good: vec!["Set NSS_SDB_USE_CACHE=yes.".to_owned(), "Or install a newer one.".to_owned()],
            verify: vec!["`cat /proc/sys/fs/dentry-state`: the fifth number stops growing.".to_owned()],
            references: vec!["https://example.org/1".to_owned()],
            signs: vec!["caches".to_owned(), "names".to_owned()],
        }],
    };
    snapshot.verdict = Some(Verdict { findings: vec![finding], ..Verdict::default() });
    snapshot
}

/// Who leaks, who floods and who merely fills a cache, at once.
pub(crate) fn findings() -> Snapshot {
    let mut snapshot = verdict();
    let Some(Verdict { findings, .. }) = &mut snapshot.verdict else { unreachable!() };
    let another = |kind, comm: &str, cache: &str, per_s: f64, size: f64| Finding {
        kind,
        keys: vec![comm.into()],
        comm: Some(comm.into()),
        started_by: Vec::new(),
        processes: 1,
        cache: cache.to_owned(),
        objects: (per_s * 12.0) as u64,
        slope: Slope { per_s, low: per_s * 0.97, high: per_s * 1.03 },
        bytes_per_s: per_s * size,
        kept: 1.0,
        place: None,
        negative: None,
        explains: None,
        slab_growth_share: 0.04,
        is_reclaimable: Some(kind != Kind::Leak),
        full_in: None,
        doubts: Vec::new(),
        known: Vec::new(),
        ..findings[0].clone()
    };
    let leak = Finding {
        with: vec!["dentry".to_owned(), "inode_cache".to_owned()],
        aliases: ["a", "b", "c", "d", "e"].map(str::to_owned).into(),
        ..another(Kind::Leak, "postgres", "filp", 20.1, 256.0)
    };
    findings.extend([leak, another(Kind::Cache, "[kworker/0:1-ev]", "buffer_head", 2_013.0, 104.0)]);
    snapshot
}

/// A slow leak in a short session, perhaps.
pub(crate) fn too_few() -> Snapshot {
    let few = TooFew {
        keys: vec![b"postgres".to_vec()],
        comm: Some(b"postgres".to_vec()),
        cache: "filp".to_owned(),
        objects: 42,
        elapsed: Duration::from_secs(8),
    };
    Snapshot { verdict: Some(Verdict { too_few: Some(few), ..Verdict::default() }), ..verdict() }
}

/// Somebody looked up names for a while.
pub(crate) fn ended() -> Snapshot {
    let over = Ended {
        keys: vec![b"curl".to_vec()],
        comm: Some(b"curl".to_vec()),
        cache: "dentry".to_owned(),
        objects: 23_456,
        bytes: 23_456 * 192,
        until: Duration::from_secs(8),
    };
    Snapshot { verdict: Some(Verdict { ended: Some(over), ..Verdict::default() }), ..verdict() }
}

/// Someone writes files.
pub(crate) fn only_caches() -> Snapshot {
    let mut snapshot = findings();
    if let Some(verdict) = &mut snapshot.verdict {
        verdict.findings.retain(|finding| finding.kind == Kind::Cache);
    }
    snapshot
}
