//! Judges rows: is one of them a leak?
//!
//! A claim needs a row that grows steadily and keeps what it allocates. What is uncertain is listed with it.

use std::time::Duration;

use super::{
    checkpoint::Trust,
    snapshot::{CacheTotals, Row},
    trend::Trend,
    verdict::{Doubt, KnownIncident, Suspect, Verdict},
};
use crate::{
    knowledge::incidents::{Evidence, Incidents},
    procfs::meminfo::SlabMemory,
};

/// A row that frees more than it keeps is no suspect, even if what it holds grows.
const MIN_SURVIVAL: f64 = 0.5;

/// A smaller growth, in objects, is not worth a claim.
const MIN_OBJECTS: u64 = 200;

/// slabinfo counts free objects in per-CPU lists too: a share of a smaller growth would mean little.
const MIN_GROWTH: i64 = 500;

/// With fewer matching signs, an incident merely fills the same cache.
const MIN_SIGNS: usize = 2;

/// Losses up to this share of all events do not change what a row says.
const FEW_LOST: f64 = 0.001;

/// None while it is too early to say.
pub fn verdict<'a>(
    rows: impl Iterator<Item = &'a Row> + Clone,
    caches: &[CacheTotals],
    meminfo: Option<SlabMemory>,
    trust: &Trust,
    incidents: &Incidents,
) -> Option<Verdict> {
    if rows.clone().all(|row| row.trend == Trend::TooEarly) {
        return None;
    }
    let suspects = rows.filter_map(|row| Some((bytes_per_s(row)?, row)));
    let most = suspects.max_by(|(a, _), (b, _)| a.total_cmp(b));
    let Some((_, row)) = most else { return Some(Verdict::Nothing) };
    Some(Verdict::Leak(Box::new(suspect(row, caches, meminfo, trust, incidents)?)))
}

/// How fast the memory grows of a row that may be a leak; None of others.
fn bytes_per_s(row: &Row) -> Option<f64> {
    let Trend::Growing(slope) = row.trend else { return None };
    let is_suspect = row.objects >= MIN_OBJECTS
        && keeps(row) >= MIN_SURVIVAL
        // What looks outstanding there may be free.
        && row.partial_objects * 2 < row.objects;
    is_suspect.then(|| slope.per_s * row.bytes as f64 / row.objects as f64)
}

/// Which share of what it allocated the row keeps, of the cache that most of its bytes are of. It may well churn in others:
/// a process that is started allocates and frees dozens of kinds of objects before it leaks.
fn keeps(row: &Row) -> f64 {
    row.caches.first().map_or(0.0, |cache| cache.objects as f64 / cache.allocs.max(1) as f64)
}

fn suspect(
    row: &Row,
    caches: &[CacheTotals],
    meminfo: Option<SlabMemory>,
    trust: &Trust,
    incidents: &Incidents,
) -> Option<Suspect> {
    let Trend::Growing(slope) = row.trend else { return None };
    let bytes_per_s = bytes_per_s(row)?;
    let share = row.caches.first()?;
    let cache = caches.iter().find(|cache| cache.name == share.name);
    Some(Suspect {
        keys: row.keys.clone(),
        comm: row.comm.clone(),
        started_by: row.started_by.first().map(|ancestors| ancestors.comms.clone()).unwrap_or_default(),
        processes: row.processes,
        cache: share.name.clone(),
        share_of_cache: if row.bytes == 0 { 1.0 } else { share.bytes as f64 / row.bytes as f64 },
        place: row.names.first().cloned(),
        negative: row.negatives.map(|negatives| negatives.share()),
        slope,
        bytes_per_s,
        explains: cache.and_then(|cache| explained(share.objects, cache)),
        is_reclaimable: cache.and_then(|cache| cache.reclaimable),
        full_in: meminfo.and_then(|meminfo| full_in(meminfo.available?, bytes_per_s)),
        doubts: doubts(trust),
        known: known(row, &share.name, cache, incidents),
    })
}

fn known(row: &Row, name: &str, cache: Option<&CacheTotals>, incidents: &Incidents) -> Vec<KnownIncident> {
    let place = row.names.first();
    let ancestors = row.started_by.first().map(|ancestors| &ancestors.comms[..]).unwrap_or_default();
    let evidence = Evidence {
        caches: std::iter::once(name.to_owned())
            .chain(cache.iter().flat_map(|cache| cache.aliases.clone()))
            .collect(),
        chain: row.comm.iter().chain(ancestors).cloned().collect(),
        name: place.map(|place| place.example.clone()),
        parent: place.map(|place| place.path.clone().unwrap_or_else(|| place.parent.clone())),
        functions: row.call_site.iter().filter_map(|site| site.symbol.clone()).collect(),
        negative: row.negatives.map(|negatives| negatives.share()),
    };
    let alike = incidents.like(&evidence).into_iter().filter(|like| like.matched.len() >= MIN_SIGNS);
    alike.map(|like| KnownIncident::from(&like)).collect()
}

/// Which part of what slabinfo says that the cache grew by.
fn explained(objects: u64, cache: &CacheTotals) -> Option<f64> {
    let growth = cache.growth.map(|growth| growth.slabinfo).filter(|growth| *growth >= MIN_GROWTH)?;
    Some((objects as f64 / growth as f64).min(1.0))
}

