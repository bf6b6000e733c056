//! What triage found.

use std::time::Duration;

use super::{merged, place, verdict, with_tail};
use crate::{
    output::model::{Sentence, bound},
    text::human,
    triage::{
        filling::{Filling, is_of_names},
        page::Page,
        shortage::{FullCgroup, Shortage},
        suspect::{Candidate, Charge, Kind},
        tracing::{Claim, Tracing},
        window::{CacheRow, Command},
    },
};

/// Claims and full cgroups that are named.
const MAX_CLAIMS: usize = 3;
/// Parts of the memory.
const MAX_PARTS: usize = 5;
/// Of those who started somebody.
const MAX_ANCESTORS: usize = 3;

/// The one line that says it.
pub fn headline(page: &Page) -> Sentence {
    let Some(suspect) = page.suspect() else {
        let nothing = match (page.slow_leak(), &page.candidates[..]) {
            (Some(_), _) => "nothing leaks or floods it fast",
            (None, []) => "nothing grew that is worth a word",
            (None, _) => "nothing leaks or floods it",
        };
        return format!("SUSPECT: none. Memory is not short, and {nothing}").into();
    };
    let lasts = lasts(suspect, page).map(|time| format!("; available memory lasts {time} at this rate"));
    Sentence::from("SUSPECT: ") + charged(suspect, page) + how(suspect, page) + lasts.unwrap_or_default()
}

/// `, +14.0 MiB in 30.1 s, 38.5 GiB in all`.
fn how(candidate: &Candidate, page: &Page) -> String {
    let (bytes, length) = (human::bytes(candidate.bytes), bound(&human::duration(page.length)));
    let grew = format!(", {} in {length}", human::bytes_change(candidate.growth));
    match candidate.charge {
        _ if candidate.kind == Kind::Cgroup => String::new(),
        _ if candidate.grows && candidate.is_big => format!("{grew}, {bytes} in all"),
        Some(Charge::Leak | Charge::Flood) if candidate.growth > 0 => grew,
        Some(Charge::Leak | Charge::Flood) => String::new(),
        _ if candidate.grows => grew,
        _ => format!(", {bytes}, not growing now"),
    }
}

/// Who is accused beside the first.
pub fn also(candidate: &Candidate, page: &Page) -> Sentence {
    let also = Sentence::from("also suspect: ") + charged(candidate, page);
    match candidate.claims.first() {
        Some(claim) => also + ", by " + of_claim(claim),
        None => also + how(candidate, page),
    }
}

/// `leak of open files (filp)`.
fn charged(candidate: &Candidate, page: &Page) -> Sentence {
    let charge = match candidate.charge {
        Some(Charge::Leak) => "leak of ",
        Some(Charge::Flood) => "flood of ",
        _ => "",
    };
    Sentence::from(charge) + what(candidate, page)
}

/// What it is.
fn what(candidate: &Candidate, page: &Page) -> Sentence {
    let words = Sentence::from;
    match candidate.kind {
        Kind::Processes => match candidate.commands.first() {
            Some(command) => words("processes' own memory: ") + of_command(command),
            None => "processes' own memory".into(),
        },
        Kind::Shared => match candidate.tmpfs.first() {
            Some(tmpfs) => words("tmpfs ").name(end_of(&tmpfs.at)),
            None => "shared memory or tmpfs".into(),
        },
        Kind::PageCache => files_and_bookkeeping(candidate, page),
        Kind::Kernel(part) => format!("the kernel's memory: {}", part.name()).into(),
        Kind::Cgroup => candidate.cgroup.as_ref().map(full).unwrap_or_default(),
        Kind::Slab(filling) => match filling {
            Filling::NegativeDentries => "names that do not exist (negative dentries)".into(),
            Filling::Dentries => "names of files (dentry)".into(),
            Filling::Inodes => words("inodes") + first_cache(candidate, |cache| !is_of_names(&cache.name)),
            Filling::Files => "open files (filp)".into(),
            Filling::Sockets => "sockets".into(),
            Filling::Kmalloc => words("the kernel's own objects") + first_cache(candidate, |_| true),
            Filling::Cache => words("slab objects") + first_cache(candidate, |_| true),
        },
    }
}

fn first_cache(candidate: &Candidate, is: fn(&CacheRow) -> bool) -> Sentence {
    let cache = candidate.caches.iter().find(|cache| is(cache));
    cache.map_or(" (caches unknown)".into(), |cache| in_brackets([cache]))
}

/// ` (buffer_head, ext4_extent_status)`.
fn in_brackets<'a>(caches: impl IntoIterator<Item = &'a CacheRow>) -> Sentence {
    let names = caches.into_iter().map(|cache| cache.name.as_bytes());
    Sentence::from(" (").names(names, ", ").words(")")
}

fn files_and_bookkeeping(candidate: &Candidate, page: &Page) -> Sentence {
    let words = match (page.has_files(candidate), candidate.caches.is_empty()) {
        (true, true) => return "page cache (data of files)".into(),
        (true, false) => "page cache and its bookkeeping",
        _ => "bookkeeping of files",
    };
    Sentence::from(words) + in_brackets(&candidate.caches)
}

