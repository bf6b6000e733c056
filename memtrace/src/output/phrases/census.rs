//! What a census saw, in words: `71% ±2  27.4 GiB  curl.service: /etc/pki/nssdb/.<n>_dOeSnotExist_.db, negative >99%`.

use std::time::{Duration, SystemTime};

use super::place;
use crate::{
    output::model::Sentence,
    text::human,
    view::{
        Census,
        census::{
            By, CacheCensus, Clock, Content, Interval, Kind, Made, NotBefore, OpenIn, Payer, Period, Place,
            Row, Told, UnusedRow, compare::RowChange,
        },
        key,
    },
};

/// A share that is less says nothing.
const MENTIONED: f64 = 0.2;
/// A period that ends within this part of its length ends now.
const UP_TO_NOW: f64 = 0.02;
/// A share below this, whose error is below that, is shown with a tenth.
const SMALL: f64 = 0.1;
const FINE: f64 = 0.0095;
/// A tenth, rounded.
const LEAST: f64 = 0.000_5;
/// Of all slab, or of a cache.
const LARGE: f64 = 0.2;
/// Of all slab: names that were made for nothing are news much earlier.
const WRECK: f64 = 0.03;
const MOST: f64 = 0.8;
const MOST_CACHES: usize = 2;
const MOST_ROWS: usize = 2;
/// Cells of a row's figures.
pub const FIGURES: usize = 24;

/// `  71% ±2     27.4 GiB  `.
pub fn figures(row: &Row) -> String {
    let (share, error) = share(row.share, row.share_ci95);
    format!("{share:>6} {error:<5} {:>9}  ", human::bytes(row.bytes))
}

/// A share and by how much it may be wrong, in percent: `71%` and `±2`, or `1.2%` and `±0.4`.
fn share(share: f64, (low, high): Interval<f64>) -> (String, String) {
    let error = (high - low) / 2.0;
    if error <= 0.0 {
        return (human::percent(share), String::new());
    }
    let is_fine = error < FINE && share < SMALL;
    let places = usize::from(is_fine);
    let text = match is_fine {
        true if share < LEAST => "<0.1%".to_owned(),
        true => format!("{:.1}%", share * 100.0),
        false => human::percent(share),
    };
    let error = (error * 100.0).max(if is_fine { 0.1 } else { 1.0 });
    (text, format!("±{error:.places$}"))
}

/// Whose the objects of a row are, where, and what is known of them besides.
pub fn row(row: &Row, census: &Census) -> Sentence {
    let who = match row.traits.content {
        Content::Object => objects(row, census),
        Content::BeingFreed => "being freed: dead, and not given back yet".into(),
        Content::Free => "free places in its slabs".into(),
        Content::TooFew => "in caches of which too few pages were seen to tell whose".into(),
        Content::Doubted => "in caches whose sample disagrees with slabinfo".into(),
    };
    let signs = signs(row, census);
    let counted = row.memory_stat.map(|bytes| format!("{} by memory.stat", human::bytes(bytes)));
    let signs = signs.into_iter().chain(counted);
    signs.fold(who, |who, sign| who.words(format!(", {sign}"))) + open_in(row)
}

/// `, open in nginx (8 processes) 93%`.
fn open_in(row: &Row) -> Sentence {
    let Some(OpenIn { comm, processes, share }) = row.open_in.as_ref().filter(|it| it.share >= MENTIONED)
    else {
        return Sentence::default();
    };
    let many = if *processes > 1 { format!(" ({})", human::processes(*processes)) } else { String::new() };
    Sentence::from(", open in ").name(comm.clone()).words(format!("{many} {}", human::percent(*share)))
}

/// By what rows are grouped by, the cache left out where it stands above, and names where the objects have none.
fn objects(row: &Row, census: &Census) -> Sentence {
    let is_said = |by: &By| match by {
        By::Cache => false,
        By::Place => row.traits.place.is_some(),
        By::Filesystem => row.traits.filesystem.is_some(),
        By::Uid => row.traits.uid.is_some(),
        By::Kind => row.traits.kind.is_some(),
        By::Cgroup | By::Node => true,
    };
    let mut sentence = Sentence::default();
    let mut before = None;
    for by in census.by.iter().copied().filter(is_said) {
        let between = match (before, by) {
            (None, _) => "",
            (Some(By::Cgroup), By::Place) => ": ",
            _ => ", ",
        };
        sentence = sentence.words(between) + key(row, by, census);
        before = Some(by);
    }
    if before.is_none() { "objects that do not show it".into() } else { sentence }
}

