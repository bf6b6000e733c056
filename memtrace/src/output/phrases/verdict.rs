//! Who leaks or floods what, how fast, and how sure that is.

use std::time::Duration;

use super::place;
use crate::{
    knowledge::caches,
    output::model::Sentence,
    text::human,
    view::{
        Finding, KnownIncident, Verdict,
        finding::{Doubt, Ended, Kind, TooFew},
    },
};

/// Beyond, a rate is too slow to matter for what is available.
pub const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The claim alone.
pub fn claim(verdict: &Verdict) -> Sentence {
    if let Some(first) = verdict.first() {
        return accusation(first);
    }
    match (&verdict.too_few, &verdict.ended, verdict.caches().next()) {
        (Some(few), None, _) => too_few(few),
        (Some(few), Some(over), _) => too_few(few) + "; " + ended(over),
        (None, Some(over), _) => Sentence::from("nothing traced leaks or floods now; ") + ended(over),
        (None, None, Some(fills)) => Sentence::from("nothing traced leaks or floods; ") + accusation(fills),
        (None, None, None) => "nothing traced grows steadily".into(),
    }
}

/// `curl < probe.sh < cron (212 processes) floods dentry: +1.9 k/s (365 KiB/s), 97% of dentry's growth`.
pub fn accusation(finding: &Finding) -> Sentence {
    let claim = headline(finding).words(": ") + rate(finding);
    match (finding.kind, caches::bookkeeping_of(&finding.cache)) {
        (Kind::Cache, Some(of)) => claim.words(format!(", which goes with {of}")),
        _ => claim,
    }
}

/// `curl < probe.sh < cron (212 processes) leaks filp`.
pub fn headline(finding: &Finding) -> Sentence {
    let several = Some(finding.processes).filter(|&n| n != 1).map(|n| format!(" ({})", human::processes(n)));
    let does = does(finding.kind);
    who(finding).words(format!("{} {does} ", several.unwrap_or_default())).name(finding.cache.as_bytes())
}

/// `curl floods dentry +1.9 k/s`.
pub fn in_short(finding: &Finding) -> Sentence {
    named(finding.comm.as_deref(), &finding.keys)
        .words(format!(" {} ", does(finding.kind)))
        .name(finding.cache.as_bytes())
        .words(format!(" {}", human::growth(finding.slope.per_s)))
}

fn does(kind: Kind) -> &'static str {
    match kind {
        Kind::Leak => "leaks",
        Kind::Flood => "floods",
        Kind::Cache => "fills",
    }
}

/// `+1.9 k/s (365 KiB/s), 97% of dentry's growth`.
fn rate(finding: &Finding) -> Sentence {
    let (objects, bytes) = (human::growth(finding.slope.per_s), human::bytes(finding.bytes_per_s as u64));
    let rate = Sentence::from(format!("{objects} ({bytes}/s)"));
    let Some(share) = finding.explains else { return rate };
    rate.words(format!(", {} of ", human::percent(share))).name(finding.cache.as_bytes()).words("'s growth")
}

/// `too few to tell: sshd keeps 42 filp after 8.0 s`.
fn too_few(few: &TooFew) -> Sentence {
    let objects = format!(" keeps {} ", human::grouped(few.objects));
    (Sentence::from("too few to tell: ") + named(few.comm.as_deref(), &few.keys))
        .words(objects)
        .name(few.cache.as_bytes())
        .words(format!(" after {}", human::duration(few.elapsed)))
}

/// `curl added 24,000 dentry (4.4 MiB) until about 12.0 s, and they stay`.
fn ended(ended: &Ended) -> Sentence {
    let (bytes, until) = (human::bytes(ended.bytes), human::duration(ended.until));
    named(ended.comm.as_deref(), &ended.keys)
        .words(format!(" added {} ", human::grouped(ended.objects)))
        .name(ended.cache.as_bytes())
        .words(format!(" ({bytes}) until about {until}, and they stay"))
}

/// Who it is, and who started it.
pub fn who(finding: &Finding) -> Sentence {
    let who = named(finding.comm.as_deref(), &finding.keys);
    finding.started_by.iter().fold(who, |who, comm| who.words(" < ").name(&**comm))
}

fn named(comm: Option<&[u8]>, keys: &[Vec<u8>]) -> Sentence {
    match comm {
        Some(comm) => Sentence::default().name(comm),
        None => Sentence::default().names(keys.iter().map(Vec::as_slice), ", "),
    }
}

/// `keeps all of it; also of dentry, inode_cache; 88% of the traced growth`.
pub fn evidence(finding: &Finding) -> Sentence {
    let kept = match human::percent(finding.kept).as_str() {
        "100%" => "nothing of it was freed".to_owned(),
        share => format!("{share} of it is kept"),
    };
    let kept = Sentence::from(kept);
    let kept = match finding.with.as_slice() {
        [] => kept,
        with => kept.words("; grows with ").names(with.iter().take(MAX_WITH).map(String::as_bytes), ", "),
    };
    kept.words(format!("; {} of the traced growth", human::percent(finding.slab_growth_share)))
}