/// `cgroup system.slice/x: 960 MiB of its limit of 1.0 GiB`.
fn full(cgroup: &FullCgroup) -> Sentence {
    let [used, limit] = [cgroup.limit.usage, cgroup.limit.bytes].map(human::bytes);
    Sentence::from("cgroup ").name(end_of(&cgroup.path)).words(format!(": {used} of its limit of {limit}"))
}

/// `java (pid 12)`, `php-fpm (412 processes)`.
fn of_command(command: &Command) -> Sentence {
    let several = match command.pid {
        Some(pid) => format!(" (pid {pid})"),
        None => format!(" ({})", human::processes(command.processes)),
    };
    Sentence::default().name(&*command.comm).words(several)
}

/// The end of a path that would take more than its share of a page.
fn end_of(path: &[u8]) -> Vec<u8> {
    const MOST: usize = 64;
    let mut start = path.len().saturating_sub(MOST);
    while path.get(start).is_some_and(|byte| byte & 0xc0 == 0x80) {
        start += 1;
    }
    let cut = if start > 0 { "…" } else { "" };
    [cut.as_bytes(), &path[start..]].concat()
}

/// Whose it is.
pub fn who(candidate: &Candidate, page: &Page) -> Sentence {
    if let Some(claim) = candidate.claims.first() {
        return of_claim(claim);
    }
    if let Some(command) = candidate.commands.first() {
        return of_command(command) + moved(command.growth, command.anon);
    }
    match (candidate.kind, &page.tracing.traced) {
        (Kind::Slab(_), Err(why)) => {
            Sentence::from("not known, since it was not traced: ") + Sentence::outside(why)
        }
        (Kind::Cgroup, _) => "the processes in it".into(),
        _ => match holder(candidate, &page.tracing) {
            Some(holder) => Sentence::from("mostly ").name(holder).words(", by what was allocated meanwhile"),
            None => "not known; --details says how to find out".into(),
        },
    }
}

/// `curl < probe.sh (212 processes): +1.9 k/s of dentry (365 KiB/s), 97% of its growth`.
fn of_claim(claim: &Claim) -> Sentence {
    let several = Some(claim.processes).filter(|&n| n != 1).map(|n| format!(" ({})", human::processes(n)));
    let ancestors = claim.started_by.iter().take(MAX_ANCESTORS);
    let comm = Sentence::default().name(&*claim.comm);
    let who = ancestors.fold(comm, |who, comm| who.words(" < ").name(&**comm));
    let share = claim.explains.map(|share| format!(", {} of its growth", human::percent(share)));
    who.words(format!("{}: {} of ", several.unwrap_or_default(), human::growth(claim.objects_per_s)))
        .name(claim.cache.as_bytes())
        .words(format!(" ({}/s){}", human::bytes(claim.bytes_per_s as u64), share.unwrap_or_default()))
}

/// `leaks slowly: python3 < bash: +266 /s of sigqueue (20.8 KiB/s); available memory lasts 13 d 8 h at this rate`.
pub fn slow(claim: &Claim, page: &Page) -> Sentence {
    let lasts = Duration::try_from_secs_f64(page.available as f64 / claim.bytes_per_s).ok();
    let lasts = lasts.filter(|time| *time < verdict::FAR).map(|time| bound(&human::duration(time)));
    let lasts = lasts.map(|time| format!("; available memory lasts {time} at this rate"));
    Sentence::from("leaks slowly: ") + of_claim(claim) + lasts.unwrap_or_default()
}

/// Where its objects are.
pub fn place_of(candidate: &Candidate) -> Option<Sentence> {
    let claim = candidate.claims.first()?;
    let place = Sentence::default().name(end_of(&place::path(claim.place.as_ref()?)));
    Some(match claim.negative.filter(|share| *share > 0.0) {
        None => place,
        Some(share) => place.words(format!("; {} of its names do not exist", human::percent(share))),
    })
}

fn holder<'a>(candidate: &Candidate, tracing: &'a Tracing) -> Option<&'a [u8]> {
    candidate.caches.iter().find_map(|cache| tracing.holder(&cache.name))
}

/// `: +12.0 MiB, now 38.1 GiB`.
fn moved(growth: i64, now: u64) -> String {
    format!(": {}, now {}", human::bytes_change(growth), human::bytes(now))
}

/// What did no harm, and why not.
pub fn harmless(candidate: &Candidate, page: &Page) -> Sentence {
    let by = holder(candidate, &page.tracing).map(|name| Sentence::from(", mostly by ").name(name));
    Sentence::from(if candidate.grows { "grew: " } else { "large: " })
        + what(candidate, page)
        + how(candidate, page)
        + by.unwrap_or_default()
        + ": "
        + why_harmless(candidate, page)
}

