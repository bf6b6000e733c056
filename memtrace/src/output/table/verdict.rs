//! The verdict in words: who leaks what, how fast, and how sure that is.

use std::time::Duration;

use super::parts::wrapped;
use super::{Keep, Line, Tone, clean, place};
use crate::{
    text::{escape, human},
    view::{KnownIncident, Snapshot, Suspect, Verdict, verdict::Doubt},
};

/// Beyond, a rate is too slow to matter for what is available.
pub(in crate::output) const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

const NOTHING: &str = "nothing that is traced grows steadily";

/// How what comes from outside is made harmless where the words are shown.
#[derive(Clone, Copy)]
pub(in crate::output) struct Medium {
    pub(in crate::output) name: fn(&[u8]) -> String,
    /// Sentences of who knows the incident.
    pub(in crate::output) text: fn(&str) -> String,
}

pub(in crate::output) const TERMINAL: Medium =
    Medium { name: |bytes| escape::terminal(bytes).into_owned(), text: clean };

/// A sentence of the verdict, and how it stands in a block.
struct Sentence {
    text: String,
    tone: Tone,
    keep: Keep,
}

pub(super) fn lines(snapshot: &Snapshot, width: Option<usize>) -> Vec<Line> {
    let Some(verdict) = &snapshot.verdict else { return Vec::new() };
    let sentences = sentences(verdict, TERMINAL).into_iter().enumerate();
    sentences
        .flat_map(|(at, Sentence { text, tone, keep })| {
            let text = if at == 0 { format!("verdict: {text}") } else { format!("  {text}") };
            wrapped(&text, width).map(move |line| Line::new(line, tone, keep)).collect::<Vec<_>>()
        })
        .collect()
}

/// The verdict's sentences as text; none while there is no telling.
pub fn of_snapshot(snapshot: &Snapshot) -> Vec<String> {
    snapshot.verdict.as_ref().map(|verdict| texts(verdict, TERMINAL)).unwrap_or_default()
}

/// The claim, then what else there is to say of it.
pub(in crate::output) fn texts(verdict: &Verdict, medium: Medium) -> Vec<String> {
    sentences(verdict, medium).into_iter().map(|sentence| sentence.text).collect()
}

/// The claim alone.
pub(in crate::output) fn claim(verdict: &Verdict, medium: Medium) -> String {
    match verdict {
        Verdict::Nothing => NOTHING.to_owned(),
        Verdict::Leak(suspect) => leak(suspect, medium),
    }
}

fn sentences(verdict: &Verdict, medium: Medium) -> Vec<Sentence> {
    let text = claim(verdict, medium);
    let Verdict::Leak(suspect) = verdict else {
        return vec![Sentence { text, tone: Tone::Quiet, keep: Keep::Note }];
    };
    let warning = |text| Sentence { text, tone: Tone::Warning, keep: Keep::Problem };
    let mut all = vec![Sentence { text, tone: Tone::Alarm, keep: Keep::Trust }];
    all.extend(where_(suspect, medium).map(warning));
    all.push(warning(consequence(suspect)));
    all.extend(suspect.known.first().into_iter().flat_map(|known| remedy(known, medium)).map(warning));
    let advice = format!("more: memtrace explain {}", (medium.name)(suspect.cache.as_bytes()));
    all.push(Sentence { text: advice, tone: Tone::Quiet, keep: Keep::Note });
    all.extend(suspect.doubts.iter().map(|doubt| warning(format!("but {}", words(*doubt)))));
    all
}

/// The verdict in a line or two, for whoever reads no further; nothing where there is none.
pub fn brief(snapshot: &Snapshot) -> Vec<String> {
    let Some(Verdict::Leak(suspect)) = &snapshot.verdict else { return Vec::new() };
    [Some(leak(suspect, TERMINAL)), where_(suspect, TERMINAL)].into_iter().flatten().collect()
}

/// `curl < probe.sh < cron (212 processes) leaks dentry: +1.9 k/s (365 KiB/s), steadily, 97% of what dentry grew by`.
fn leak(suspect: &Suspect, medium: Medium) -> String {
    let mut who = match &suspect.comm {
        Some(comm) => (medium.name)(comm),
        None => suspect.keys.iter().map(|key| (medium.name)(key)).collect::<Vec<_>>().join(", "),
    };
    for comm in &suspect.started_by {
        who += &format!(" < {}", (medium.name)(comm));
    }
    let processes = match suspect.processes {
        1 => String::new(),
        processes => format!(" ({} processes)", human::grouped(processes)),
    };
    let cache = (medium.name)(suspect.cache.as_bytes());
    let mostly = if suspect.share_of_cache > 0.9 { "" } else { "mostly " };
    let (objects, bytes) = (human::growth(suspect.slope.per_s), human::bytes(suspect.bytes_per_s as u64));
    let explains =
        suspect.explains.map(|share| format!(", {} of what {cache} grew by", human::percent(share)));
    format!(
        "{who}{processes} leaks {mostly}{cache}: {objects} ({bytes}/s), steadily{}",
        explains.unwrap_or_default()
    )
}

/// `mostly /etc/pki/nssdb/.<n>_dOeSnotExist_.db; 99% of its dentries are of names that do not exist`.
fn where_(suspect: &Suspect, medium: Medium) -> Option<String> {
    let place = (medium.name)(&place::name(suspect.place.as_ref()?));
    let negative = suspect.negative.filter(|share| *share > 0.0);
    let negative = negative
        .map(|share| format!("; {} of its dentries are of names that do not exist", human::percent(share)));
    Some(format!("mostly {place}{}", negative.unwrap_or_default()))
}

/// What was done about it elsewhere.
fn remedy(known: &KnownIncident, medium: Medium) -> impl Iterator<Item = String> {
    let first = |what: &str, sentences: &[String]| {
        sentences.first().map(|sentence| format!("{what}: {}", (medium.text)(sentence)))
    };
    let [title, id] = [&known.title, &known.id].map(|text| (medium.text)(text));
    let title = format!("like: {title} ({id}, by its {})", (medium.text)(&known.signs.join(", ")));
    [Some(title), first("now", &known.now), first("for good", &known.for_good), first("check", &known.verify)]
        .into_iter()
        .flatten()
}

fn consequence(suspect: &Suspect) -> String {
    let reclaim = reclaim(suspect.is_reclaimable);
    match suspect.full_in.filter(|time| *time < FAR) {
        Some(time) => format!("{reclaim}; what is available is used up in {}", human::duration(time)),
        None => reclaim.to_owned(),
    }
}

pub(in crate::output) fn reclaim(is_reclaimable: Option<bool>) -> &'static str {
    match is_reclaimable {
        Some(true) => "the kernel takes this memory back when it needs it, and whoever needs it waits",
        Some(false) => "the kernel cannot take this memory back",
        None => "whether the kernel can take this memory back is not known",
    }
}

pub(in crate::output) fn words(doubt: Doubt) -> String {
    match doubt {
        Doubt::Lost { share } => {
            format!("{} of all events were lost: a lost free looks like a leak", human::percent(share))
        }
        Doubt::Missed(misses) => format!("the kernel skipped up to {} probe runs", human::grouped(misses)),
        Doubt::Refused => "the ledger is full: newer objects are not followed".to_owned(),
    }
}