fn full_in(available: u64, bytes_per_s: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(available as f64 / bytes_per_s).ok()
}

fn doubts(trust: &Trust) -> Vec<Doubt> {
    let lost = (trust.lost_allocs + trust.lost_frees) as f64 / trust.emitted.max(1) as f64;
    let doubts = [
        (lost > FEW_LOST).then_some(Doubt::Lost { share: lost }),
        (trust.recursion_misses > 0).then_some(Doubt::Missed(trust.recursion_misses)),
        (trust.refused > 0).then_some(Doubt::Refused),
    ];
    doubts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{output::sample, view::trend::Slope};

    const SLOPE: Slope = Slope { per_s: 1948.0, low: 1900.0, high: 2000.0 };

    /// The sample's leaker among bystanders, each with its trend.
    fn verdict(trends: [Trend; 3], change: impl FnOnce(&mut Vec<Row>)) -> Option<Verdict> {
        let mut snapshot = sample::started();
        for (row, trend) in snapshot.rows.iter_mut().zip(trends) {
            row.trend = trend;
        }
        change(&mut snapshot.rows);
        snapshot.caches[0].growth = Some(sample::growth(24_000, 24_116));
        super::verdict(
            snapshot.rows.iter(),
            &snapshot.caches,
            snapshot.meminfo,
            &snapshot.trust,
            &Incidents::built_in(),
        )
    }

    fn suspect_of(verdict: Option<Verdict>) -> Suspect {
        let Some(Verdict::Leak(suspect)) = verdict else { panic!("{verdict:?}") };
        *suspect
    }

    #[test]
    fn who_grows_and_keeps_it_is_the_suspect() {
        let suspect =
            suspect_of(verdict([Trend::Growing(SLOPE), Trend::Growing(SLOPE), Trend::Churning], |_| {}));
        assert_eq!((suspect.comm.as_deref(), suspect.cache.as_str()), (Some(&b"curl"[..]), "dentry"));
        assert_eq!(suspect.started_by, [b"probe.sh".to_vec(), b"containerd-shim".to_vec()]);
        assert!((suspect.bytes_per_s - 1948.0 * 192.0).abs() < 1e-6);
        assert!((suspect.explains.unwrap() - 23_456.0 / 24_000.0).abs() < 1e-9);
        assert_eq!((suspect.is_reclaimable, suspect.doubts), (Some(true), Vec::new()));
        // 4 GiB are available.
        let seconds = suspect.full_in.unwrap().as_secs_f64();
        assert!((seconds - (4_u64 << 30) as f64 / (1948.0 * 192.0)).abs() < 1.0, "{seconds}");
    }

    #[test]
    fn a_known_incident_brings_its_remedy() {
        let suspect = suspect_of(verdict([Trend::Growing(SLOPE), Trend::Steady, Trend::Steady], |_| {}));
        let ids: Vec<&str> = suspect.known.iter().map(|known| known.id.as_str()).collect();
        assert!(ids.contains(&"nss-does-not-exist"), "{ids:?}");
        let nss = suspect.known.iter().find(|known| known.id == "nss-does-not-exist").unwrap();
        assert!(nss.for_good.iter().any(|remedy| remedy.contains("NSS_SDB_USE_CACHE=yes")), "{nss:?}");
        assert!(nss.signs.len() >= MIN_SIGNS, "{nss:?}");
        // The same cache alone is no sign of anything.
        let nameless = verdict([Trend::Growing(SLOPE), Trend::Steady, Trend::Steady], |rows| {
            rows[0].names.clear();
            rows[0].negatives = None;
            rows[0].comm = Some(b"postgres".to_vec());
        });
        assert_eq!(suspect_of(nameless).known, []);
    }

    #[test]
    fn without_growth_there_is_no_claim() {
        let flat = [Trend::Plateaued, Trend::Burst, Trend::Churning];
        assert_eq!(verdict(flat, |_| {}), Some(Verdict::Nothing));
        assert_eq!(verdict([Trend::TooEarly; 3], |_| {}), None);
        // It keeps a hundredth of what it allocates.
        let churner = [Trend::Plateaued, Trend::Growing(SLOPE), Trend::Churning];
        assert_eq!(verdict(churner, |_| {}), Some(Verdict::Nothing));
        let growing = [Trend::Growing(SLOPE), Trend::Steady, Trend::Steady];
        assert_eq!(verdict(growing, |rows| rows[0].objects = MIN_OBJECTS - 1), Some(Verdict::Nothing));
        assert_eq!(verdict(growing, |rows| rows[0].partial_objects = 20_000), Some(Verdict::Nothing));
    }

    #[test]
    fn what_makes_a_claim_unsure_is_said() {
        let trust =
            Trust { emitted: 1000, lost_frees: 20, recursion_misses: 3, refused: 1, ..Trust::default() };
        assert_eq!(doubts(&trust), [Doubt::Lost { share: 0.02 }, Doubt::Missed(3), Doubt::Refused]);
        assert_eq!(doubts(&Trust { emitted: 1_000_000, lost_allocs: 900, ..Trust::default() }), []);
    }
}