fn why_harmless(candidate: &Candidate, page: &Page) -> String {
    match (candidate.kind, &page.tracing.traced) {
        (Kind::PageCache, _) => "the kernel takes it back when programs need memory".to_owned(),
        (Kind::Slab(_), Ok(_)) if candidate.grows => {
            "the trace shows nobody who keeps taking more".to_owned()
        }
        (Kind::Slab(_), _) if candidate.grows => "it did not grow throughout, as a leak would".to_owned(),
        _ => match lasts(candidate, page) {
            Some(time) => format!("memory is not short; if it goes on, available memory lasts {time}"),
            None => "memory is not short".to_owned(),
        },
    }
}

/// What is short.
pub fn short(short: &Shortage, page: &Page) -> Vec<Sentence> {
    let available = short.available.map(|share| {
        let [available, total] = [page.available, page.total].map(human::bytes);
        format!("only {} of memory is available: {available} of {total}", human::percent(share)).into()
    });
    let stalled = short
        .stalled
        .map(|share| format!("tasks waited for memory {} of the time", human::cpu(share)).into());
    let cgroups = short.cgroups.iter().take(MAX_CLAIMS).map(full);
    available.into_iter().chain(stalled).chain(cgroups).collect()
}

/// Why it is one.
pub fn evidence(candidate: &Candidate, page: &Page) -> Vec<Sentence> {
    let mut lines: Vec<Sentence> = figures(candidate, page).into_iter().map(Sentence::from).collect();
    let claim = candidate.claims.first();
    lines.extend(claim.map(kept));
    lines.extend(candidate.caches.iter().map(of_cache));
    let doubts = claim.into_iter().flat_map(|claim| &claim.doubts);
    lines.extend(doubts.map(|doubt| format!("but {}", verdict::doubt(*doubt)).into()));
    let others = candidate.claims.iter().take(MAX_CLAIMS).skip(1);
    lines.extend(others.map(|claim| Sentence::from("also ") + of_claim(claim)));
    let others = candidate.commands.iter().skip(1);
    lines.extend(others.map(|command| of_command(command) + moved(command.growth, command.anon)));
    let tmpfs = candidate.tmpfs.iter();
    lines.extend(
        tmpfs.map(|tmpfs| Sentence::from("tmpfs ").name(end_of(&tmpfs.at)) + moved(tmpfs.growth, tmpfs.used)),
    );
    if candidate.kind == Kind::Shared && candidate.tmpfs.is_empty() {
        lines.push("not in a tmpfs mounted here: a memfd, System V or anonymous shared memory, or a container's tmpfs".into());
    }
    lines
}

/// How far it is beyond what is usual.
fn figures(candidate: &Candidate, page: &Page) -> Vec<String> {
    let bytes = human::bytes;
    let grew = candidate.grows.then(|| {
        let (rate, length) =
            (candidate.growth as f64 / page.length.as_secs_f64(), human::duration(page.length));
        let (growth, usual) = (bytes(candidate.growth.unsigned_abs()), bytes(candidate.usual_growth));
        format!(
            "grew by {growth} in {length} ({}/s); up to {usual} is usual here",
            human::bytes_change(rate as i64)
        )
    });
    let size = candidate.usual_bytes.filter(|_| candidate.is_big).map(|usual| {
        let share = human::percent(candidate.bytes as f64 / page.total.max(1) as f64);
        format!("uses {}, {share} of all memory; up to {} is usual", bytes(candidate.bytes), bytes(usual))
    });
    let names = candidate.negative.map(|(all, growth)| {
        format!("names that do not exist: {}, now {}", human::count_change(growth), human::grouped(all))
    });
    [grew, size, names].into_iter().flatten().collect()
}

/// `98% of what it took there is still held`.
fn kept(claim: &Claim) -> Sentence {
    match human::percent(claim.kept).as_str() {
        "100%" => "it gave nothing back of what it took there".into(),
        share => format!("{share} of what it took there is still held").into(),
    }
}

fn of_cache(cache: &CacheRow) -> Sentence {
    let reclaim = super::reclaimable(cache.reclaimable);
    let reclaim = if reclaim.is_empty() { String::new() } else { format!(", {reclaim}") };
    Sentence::default().name(cache.name.as_bytes()).words(format!(
        "{}: {} ({} objects), now {}{reclaim}",
        with_tail(b"", &merged(cache.aliases.len())),
        human::bytes_change(cache.growth),
        human::count_change(cache.objects_growth),
        human::bytes(cache.bytes)
    ))
}

/// How long what is available lasts at this rate.
fn lasts(candidate: &Candidate, page: &Page) -> Option<String> {
    page.lasts(candidate).filter(|time| *time < verdict::FAR).map(|time| bound(&human::duration(time)))
}

/// All memory by its largest parts: `free 8.8 GiB, processes 13.7 GiB, slab 38.5 GiB`.
pub fn parts(page: &Page) -> String {
    let named = page.largest_parts(MAX_PARTS).into_iter();
    let named = named.map(|row| format!("{} {}", row.part.name(), human::bytes(row.bytes.unsigned_abs())));
    named.collect::<Vec<_>>().join("; ")
}