/// What a row is called by one of its keys.
pub fn key(row: &Row, by: By, census: &Census) -> Sentence {
    let unknown = |what: &str| Sentence::from(what);
    match by {
        By::Cache => match census.cache(row) {
            Some(cache) => Sentence::default().name(cache.name.as_bytes()),
            None => unknown("several caches"),
        },
        By::Cgroup => match row.traits.payer {
            Some(payer) => self::payer(payer, row.cgroup.as_deref(), Some(row.removed_cgroups)),
            None => unknown("several cgroups"),
        },
        By::Place => match &row.traits.place {
            Some(place) => Sentence::default().name(path(place)),
            None => unknown("no name to read"),
        },
        By::Filesystem => match &row.traits.filesystem {
            Some(filesystem) => Sentence::default().name(filesystem.clone()),
            None => unknown("no filesystem to read"),
        },
        By::Uid => row.traits.uid.map_or(unknown("no owner to read"), |uid| format!("uid {uid}").into()),
        By::Node => row.traits.node.map_or(unknown("node not known"), |node| format!("node {node}").into()),
        By::Kind => row.traits.kind.map_or(unknown("kind not known"), |is| kind(is).into()),
    }
}

/// Of the cgroup a short name, as elsewhere; with how many were removed, where that is known.
fn payer(payer: Payer, path: Option<&[u8]>, removed: Option<u64>) -> Sentence {
    let name = |id| Sentence::default().name(key::cgroup(id, path));
    match payer {
        Payer::Cgroup(id) => name(id),
        Payer::RemovedOf(id) => {
            let children = if removed == Some(1) { "child" } else { "children" };
            let count = removed.map(|removed| format!("{} ", human::grouped(removed))).unwrap_or_default();
            Sentence::from(format!("{count}removed {children} of ")) + name(id)
        }
        Payer::Nobody => "no cgroup".into(),
        Payer::Unknown => "cgroup not known".into(),
    }
}

/// `dentry, curl.service: /etc/pki/nssdb/.<n>_dOeSnotExist_.db: 1.2 ±0.1 GiB before, 9.0 ±0.3 GiB after`.
pub fn changed(row: &RowChange) -> Sentence {
    let cache = row.cache.as_ref().map(|cache| Sentence::default().name(cache.as_bytes()));
    let payer = row.payer.map(|payer| self::payer(payer, row.cgroup.as_deref(), None));
    let place = row.place.as_ref().map(|place| Sentence::default().name(path(place)));
    let kind = row.kind.filter(|_| row.place.is_none()).map(|is| Sentence::from(kind(is)));
    let parts = [cache, payer, place, kind].into_iter().flatten();
    let what = parts.reduce(|one, other| one.words(", ") + other).unwrap_or_else(|| "objects".into());
    let [before, after] = [row.before, row.after].map(|estimate| {
        let (low, high) = estimate.ci95;
        if estimate.bytes == 0 {
            format!("less than {}", human::bytes(high))
        } else {
            with_error(estimate.bytes, (high - low) / 2)
        }
    });
    what.words(format!(": {before} before, {after} after"))
}

/// `   190,204 dentries   12,001 inodes  `.
pub fn unused(dentries: u64, inodes: u64) -> String {
    let [dentries, inodes] = [dentries, inodes].map(human::grouped);
    format!("{dentries:>12} dentries {inodes:>11} inodes  ")
}

/// Of dentries and of inodes.
pub fn unused_sums(rows: &[UnusedRow]) -> [u64; 2] {
    let sum = |of: fn(&UnusedRow) -> u64| rows.iter().map(of).fold(0, u64::saturating_add);
    [sum(|row| row.dentries), sum(|row| row.inodes)]
}

/// `ext4 at /, curl.service`, `overlay, no cgroup`.
pub fn whose_unused(row: &UnusedRow) -> Sentence {
    let filesystem = Sentence::default().name(row.filesystem.clone());
    let place = match &row.mounted_at {
        Some(path) => filesystem.words(" at ").name(path.clone()),
        None if row.id != row.filesystem => filesystem.words(" ").name(row.id.clone()),
        None => filesystem,
    };
    match &row.cgroup {
        Some(path) => place.words(", ").name(key::cgroup(0, Some(path))),
        None => place.words(", no cgroup"),
    }
}