/// Of the caches that grow together, so many more are named.
const MAX_WITH: usize = 3;

/// `sigqueue is one cache with fanotify_mark, inotify_inode_mark: call sites (--by callsite) tell which of them it is`.
pub fn of_many_kinds(finding: &Finding) -> Option<Sentence> {
    const TELL: &str = ": call sites (--by callsite) tell";
    // Long names of dentries have caches of their own.
    if finding.cache.starts_with("kmalloc-") && !finding.cache.starts_with("kmalloc-rcl-") {
        let cache = Sentence::default().name(finding.cache.as_bytes());
        return Some(cache.words(format!(" has objects of all kinds{TELL} what these are")));
    }
    let (named, more) = finding.aliases.split_at(finding.aliases.len().min(MAX_ALIASES));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    let cache = Sentence::default().name(finding.cache.as_bytes()).words(" is one cache with ");
    let cache = cache.names(named.iter().map(String::as_bytes), ", ");
    (!named.is_empty()).then(|| cache.words(format!("{more}{TELL} which of them it is")))
}

/// Of the caches that the kernel merged, so many are named.
const MAX_ALIASES: usize = 3;

/// `mostly /etc/pki/nssdb/.<n>_dOeSnotExist_.db; 99% of its dentries are negative (names that do not exist)`.
pub fn place_of(finding: &Finding) -> Option<Sentence> {
    let place = Sentence::from("mostly ").name(place::path(finding.place.as_ref()?));
    Some(match finding.negative.filter(|share| *share > 0.0) {
        None => place,
        Some(share) => place.words(format!(
            "; {} of its dentries are negative (names that do not exist)",
            human::percent(share)
        )),
    })
}

pub fn consequence(finding: &Finding) -> String {
    let reclaim = reclaim(finding.is_reclaimable);
    match finding.full_in.filter(|time| *time < FAR) {
        Some(time) => format!("{reclaim}; available memory lasts {} at this rate", human::duration(time)),
        None => reclaim.to_owned(),
    }
}

pub fn reclaim(is_reclaimable: Option<bool>) -> &'static str {
    match is_reclaimable {
        Some(true) => "the kernel can reclaim this memory under pressure; allocations may stall meanwhile",
        Some(false) => "the kernel cannot reclaim this memory",
        None => "whether the kernel can reclaim this memory is unknown",
    }
}

/// What was done about it elsewhere.
pub fn remedy(known: &KnownIncident) -> impl Iterator<Item = Sentence> {
    let first = |what: &str, sentences: &[String]| {
        sentences.first().map(|sentence| Sentence::from(format!("{what}: ")).advice(sentence))
    };
    let like = Sentence::from("like: ")
        .advice(&known.title)
        .words(" (")
        .advice(&known.id)
        .words(", by its ")
        .advice(known.signs.join(", "))
        .words(")");
    [Some(like), first("now", &known.now), first("for good", &known.for_good), first("check", &known.verify)]
        .into_iter()
        .flatten()
}

pub fn learn_more(finding: &Finding) -> Sentence {
    Sentence::from("more: memtrace explain ").name(finding.cache.as_bytes())
}

pub fn doubt(doubt: Doubt) -> String {
    match doubt {
        Doubt::Lost { share } => {
            format!("{} of all events were lost: a lost free looks like a leak", human::percent(share))
        }
        Doubt::Missed(misses) => format!("the kernel skipped up to {}", human::number(misses, "probe run")),
        Doubt::Replaced(freed) => format!(
            "{} from before the session were freed meanwhile: new ones may only take their place; a longer session tells",
            human::number(freed, "object")
        ),
        Doubt::Refused => "the ledger is full: newer objects are not followed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    #[test]
    fn what_shares_a_cache_is_told_by_call_sites() {
        let snapshot = sample::findings();
        let merged =
            snapshot.verdict.iter().flat_map(Verdict::accused).find(|finding| finding.cache == "filp");
        let of = |cache: &str| Finding { cache: cache.to_owned(), ..merged.expect("it is there").clone() };
        let said = |finding: &Finding| of_many_kinds(finding).map(|sentence| sentence.text());
        assert_eq!(
            said(&of("filp")).as_deref(),
            Some(
                "filp is one cache with a, b, c and 2 more: call sites (--by callsite) tell which of them it is"
            )
        );
        let alone = |cache| Finding { aliases: Vec::new(), ..of(cache) };
        assert_eq!(
            said(&alone("kmalloc-cg-256")).as_deref(),
            Some("kmalloc-cg-256 has objects of all kinds: call sites (--by callsite) tell what these are")
        );
        assert_eq!(["dentry", "kmalloc-rcl-128"].map(|cache| said(&alone(cache))), [None, None]);
    }
}
