//! What triage found.

use std::time::Duration;

use super::{merged, with_tail};
use crate::{
    text::{escape, human},
    triage::{
        page::{Page, Signs},
        suspect::{Filling, Finding, Kind},
        window::Command,
    },
};

/// Signs are shown from these on.
const STALLED: f64 = 0.005;
/// Pages of all memory for one refault.
const PAGES_PER_REFAULT: u64 = 1000;
const SWAPPED_PAGES: u64 = 256;
const LARGE_BLOCKS: f64 = 0.05;

/// With steady growth, what is available lasts so long at most to be worth a word.
const SOON: Duration = Duration::from_secs(7 * 24 * 3600);

/// The one line that says it.
pub fn headline(page: &Page) -> String {
    match page.findings.first() {
        Some(suspect) => format!("SUSPECT: {}, {}", what(suspect), how(suspect)),
        None => {
            "SUSPECT: none. Nothing is unusually large, and nothing grew beyond this host's noise".to_owned()
        }
    }
}

fn how(finding: &Finding) -> String {
    let bytes = human::bytes(finding.bytes);
    match (finding.grows, finding.is_big) {
        (true, true) => format!("{bytes} and growing ({})", human::bytes_change(finding.growth)),
        (true, false) => format!("growing ({})", human::bytes_change(finding.growth)),
        _ => format!("{bytes}, not growing now"),
    }
}

/// What it is.
pub fn what(finding: &Finding) -> String {
    let first_cache = finding.caches.first();
    let cache = first_cache.map_or("caches unknown".into(), |cache| escape::terminal(cache.name.as_bytes()));
    match finding.kind {
        Kind::Processes => match finding.commands.first() {
            Some(command) => format!("processes' own memory: {}", who(command)),
            None => "processes' own memory".to_owned(),
        },
        Kind::Shared => match finding.tmpfs.first() {
            Some(tmpfs) => format!("tmpfs {}", escape::terminal(&tmpfs.at)),
            None => "shared memory or tmpfs".to_owned(),
        },
        Kind::PageCache => "page cache (file data; reclaimed when needed)".to_owned(),
        Kind::Kernel(part) => format!("kernel: {}", part.name()),
        Kind::Slab(filling) => match filling {
            Filling::NegativeDentries => "slab: negative dentries (names that do not exist)".to_owned(),
            Filling::Dentries => "slab: dentries (names of files)".to_owned(),
            Filling::Inodes => format!("slab: inodes ({cache})"),
            Filling::Files => "slab: open files (filp)".to_owned(),
            Filling::Sockets => "slab: sockets".to_owned(),
            Filling::Kmalloc => format!("slab: the kernel's own objects ({cache})"),
            Filling::Cache => format!("slab: {cache}"),
        },
    }
}

/// `java (pid 12)`, `php-fpm (412 processes)`.
fn who(command: &Command) -> String {
    let comm = escape::terminal(&command.comm);
    match (command.pid, command.processes) {
        (Some(pid), _) => format!("{comm} (pid {pid})"),
        (None, n) => format!("{comm} ({})", human::processes(n)),
    }
}