pub fn path(place: &Place) -> Vec<u8> {
    let pattern = if place.is_below { "…".as_bytes() } else { &place.pattern };
    place::join(&place.directory, pattern, place.is_flat)
}

pub fn kind(kind: Kind) -> String {
    match kind {
        Kind::NegativeDentry => "negative dentry".to_owned(),
        Kind::Dentry => "dentry of a file".to_owned(),
        Kind::Inode(file_type) => format!("inode: {}", place::file_type(file_type)),
        Kind::File(file_type) => format!("open file: {}", place::file_type(file_type)),
        Kind::Socket => "socket".to_owned(),
    }
}

/// `negative >99%`, `asked once 98%`, `made over 9 d 2 h (names count ms)`.
fn signs(row: &Row, census: &Census) -> Vec<String> {
    let share = |what: &str, share: Option<f64>| {
        let share = share.filter(|&share| share >= MENTIONED)?;
        Some(format!("{what} {}", human::percent(share)))
    };
    let made = row.made.map(|period| made(&period, census.time));
    let negative = row.negative_share.filter(|_| !census.by.contains(&By::Kind));
    // Where names tell, they tell more.
    let made = made.or_else(|| row.not_before.map(|not_before| made_after(not_before, census.time)));
    [share("negative", negative), share("asked once", row.asked_once_share), made]
        .into_iter()
        .flatten()
        .collect()
}

/// `made in the last 3 h 10 m (age of the directory)`.
fn made_after(not_before: NotBefore, now: SystemTime) -> String {
    let of = match not_before.made {
        Made::Directory => "directory",
        Made::Filesystem => "filesystem",
    };
    format!(
        "made in the last {} (age of the {of})",
        long(now.duration_since(not_before.time).unwrap_or_default())
    )
}

/// `made over the last 9 d 2 h (names count ms)`, `made from 9 d 2 h to 3 h 10 m ago (names have dates)`.
pub fn made(period: &Period, now: SystemTime) -> String {
    let ago = |time: SystemTime| now.duration_since(time).unwrap_or_default();
    let (from, to) = (ago(period.after), ago(period.before));
    let length = from.saturating_sub(to);
    let why = clock(period.clock);
    if to.as_secs_f64() <= length.as_secs_f64() * UP_TO_NOW {
        return format!("made over the last {} ({why})", long(from));
    }
    format!("made from {} to {} ago ({why})", long(from), long(to))
}

/// Seconds of what lasted days are noise.
fn long(time: Duration) -> String {
    human::round_duration(time)
}

fn clock(clock: Clock) -> &'static str {
    match clock {
        Clock::Uptime => "names count ms",
        Clock::Seconds => "names count s since 1970",
        Clock::Milliseconds => "names count ms since 1970",
        Clock::Microseconds => "names count us since 1970",
        Clock::Nanoseconds => "names count ns since 1970",
        Clock::Date => "names have dates",
        Clock::Uuid => "names are UUIDs with the time",
    }
}

/// Of each cache that is a large part of the slab, who has a large part of it; and whose names were made for nothing, where that is
/// not little.
pub fn already_there(census: &Census) -> Vec<Sentence> {
    let least = census.bytes() as f64 * LARGE;
    let is_large = |at: usize| census.caches[at].bytes as f64 >= least;
    let is_flooded =
        |at: usize| census.rows.iter().any(|row| row.traits.cache == Some(at) && is_wreck(row, census));
    let all = 0..census.caches.len();
    let large = all.clone().filter(|&at| is_large(at)).take(MOST_CACHES);
    let shown: Vec<usize> = large.collect();
    let flooded = all.filter(|at| !shown.contains(at) && is_flooded(*at));
    shown.iter().copied().chain(flooded).map(|at| whose(census, at)).collect()
}

/// Names that do not exist, that nobody asked for again, and that take a part of all slab that is worth a word.
fn is_wreck(row: &Row, census: &Census) -> bool {
    let is_most = |share: Option<f64>| share.is_some_and(|share| share >= MOST);
    let bytes = row.bytes as f64;
    is_most(row.negative_share) && is_most(row.asked_once_share) && bytes >= census.bytes() as f64 * WRECK
}

