//! Takes a census: what the slab holds now, and whose it is.

mod details;

use std::{
    collections::HashSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::task::JoinHandle;

use super::{
    error::SetupError,
    host::Host,
    options::{Options, TakeCensus},
    setup::check_privileges,
};
use crate::{
    attribution::cgroup::{Cgroups, Hierarchy},
    kernel::{
        census::{self as kernel_census, Sample, sample::Charge},
        clock,
        discover::{DiscoverError, Kernel},
        panel::Panel,
        slabs::SlabsError,
        symbols::Symbols,
    },
    procfs::{
        Files,
        slab::{self, ResolveError, SelectedCaches, SlabCaches, SlabError},
    },
    select::{ALL, Select},
    stream::event::Address,
    view::{
        Census,
        census::{
            By, Now,
            build::{CountedCache, Inputs, build},
        },
    },
};

/// What to find out.
#[derive(Clone, Debug)]
pub struct CensusOptions {
    /// As after `--cache`.
    pub caches: Vec<String>,
    pub excluded_caches: Vec<String>,
    pub by: Vec<By>,
    /// Half the width of the interval of what is half of all that is asked for.
    pub error: f64,
    pub seed: u64,
    /// It takes no more of a CPU, and ends then with what it has.
    pub cpu_time: Duration,
    /// Also find out what no recording has: unused dentries and inodes, and who has files open.
    pub has_details: bool,
}

impl Default for CensusOptions {
    fn default() -> Self {
        Self {
            caches: vec![ALL.to_owned()],
            excluded_caches: Vec::new(),
            by: vec![By::Cache, By::Cgroup, By::Place],
            error: 0.02,
            seed: fastrand::u32(..).into(),
            cpu_time: Duration::from_secs(1),
            has_details: true,
        }
    }
}

/// Less slab than this is nobody's concern: bytes, or a share of all memory.
const LEAST_BYTES: u64 = 256 << 20;
const LEAST_SHARE: f64 = 0.02;

/// What a session learns of what is there before it.
pub struct AtStart {
    pub census: Result<Census, CensusError>,
    /// To be looked at once more at the end, and the objects that are in it now. None where that would tell nothing.
    pub panel: Option<(Panel, HashSet<Address>)>,
}

/// Whether a session takes one at its start.
pub(super) fn is_wanted(options: &Options) -> bool {
    match options.census {
        TakeCensus::Never => false,
        TakeCensus::IfMuch => is_much().unwrap_or(false),
        TakeCensus::Always => true,
    }
}

/// Beside a session, which does not need it, and knows the kernel. A panel is of these caches.
pub(super) fn of_session(options: &Options, kernel: &Kernel, traced: &HashSet<Address>) -> Taking<AtStart> {
    let options = options_of(options);
    let (facts, traced) = (kernel.facts(), traced.clone());
    Taking::of(move |goes_on| {
        let kernel = match facts.open() {
            Ok(kernel) => kernel,
            Err(why) => return AtStart { census: Err(why.into()), panel: None },
        };
        let census = take(&options, &kernel, goes_on);
        // Last, so that little time passes before frees are compared with it.
        let panel = (!traced.is_empty()).then(|| Panel::choose(&kernel, traced, options.seed, goes_on));
        AtStart { census, panel: panel.and_then(Result::ok) }
    })
}

/// Of the caches that a session traces, and no more than a recording has of it.
pub(super) fn options_of(options: &Options) -> CensusOptions {
    let Select { excluded_caches, .. } = &options.select;
    CensusOptions {
        caches: options.select.cache_patterns(),
        excluded_caches: excluded_caches.clone(),
        has_details: false,
        ..CensusOptions::default()
    }
}

/// One more beside a session.
pub struct Further {
    pub census: Result<Census, CensusError>,
    /// Of a CPU.
    pub took: Duration,
}

pub(super) fn further(options: CensusOptions, kernel: &Kernel) -> Taking<Further> {
    let facts = kernel.facts();
    Taking::of(move |goes_on| {
        let start = clock::of_this_thread();
        let kernel = facts.open().map_err(CensusError::from);
        let census = kernel.and_then(|kernel| take(&options, &kernel, goes_on));
        Further { census, took: clock::of_this_thread().saturating_sub(start) }
    })
}

fn is_much() -> Option<bool> {
    let meminfo = Files::live().meminfo().ok()?;
    let slab = meminfo.slab_memory()?.slab;
    Some(slab >= LEAST_BYTES && slab as f64 >= meminfo.total() as f64 * LEAST_SHARE)
}

/// Whether so much slab is worth a census that nobody asked for.
pub fn is_worth_it(slab: u64, total: u64) -> bool {
    slab >= LEAST_BYTES || slab as f64 >= total as f64 * LEAST_SHARE
}

#[derive(Debug, thiserror::Error)]
pub enum CensusError {
    #[error(transparent)]
    Privileges(#[from] SetupError),
    #[error(transparent)]
    Slab(#[from] SlabError),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    #[error("there can be no census: {0}\n`memtrace caches` says how large each cache is")]
    Kernel(#[from] SlabsError),
}

/// What is being found out by a thread of its own.
pub struct Taking<T> {
    result: JoinHandle<T>,
    is_over: Arc<AtomicBool>,
}

impl Taking<Result<Census, CensusError>> {
    pub fn start(options: CensusOptions) -> Self {
        Self::of(move |goes_on| {
            check_privileges()?;
            take(&options, &Kernel::discover(&[])?, goes_on)
        })
    }
}

impl<T: Send + 'static> Taking<T> {
    /// What is found out is to end early when it is told that it need not go on.
    fn of(find: impl FnOnce(&mut dyn FnMut() -> bool) -> T + Send + 'static) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let mut goes_on = move || !flag.load(Ordering::Relaxed);
        Self { result: tokio::task::spawn_blocking(move || find(&mut goes_on)), is_over }
    }

    /// Ends it early: what was seen so far counts.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub async fn result(&mut self) -> T {
        match (&mut self.result).await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// `goes_on` is asked all the time: false ends it with what was seen so far.
fn take(
    options: &CensusOptions,
    kernel: &Kernel,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<Census, CensusError> {
    let files = Files::live();
    let before = files.slab_caches()?;
    let mut selection = slab::resolve_without(&options.caches, &options.excluded_caches, &before)?;
    // What it takes is a list then.
    selection.all &= selection.excluded.is_empty();
    let mut sample = kernel_census::take(kernel, &kernel_options(options, &selection, kernel), goes_on)?;
    name_pointers(&mut sample);
    let no_holders = if options.has_details { details::find_holders(&mut sample) } else { None };
    let (mut cgroups, no_names) = cgroups(&sample);
    let unused = options.has_details.then(|| details::unused(kernel, &selection, &mut cgroups));
    let host = Host::read();
    let mut census = build(&Inputs {
        sample: &sample,
        counted: &counted(&before, &files, &selection),
        takes_all: selection.all,
        by: &options.by,
        error: options.error,
        page_size: rustix::param::page_size() as u64,
        now: Now { time: SystemTime::now(), uptime: Duration::from_nanos(clock::now()) },
        host: &host.name,
        kernel: &host.kernel,
        cgroup: &|id| cgroups.path(id).map(<[u8]>::to_vec),
    });
    match unused {
        None => {}
        Some(Ok(unused)) => census.unused = unused,
        Some(Err(why)) => census.notes.push(format!("unused dentries and inodes are not counted: {why}")),
    }
    census.notes.splice(0..0, selection.notes);
    census.notes.extend(before.missing.as_ref().map(ToString::to_string));
    census.notes.extend(no_names.map(|why| format!("cgroups have no names: {why}")));
    census.notes.extend(uncharged());
    census.notes.extend(no_holders);
    if options.has_details {
        details::date(&mut census);
        if selection.all && options.by == [By::Cgroup] {
            details::count_cgroups(&mut census);
        }
    }
    Ok(census)
}

/// Says what objects point to that have no names. Where the kernel hides its symbols, nothing tells them apart.
fn name_pointers(sample: &mut Sample) {
    let slots = || sample.caches.iter().flat_map(|cache| &cache.pages).flat_map(|page| &page.slots);
    if slots().all(|slot| slot.words.is_empty()) {
        return;
    }
    let Ok(symbols) = Symbols::read() else { return };
    let pages = sample.caches.iter_mut().flat_map(|cache| &mut cache.pages);
    for slot in pages.flat_map(|page| &mut page.slots) {
        slot.points_to = slot.words.iter().find_map(|&word| symbols.beginning_at(word));
    }
}

fn kernel_options(
    options: &CensusOptions,
    selection: &SelectedCaches,
    kernel: &Kernel,
) -> kernel_census::Options {
    let selected = kernel.caches.iter().filter(|cache| !selection.all && selection.contains(&cache.name));
    kernel_census::Options {
        error: options.error,
        seed: options.seed,
        cpu_time: options.cpu_time,
        caches: selected.map(|cache| cache.address).collect(),
    }
}

/// What slabinfo said before, and says now.
fn counted(before: &SlabCaches, files: &Files, selection: &SelectedCaches) -> Vec<CountedCache> {
    let mut after = SlabCaches { caches: before.caches.clone(), missing: None };
    if let Ok(lines) = files.slabinfo() {
        after.update(&lines);
    }
    let selected =
        before.caches.iter().zip(&after.caches).filter(|(cache, _)| selection.contains(&cache.name));
    let counted = selected.map(|(before, after)| CountedCache {
        name: before.name.clone(),
        aliases: before.aliases.clone(),
        reclaimable: before.reclaimable,
        before: before.counts,
        after: after.counts,
    });
    counted.collect()
}

/// Those that objects are charged to; why they have no names, if they have none.
fn cgroups(sample: &Sample) -> (Cgroups, Option<String>) {
    let (hierarchy, why) = match Hierarchy::find() {
        Ok(hierarchy) => {
            let why = hierarchy.why_nameless().map(str::to_owned);
            (Some(hierarchy), why)
        }
        Err(why) => (None, Some(why.to_string())),
    };
    let mut cgroups = Cgroups::new(hierarchy);
    let slots = sample.caches.iter().flat_map(|cache| &cache.pages).flat_map(|page| &page.slots);
    for slot in slots {
        match slot.charge {
            Charge::Cgroup(id) | Charge::Removed { ancestor: id, .. } => cgroups.learn(id),
            Charge::Nobody | Charge::Unknown => {}
        }
    }
    (cgroups, why)
}

/// Why nothing is charged, where the host was told so.
fn uncharged() -> Option<String> {
    let line = fs::read_to_string("/proc/cmdline").ok()?;
    let is_off = |option: &str| {
        let value = option.strip_prefix("cgroup.memory=").unwrap_or_default();
        value.split(',').any(|part| part == "nokmem") || option == "cgroup_disable=memory"
    };
    let option = line.split_ascii_whitespace().find(|option| is_off(option))?;
    Some(format!("objects are charged to no cgroup: the kernel was started with {option}"))
}