/// Why it is one.
pub fn evidence(finding: &Finding, page: &Page) -> Vec<String> {
    let seconds = page.length.as_secs_f64();
    let mut lines = Vec::new();
    if finding.grows {
        let times = finding.growth as f64 / finding.usual_growth.max(1) as f64;
        lines.push(format!(
            "grew steadily by {} in {} ({}/s): {times:.1} times the usual change here ({})",
            human::bytes(finding.growth.unsigned_abs()),
            human::duration(page.length),
            human::bytes_change((finding.growth as f64 / seconds) as i64),
            human::bytes(finding.usual_growth),
        ));
    }
    if let Some(usual) = finding.usual_bytes.filter(|_| finding.is_big) {
        lines.push(format!(
            "uses {}, {} of all memory; up to {} is usual",
            human::bytes(finding.bytes),
            human::percent(finding.bytes as f64 / page.total.max(1) as f64),
            human::bytes(usual),
        ));
    }
    lines.extend(finding.caches.iter().map(|cache| {
        format!(
            "{}: {} ({} objects), now {}",
            with_tail(cache.name.as_bytes(), &merged(cache.aliases.len())),
            human::bytes_change(cache.growth),
            human::count_change(cache.objects_growth),
            human::bytes(cache.bytes)
        )
    }));
    lines.extend(finding.negative.map(|(all, growth)| {
        format!(
            "negative dentries: {}, now {} (dentry-state)",
            human::count_change(growth),
            human::grouped(all)
        )
    }));
    lines.extend(finding.commands.iter().map(|command| {
        format!(
            "{}: {}, now {}",
            who(command),
            human::bytes_change(command.growth),
            human::bytes(command.anon)
        )
    }));
    lines.extend(finding.tmpfs.iter().map(|tmpfs| {
        format!(
            "tmpfs {}: {}, now {}",
            escape::terminal(&tmpfs.at),
            human::bytes_change(tmpfs.growth),
            human::bytes(tmpfs.used)
        )
    }));
    if finding.kind == Kind::Shared && finding.tmpfs.is_empty() {
        lines.push("not in a tmpfs mounted here: a memfd, System V or anonymous shared memory, or a container's tmpfs".to_owned());
    }
    lines.extend(time_left(finding, page));
    lines
}

fn time_left(finding: &Finding, page: &Page) -> Option<String> {
    let is_harmless = !finding.grows || finding.kind == Kind::PageCache;
    let per_s = finding.growth as f64 / page.length.as_secs_f64();
    let seconds = page.available as f64 / per_s;
    let is_soon = !is_harmless && seconds.is_finite() && (0.0..SOON.as_secs_f64()).contains(&seconds);
    is_soon.then(|| {
        let left = human::duration(Duration::from_secs_f64(seconds));
        format!("at this rate, available memory ({}) lasts {left}", human::bytes(page.available))
    })
}

/// Signs of memory pressure; empty where there are none.
pub fn signs(signs: &Signs, pages: u64) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(some) = signs.stalled.filter(|share| *share >= STALLED) {
        let all = signs.all_stalled.unwrap_or(0.0);
        lines.push(format!(
            "tasks stalled on memory {} of the time, all of them at once {} (pressure)",
            human::cpu(some),
            human::cpu(all)
        ));
    }
    if signs.direct_reclaims > 0 {
        lines.push(format!(
            "direct reclaim ran {} times; {} pages were reclaimed in total (vmstat)",
            human::grouped(signs.direct_reclaims),
            human::grouped(signs.reclaimed_pages)
        ));
    }
    if signs.refaults > pages / PAGES_PER_REFAULT {
        lines.push(format!(
            "{} pages were evicted and read again (workingset_refault)",
            human::grouped(signs.refaults)
        ));
    }
    if signs.swapped_in_pages + signs.swapped_out_pages >= SWAPPED_PAGES {
        let [out, back] = [signs.swapped_out_pages, signs.swapped_in_pages].map(human::grouped);
        lines.push(format!("{out} pages were swapped out, {back} swapped in"));
    }
    match (signs.oom_kills, signs.oom_kills_ever) {
        (0, 0) => {}
        (0, ever) => lines.push(format!("the OOM killer killed {} since boot", human::processes(ever))),
        (now, _) => lines.push(format!("the OOM killer killed {} during this run", human::processes(now))),
    }
    if let Some(share) = signs.large_blocks.filter(|share| *share < LARGE_BLOCKS || signs.compactions > 0) {
        lines.push(format!(
            "{} of free memory is in blocks of 64 KiB or more; tasks waited for larger blocks {} times (buddyinfo, compact_stall)",
            human::percent(share),
            human::grouped(signs.compactions)
        ));
    }
    lines
}