/// `dentry, 38.6 GiB: 71% ±2 curl.service: /etc/pki/nssdb/.<n>_dOeSnotExist_.db, negative 100%; 24% ±2 ...`.
fn whose(census: &Census, at: usize) -> Sentence {
    let cache = &census.caches[at];
    let name = Sentence::default().name(cache.name.as_bytes());
    let sentence = name.words(format!(", {}: ", human::bytes(cache.bytes)));
    if let Some(why) = untold(cache) {
        return sentence + why;
    }
    let is_held = |row: &&Row| row.traits.content == Content::Object;
    let rows = || census.rows.iter().filter(|row| row.traits.cache == Some(at)).filter(is_held);
    if rows().next().is_none() {
        return sentence.words("only free places were seen");
    }
    let (wrecks, others): (Vec<&Row>, Vec<&Row>) = rows().partition(|row| is_wreck(row, census));
    let large = others.into_iter().filter(|row| row.share >= LARGE);
    let large: Vec<&Row> = wrecks.into_iter().chain(large).take(MOST_ROWS).collect();
    // Where nobody has much of it, who has most.
    let shown = if large.is_empty() { rows().take(1).collect() } else { large };
    shown.into_iter().enumerate().fold(sentence, |sentence, (at, row)| {
        let (share, error) = share(row.share, row.share_ci95);
        let gap = if error.is_empty() { "" } else { " " };
        let between = if at == 0 { "" } else { "; " };
        sentence.words(format!("{between}{share}{gap}{error} ")) + self::row(row, census)
    })
}

/// `38.6 GiB ±0.4`, and how much that is of what slabinfo says.
pub fn size(cache: &CacheCensus) -> String {
    let (low, high) = cache.sampled_bytes_ci95;
    let sampled = with_error(cache.sampled_bytes, (high - low) / 2);
    match cache.slabinfo_bytes {
        None => format!("{sampled} by the sample"),
        Some(0) => human::bytes(0),
        Some(bytes) => {
            let share = 100.0 * cache.sampled_bytes as f64 / bytes as f64;
            format!("{sampled}, {share:.1}% of slabinfo's")
        }
    }
}

/// Both in the same unit: `38.6 ±0.4 GiB`.
fn with_error(bytes: u64, error: u64) -> String {
    let text = human::bytes(bytes);
    let Some((number, unit)) = text.split_once(' ') else { return text };
    let each = number.parse::<f64>().map_or(1.0, |number| bytes as f64 / number);
    if bytes == 0 { text } else { format!("{number} ±{:.1} {unit}", error as f64 / each) }
}

/// Why a cache has no rows, if it has none.
pub fn untold(cache: &CacheCensus) -> Option<Sentence> {
    match cache.told {
        Told::Rows { .. } => None,
        Told::TooFew { error } => {
            let seen = if cache.pages == 1 { "1 page".to_owned() } else { format!("{} pages", cache.pages) };
            let few = Sentence::from(format!("too few pages seen to tell whose ({seen}): "));
            Some(match error {
                Some(error) => {
                    let name = few.words("memtrace census -c ").name(cache.name.as_bytes());
                    name.words(format!(", or --error {}, would see enough", percent(error)))
                }
                None => few.words("a census draws no more"),
            })
        }
        Told::Doubted { expected, deviations } => Some(format!(
            "not told whose: {} pages were seen, and by slabinfo {expected:.0} were to be expected ({deviations:+.0} standard \
             deviations), so something is read wrong",
            human::grouped(cache.pages)
        ).into()),
    }
}

/// As it is written on the command line.
pub fn percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample::census::wreck;

    /// In a host's slab that is mostly inodes.
    #[test]
    fn names_for_nothing_are_told_of_a_cache_that_is_no_large_part() {
        let mut census = wreck();
        let inodes =
            census.caches.iter_mut().find(|cache| cache.name == "ext4_inode_cache").expect("it is there");
        inodes.bytes = 500 << 30;
        assert_eq!(already_there(&census).len(), 2, "inodes, and the dentries of the flood");
        // Who is asked again was not made for nothing.
        census.rows.iter_mut().for_each(|row| row.asked_once_share = Some(0.4));
        assert_eq!(already_there(&census).len(), 1);
    }
}
