//! Many censuses of one kernel, each with a seed of its own: `kernel-tests --seeds 200`. How often their intervals hold what slabinfo says,
//! and what they cost.

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use memtrace::{
    kernel::{
        census::{self, Options, sample::Cost},
        clock,
        discover::Kernel,
    },
    procfs::{Files, slab::SlabCaches},
    view::census::{
        By, CacheCensus, Now,
        build::{CountedCache, Inputs, build},
    },
};

/// The program's first argument; how many follows.
pub const FLAG: &str = "--seeds";

/// Smaller caches have too few pages in a census.
const LEAST_SHARE: f64 = 0.01;

/// Runs if the arguments ask for it.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != FLAG {
        return None;
    }
    compare(arguments.next()?.parse().expect("a number of seeds"));
    Some(ExitCode::SUCCESS)
}

/// What came of a cache in all censuses.
#[derive(Default)]
struct Tally {
    censuses: u64,
    held: u64,
    /// Of the sample's bytes to slabinfo's.
    ratios: f64,
}

#[derive(Default)]
struct Costs {
    censuses: u32,
    frames: u64,
    pages: u64,
    cpu_time: Duration,
    scanning: Duration,
    longest_run: Duration,
    slowest: Duration,
}

fn compare(seeds: u64) {
    let kernel = Kernel::discover(&[]).expect("sessions find it too");
    let (mut tallies, mut costs) = (BTreeMap::new(), Costs::default());
    for seed in 0..seeds {
        let before = Files::live().slab_caches().expect("root may read slabinfo");
        let options = Options { seed, ..Options::default() };
        let sample =
            census::take(&kernel, &options, &mut || true).expect("this kernel's slabs are understood");
        let after = Files::live().slab_caches().expect("root may read slabinfo");
        let counted = counted(&before, &after);
        let census = build(&Inputs {
            sample: &sample,
            counted: &counted,
            takes_all: true,
            by: &[By::Cache],
            error: options.error,
            page_size: rustix::param::page_size() as u64,
            now: Now { time: SystemTime::now(), uptime: Duration::from_nanos(clock::now()) },
            host: "",
            kernel: "",
            cgroup: &|_| None,
        });
        costs.add(sample.drawn, census.slab_pages, sample.cost);
        let all = census.bytes() as f64;
        for cache in census.caches.iter().filter(|cache| cache.bytes as f64 >= all * LEAST_SHARE) {
            let counts = counted.iter().find(|counted| counted.name == cache.name).expect("it was counted");
            tally(tallies.entry(cache.name.clone()).or_default(), cache, counts, census.page_size);
        }
    }
    for (name, Tally { censuses, held, ratios }) in &tallies {
        println!(
            "{name:<24} held in {held} of {censuses}, on average {:.4} of slabinfo's",
            ratios / *censuses as f64
        );
    }
    costs.print();
}

fn counted(before: &SlabCaches, after: &SlabCaches) -> Vec<CountedCache> {
    let pairs = before.caches.iter().filter_map(|before| {
        let after = after.caches.iter().find(|after| after.name == before.name)?;
        Some(CountedCache {
            name: before.name.clone(),
            before: before.counts,
            after: after.counts,
            ..CountedCache::default()
        })
    });
    pairs.collect()
}

/// What is between the two counts is the truth.
fn tally(tally: &mut Tally, cache: &CacheCensus, counts: &CountedCache, page_size: u64) {
    let (Some(before), Some(after)) = (counts.before, counts.after) else { return };
    let [before, after] = [before, after].map(|counts| counts.pages * page_size);
    let (low, high) = cache.sampled_bytes_ci95;
    tally.censuses += 1;
    tally.held += u64::from(low <= before.max(after) && before.min(after) <= high);
    tally.ratios += cache.sampled_bytes as f64 / after as f64;
}

impl Costs {
    fn add(&mut self, frames: u64, pages: u64, cost: Cost) {
        self.censuses += 1;
        self.frames += frames;
        self.pages += pages;
        self.cpu_time += cost.cpu_time;
        self.scanning += cost.scanning;
        self.longest_run = self.longest_run.max(cost.longest_run);
        self.slowest = self.slowest.max(cost.elapsed);
    }

    fn print(&self) {
        let each = |time: Duration, of: u64| time.as_nanos() as u64 / of.max(1);
        println!(
            "{} frames and {} pages of slabs a census, {:?} of a CPU, {:?} at most by the clock; {} ns a frame, {} ns a page of a \
             slab with two objects; the longest run {:?}",
            self.frames / u64::from(self.censuses.max(1)),
            self.pages / u64::from(self.censuses.max(1)),
            self.cpu_time / self.censuses.max(1),
            self.slowest,
            each(self.scanning, self.frames),
            each(self.cpu_time.saturating_sub(self.scanning), self.pages),
            self.longest_run,
        );
    }
}
