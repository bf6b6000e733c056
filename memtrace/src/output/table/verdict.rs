//! The verdict in words: who leaks what, how fast, and how sure that is.

use std::time::Duration;

use super::parts::wrapped;
use super::{Keep, Line, Tone, clean};
use crate::output::{escape, human};
use crate::view::{Known, Snapshot, Suspect, Verdict, verdict::Doubt};

/// Beyond, a rate is too slow to matter for what is available.
pub(in crate::output) const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) fn lines(snapshot: &Snapshot, width: Option<usize>) -> Vec<Line> {
    let say = |text: &str, tone, keep| -> Vec<Line> {
        wrapped(text, width).map(|line| Line::new(line, tone, keep)).collect()
    };
    match &snapshot.verdict {
        None => Vec::new(),
        Some(Verdict::Nothing) => {
            say("verdict: nothing that is traced grows steadily", Tone::Quiet, Keep::Note)
        }
        Some(Verdict::Leak(suspect)) => {
            let mut lines = say(&format!("verdict: {}", claim(suspect)), Tone::Alarm, Keep::Trust);
            if let Some(where_) = place(suspect) {
                lines.extend(say(&format!("  {where_}"), Tone::Warning, Keep::Problem));
            }
            lines.extend(say(&format!("  {}", consequence(suspect)), Tone::Warning, Keep::Problem));
            lines.extend(suspect.known.first().into_iter().flat_map(|known| {
                remedy(known).into_iter().flat_map(|text| say(&text, Tone::Warning, Keep::Problem))
            }));
            let advice = format!("  more: memtrace explain {}", clean(&suspect.cache));
            lines.extend(say(&advice, Tone::Quiet, Keep::Note));
            for doubt in &suspect.doubts {
                lines.extend(say(&format!("  but {}", words(*doubt)), Tone::Warning, Keep::Problem));
            }
            lines
        }
    }
}

/// `curl < probe.sh < cron (212 processes) leaks dentry: +1.9 k/s (365 KiB/s), steadily, 97% of what dentry grew by`.
fn claim(suspect: &Suspect) -> String {
    let mut who = match &suspect.comm {
        Some(comm) => escape::terminal(comm).into_owned(),
        None => suspect.keys.iter().map(|key| escape::terminal(key)).collect::<Vec<_>>().join(", "),
    };
    for comm in &suspect.started_by {
        who += &format!(" < {}", escape::terminal(comm));
    }
    let processes = match suspect.processes {
        1 => String::new(),
        processes => format!(" ({} processes)", human::grouped(processes)),
    };
    let cache = clean(&suspect.cache);
    let mostly = if suspect.share_of_cache > 0.9 { "" } else { "mostly " };
    let (objects, bytes) = (human::growth(suspect.slope.per_s), human::bytes(suspect.bytes_per_s as u64));
    let explains =
        suspect.explains.map(|share| format!(", {} of what {cache} grew by", human::percent(share)));
    format!(
        "{who}{processes} leaks {mostly}{cache}: {objects} ({bytes}/s), steadily{}",
        explains.unwrap_or_default()
    )
}

/// `in /etc/pki/nssdb/.<n>_dOeSnotExist_.db; 99% of the names do not exist`.
fn place(suspect: &Suspect) -> Option<String> {
    let place = suspect.place.as_ref()?;
    let directory = escape::terminal(place.path.as_deref().unwrap_or(&place.parent));
    let slash = if directory.is_empty() || directory.ends_with('/') { "" } else { "/" };
    let pattern = escape::terminal(&place.pattern);
    let negative = suspect.negative.filter(|share| *share > 0.0);
    let negative = negative
        .map(|share| format!("; {} of its dentries are of names that do not exist", human::percent(share)));
    Some(format!("mostly {directory}{slash}{pattern}{}", negative.unwrap_or_default()))
}

/// What was done about it elsewhere.
fn remedy(known: &Known) -> Vec<String> {
    let first = |what: &str, sentences: &[String]| {
        sentences.first().map(|sentence| format!("  {what}: {}", clean(sentence)))
    };
    let title =
        format!("  like: {} ({}, by its {})", clean(&known.title), clean(&known.id), known.signs.join(", "));
    [Some(title), first("now", &known.now), first("for good", &known.for_good), first("check", &known.verify)]
        .into_iter()
        .flatten()
        .collect()
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
