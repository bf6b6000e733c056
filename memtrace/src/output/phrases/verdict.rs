//! Who leaks what, how fast, and how sure that is.

use std::time::Duration;

use super::place;
use crate::{
    output::model::Sentence,
    text::human,
    view::{KnownIncident, Suspect, Verdict, verdict::Doubt},
};

/// Beyond, a rate is too slow to matter for what is available.
pub const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The claim alone.
pub fn claim(verdict: &Verdict) -> Sentence {
    match verdict {
        Verdict::Nothing => "nothing traced grows steadily".into(),
        Verdict::Leak(suspect) => leak(suspect),
    }
}

/// `curl < probe.sh < cron (212 processes) leaks dentry: +1.9 k/s (365 KiB/s), steadily, 97% of dentry's growth`.
pub fn leak(suspect: &Suspect) -> Sentence {
    let (objects, bytes) = (human::growth(suspect.slope.per_s), human::bytes(suspect.bytes_per_s as u64));
    let claim = headline(suspect).words(format!(": {objects} ({bytes}/s), steadily"));
    let Some(share) = suspect.explains else { return claim };
    claim.words(format!(", {} of ", human::percent(share))).name(suspect.cache.as_bytes()).words("'s growth")
}

/// `curl < probe.sh < cron (212 processes) leaks dentry`.
pub fn headline(suspect: &Suspect) -> Sentence {
    let several = Some(suspect.processes).filter(|&n| n != 1).map(|n| format!(" ({})", human::processes(n)));
    let mostly = if suspect.share_of_cache > 0.9 { "" } else { "mostly " };
    let leaks = format!("{} leaks {mostly}", several.unwrap_or_default());
    who(suspect).words(leaks).name(suspect.cache.as_bytes())
}

/// Who leaks, and who started it.
pub fn who(suspect: &Suspect) -> Sentence {
    let who = match &suspect.comm {
        Some(comm) => Sentence::default().name(&**comm),
        None => Sentence::default().names(suspect.keys.iter().map(Vec::as_slice), ", "),
    };
    suspect.started_by.iter().fold(who, |who, comm| who.words(" < ").name(&**comm))
}

/// `mostly /etc/pki/nssdb/.<n>_dOeSnotExist_.db; 99% of its dentries are negative (names that do not exist)`.
pub fn place_of(suspect: &Suspect) -> Option<Sentence> {
    let place = Sentence::from("mostly ").name(place::path(suspect.place.as_ref()?));
    Some(match suspect.negative.filter(|share| *share > 0.0) {
        None => place,
        Some(share) => place.words(format!(
            "; {} of its dentries are negative (names that do not exist)",
            human::percent(share)
        )),
    })
}

pub fn consequence(suspect: &Suspect) -> String {
    let reclaim = reclaim(suspect.is_reclaimable);
    match suspect.full_in.filter(|time| *time < FAR) {
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

pub fn learn_more(suspect: &Suspect) -> Sentence {
    Sentence::from("more: memtrace explain ").name(suspect.cache.as_bytes())
}

pub fn doubt(doubt: Doubt) -> String {
    match doubt {
        Doubt::Lost { share } => {
            format!("{} of all events were lost: a lost free looks like a leak", human::percent(share))
        }
        Doubt::Missed(misses) => format!("the kernel skipped up to {}", human::number(misses, "probe run")),
        Doubt::Refused => "the ledger is full: newer objects are not followed".to_owned(),
    }
}
