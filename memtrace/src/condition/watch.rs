//! Waits for a condition, reading by reading.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    falling::Falling,
    grammar::{Amount, Condition, Test, What},
    past::Past,
};
use crate::{
    procfs::{
        meminfo::Meminfo,
        memory_events::{MemoryEvent, MemoryEvents},
        pressure::Pressure,
        slab::{SlabinfoLine, root_name},
    },
    text::{escape, human},
};

/// A condition that did not hold for so long may begin to hold again.
const REST: Duration = Duration::from_secs(60);

/// What was read of a host at one moment. Of what was not read now, nothing is known.
#[derive(Clone, Copy, Default)]
pub struct Reading<'a> {
    /// On a clock that never goes back.
    pub at: Duration,
    pub meminfo: Option<&'a Meminfo>,
    pub slabinfo: Option<&'a [SlabinfoLine]>,
    pub pressure: Option<Pressure>,
    pub events: Option<&'a MemoryEvents>,
    /// Whether somebody leaks or floods.
    pub has_finding: Option<bool>,
}

/// What a condition needs of a reading, beside /proc/meminfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Meminfo,
    Slabinfo,
    Pressure,
    Events,
    Finding,
}

/// Whether a condition holds, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Or that cannot be told from this reading.
    No,
    /// As before, or again within a minute.
    GoesOn,
    Begins(String),
}

/// A condition, whose name has been found.
#[derive(Clone, Debug)]
pub struct Watch {
    condition: Condition,
    /// None: the condition is of something else.
    figure: Option<Figure>,
    page_size: u64,
    memory: Memory,
    /// When it held last.
    held: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Figure {
    /// A line of /proc/meminfo.
    Meminfo(String),
    /// Memory of these caches, by the kernel's names.
    Caches(BTreeSet<String>),
}

/// What a condition has to remember.
#[derive(Clone, Debug)]
enum Memory {
    Nothing,
    Past(Past),
    Falling(Falling),
    /// How often an event was counted, by cgroup. None before the first reading.
    Counts(Option<BTreeMap<Vec<u8>, u64>>),
}

impl Memory {
    fn of(what: &What) -> Self {
        match what {
            What::Figure { test: Test::Grown(_, within) | Test::Shrunk(_, within), .. } => {
                Self::Past(Past::of(*within))
            }
            What::Figure { test: Test::Lasts(within), .. } => Self::Falling(Falling::of(*within)),
            What::Event(_) => Self::Counts(None),
            What::Finding | What::Pressure(_) | What::Figure { .. } => Self::Nothing,
        }
    }
}

impl Watch {
    pub(super) fn new(condition: Condition, figure: Option<Figure>, page_size: u64) -> Self {
        let memory = Memory::of(&condition.what);
        Self { condition, figure, page_size, memory, held: None }
    }

    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    pub fn source(&self) -> Source {
        match (&self.condition.what, &self.figure) {
            (What::Finding, _) => Source::Finding,
            (What::Pressure(_), _) => Source::Pressure,
            (What::Event(_), _) => Source::Events,
            (What::Figure { .. }, Some(Figure::Caches(_))) => Source::Slabinfo,
            (What::Figure { .. }, _) => Source::Meminfo,
        }
    }

    #[cfg(test)]
    pub(super) fn figure(&self) -> Option<&Figure> {
        self.figure.as_ref()
    }

    /// Why the condition holds, in a sentence, if it begins to with this reading: at once, and again only after it did not hold for a minute.
    pub fn begins(&mut self, reading: &Reading<'_>) -> Option<String> {
        match self.take(reading) {
            Holding::Begins(why) => Some(why),
            Holding::GoesOn | Holding::No => None,
        }
    }

    /// Takes a reading.
    pub fn take(&mut self, reading: &Reading<'_>) -> Holding {
        let Some(why) = self.holds(reading) else { return Holding::No };
        let held = self.held.replace(reading.at);
        let is_again = held.is_some_and(|held| reading.at.saturating_sub(held) < REST);
        if is_again { Holding::GoesOn } else { Holding::Begins(why) }
    }

    /// Why it holds. None where it does not, or that cannot be told from this reading.
    fn holds(&mut self, reading: &Reading<'_>) -> Option<String> {
        let Self { condition, figure, page_size, memory, .. } = self;
        match &condition.what {
            What::Finding => {
                (reading.has_finding == Some(true)).then(|| "somebody leaks or floods".to_owned())
            }
            What::Pressure(over) => {
                let share = reading.pressure?.some.avg10 / 100.0;
                let why = || format!("tasks wait for memory for {} of the time", human::percent(share));
                (share > *over).then(why)
            }
            What::Event(event) => memory.counted_again(*event, reading.events?),
            What::Figure { name, test, .. } => {
                let value = value(figure.as_ref()?, reading, *page_size)?;
                compared(name, *test, value, reading, memory)
            }
        }
    }
}

impl Memory {
    /// Why an event counts: where it was counted again, in the innermost of the cgroups that are known. A cgroup that is new begins at 0.
    fn counted_again(&mut self, event: MemoryEvent, events: &MemoryEvents) -> Option<String> {
        let Self::Counts(counts) = self else { return None };
        let now: BTreeMap<_, _> = events.counts(event).map(|(path, count)| (path.to_vec(), count)).collect();
        let was = counts.replace(now.clone())?;
        let more = |(path, count): (&Vec<u8>, &u64)| {
            let more = count.saturating_sub(was.get(path).copied().unwrap_or(0));
            (more > 0).then(|| (path.clone(), more))
        };
        let (path, more) = now.iter().filter_map(more).max_by_key(|(path, _)| path.len())?;
        let of = match &path[..] {
            [] => "on the host".to_owned(),
            path => format!("in /{}", escape::terminal(path)),
        };
        Some(format!("{} has risen by {more} {of}", event.into_str()))
    }
}

/// Why a figure that is so much meets its test.
fn compared(
    name: &str,
    test: Test,
    value: u64,
    reading: &Reading<'_>,
    memory: &mut Memory,
) -> Option<String> {
    let name = escape::terminal(name.as_bytes());
    let all = reading.meminfo.map(Meminfo::total);
    let amount = |amount| match amount {
        Amount::Bytes(bytes) => Some(bytes),
        Amount::Share(share) => Some((share * all? as f64) as u64),
    };
    let is = || {
        let share = all.filter(|all| *all > 0).map(|all| human::percent(value as f64 / all as f64));
        let share = share.map(|share| format!(", {share} of all memory")).unwrap_or_default();
        format!("{name} is {}{share}", human::bytes(value))
    };
    let within = |time: Duration| format!("within {}", human::round_duration(time));
    match (test, memory) {
        (Test::Over(over), _) => (value > amount(over)?).then(is),
        (Test::Under(under), _) => (value < amount(under)?).then(is),
        (Test::Grown(by, time), Memory::Past(past)) => {
            let (least, _) = past.add(reading.at, value);
            (value - least >= amount(by)?)
                .then(|| format!("{name} has grown by {} {}", human::bytes(value - least), within(time)))
        }
        (Test::Shrunk(by, time), Memory::Past(past)) => {
            let (_, most) = past.add(reading.at, value);
            (most - value >= amount(by)?)
                .then(|| format!("{name} has shrunk by {} {}", human::bytes(most - value), within(time)))
        }
        (Test::Lasts(_), Memory::Falling(falling)) => {
            let lasts = falling.add(reading.at, value)?;
            Some(format!("{}, and lasts {} at this rate", is(), human::duration(lasts)))
        }
        (Test::Grown(..) | Test::Shrunk(..) | Test::Lasts(_), _) => None,
    }
}

fn value(figure: &Figure, reading: &Reading<'_>, page_size: u64) -> Option<u64> {
    match figure {
        Figure::Meminfo(line) => reading.meminfo?.bytes(line),
        Figure::Caches(names) => {
            let is_one =
                |line: &&SlabinfoLine| names.contains(&line.name) || names.contains(root_name(&line.name));
            let pages = |line: &SlabinfoLine| line.slabs.saturating_mul(line.pages_per_slab);
            let pages = reading.slabinfo?.iter().filter(is_one).map(pages).fold(0, u64::saturating_add);
            Some(pages.saturating_mul(page_size))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::super::parse::parse;
    use super::*;

    const M: u64 = 1 << 20;

    fn watch(text: &str, figure: Option<Figure>) -> Watch {
        Watch::new(parse(text).unwrap(), figure, 4096)
    }

    fn of_slab(text: &str) -> Watch {
        watch(text, Some(Figure::Meminfo("Slab".to_owned())))
    }

    fn meminfo(slab: u64) -> Meminfo {
        Meminfo::parse(format!("MemTotal: {} kB\nSlab: {} kB\n", M, slab >> 10).as_bytes())
    }

    fn at(seconds: u64, meminfo: &Meminfo) -> Reading<'_> {
        Reading { at: Duration::from_secs(seconds), meminfo: Some(meminfo), ..Reading::default() }
    }

    /// What is said of slabs of so many MiB, a second apart.
    fn said(text: &str, slabs: &[u64]) -> Vec<Option<String>> {
        let mut watch = of_slab(text);
        let slabs = (1..).zip(slabs);
        slabs.map(|(second, slab)| watch.begins(&at(second, &meminfo(slab * M)))).collect()
    }

    #[test]
    fn it_says_once_why_it_holds() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            said("slab > 100M", &[100, 101, 102, 99, 103]),
            [None, some("slab is 101 MiB, 10% of all memory"), None, None, None]
        );
        assert_eq!(said("slab > 10%", &[102, 103])[1], some("slab is 103 MiB, 10% of all memory"));
        assert_eq!(said("slab < 10%", &[103, 102])[1], some("slab is 102 MiB, 10% of all memory"));
        assert_eq!(
            said("slab +50M/3s", &[10, 40, 30, 59, 80]),
            [None, None, None, None, some("slab has grown by 50.0 MiB within 3 s")]
        );
        assert_eq!(
            said("slab -50M/3s", &[10, 70, 30, 20, 20]),
            [None, None, None, some("slab has shrunk by 50.0 MiB within 3 s"), None]
        );
    }

    #[test]
    fn it_begins_again_after_a_minute() {
        let mut watch = of_slab("slab > 100M");
        let (high, low) = (meminfo(200 * M), meminfo(M));
        assert!(watch.begins(&at(1, &high)).is_some());
        assert!(watch.begins(&at(2, &low)).is_none());
        assert!(watch.begins(&at(60, &high)).is_none(), "it held a minute ago");
        assert!(watch.begins(&at(61, &low)).is_none());
        assert!(watch.begins(&at(120, &high)).is_some());
    }

    #[test]
    fn caches_are_added_up_and_need_their_reading() {
        let names = ["dentry", "filp"].map(str::to_owned).into();
        let mut watch = watch("x > 100M", Some(Figure::Caches(names)));
        let line = |name: &str, mib: u64| SlabinfoLine {
            name: name.to_owned(),
            active_objs: 0,
            num_objs: 0,
            objsize: 0,
            objs_per_slab: 0,
            pages_per_slab: 2,
            slabs: mib * M / 8192,
        };
        let mut begins = |lines: &[SlabinfoLine]| {
            let low = meminfo(M);
            watch.begins(&Reading { slabinfo: Some(lines), ..at(1, &low) })
        };
        assert!(begins(&[line("dentry", 60), line("filp", 40), line("kmalloc-64", 500)]).is_none());
        assert!(begins(&[line("dentry", 60), line("dentry(12:a)", 10), line("filp", 31)]).is_some());
        assert!(watch.begins(&at(500, &meminfo(900 * M))).is_none(), "nothing is known of caches");
    }

    #[test]
    fn what_lasts_not_long_enough() {
        let mut watch = watch("available lasts < 1m", Some(Figure::Meminfo("MemAvailable".to_owned())));
        let said: Vec<_> = (0..90)
            .filter_map(|second| {
                let kib = 11_650 * (90 - second) + 5_825;
                let meminfo =
                    Meminfo::parse(format!("MemTotal: {M} kB\nMemAvailable: {kib} kB\n").as_bytes());
                Some((second, watch.begins(&at(second, &meminfo))?))
            })
            .collect();
        let why = "available is 677 MiB, 66% of all memory, and lasts 59.5 s at this rate";
        assert_eq!(said, [(31, why.to_owned())]);
    }

    #[test]
    fn pressure() {
        let mut watch = watch("pressure > 10%", None);
        assert_eq!(watch.source(), Source::Pressure);
        let mut at = |avg10| {
            let text = format!("some avg10={avg10} avg60=0.00 avg300=0.00 total=1\n");
            watch.begins(&Reading { pressure: Pressure::parse(text.as_bytes()), ..Reading::default() })
        };
        assert_eq!((at("10.00"), at("none")), (None, None));
        assert_eq!(at("10.60").as_deref(), Some("tasks wait for memory for 11% of the time"));
    }

    #[test]
    fn events_count_from_the_second_reading_on() {
        let root = tempfile::tempdir().unwrap();
        let read = |kills: u64, of_service: Option<u64>| {
            let directory = root.path().join("system.slice/cron.service");
            std::fs::create_dir_all(&directory).unwrap();
            if let Some(of_service) = of_service {
                std::fs::write(directory.join("memory.events"), format!("oom_kill {of_service}\n")).unwrap();
            }
            let proc = root.path().join("proc/self");
            std::fs::create_dir_all(&proc).unwrap();
            let mount = format!("35 31 0:32 / {} rw - cgroup2 cgroup2 rw\n", root.path().display());
            std::fs::write(proc.join("mountinfo"), mount).unwrap();
            std::fs::write(root.path().join("proc/vmstat"), format!("oom_kill {kills}\n")).unwrap();
            crate::procfs::Files::at(root.path()).memory_events()
        };
        let mut watch = watch("memory.events oom_kill", None);
        let mut begins = |at: u64, events: MemoryEvents| {
            watch.begins(&Reading {
                at: Duration::from_secs(at),
                events: Some(&events),
                ..Reading::default()
            })
        };
        assert_eq!(begins(0, read(7, None)), None, "from before");
        assert_eq!(begins(10, read(7, None)), None);
        assert_eq!(begins(20, read(9, None)).as_deref(), Some("oom_kill has risen by 2 on the host"));
        assert_eq!(
            begins(200, read(10, Some(1))).as_deref(),
            Some("oom_kill has risen by 1 in /system.slice/cron.service")
        );
        assert_eq!(begins(300, read(10, Some(1))), None);
    }

    #[test]
    fn what_goes_on_is_told_from_what_begins() {
        let mut watch = of_slab("slab > 100M");
        let (high, low) = (meminfo(200 * M), meminfo(M));
        assert!(matches!(watch.take(&at(1, &high)), Holding::Begins(_)));
        assert_eq!(watch.take(&at(100, &low)), Holding::No);
        assert!(matches!(watch.take(&at(200, &high)), Holding::Begins(_)));
        assert_eq!(watch.take(&at(210, &high)), Holding::GoesOn);
    }

    #[test]
    fn a_finding() {
        let mut watch = watch("finding", None);
        let reading = |has_finding| Reading { has_finding, ..Reading::default() };
        assert!(watch.begins(&reading(None)).is_none() && watch.begins(&reading(Some(false))).is_none());
        assert_eq!(watch.begins(&reading(Some(true))).as_deref(), Some("somebody leaks or floods"));
    }

    proptest! {
        /// Over and under are never both true, and each says what anybody would.
        #[test]
        fn comparisons(slabs in vec(0_u64..2_000, 1..40), limit in 1_u64..2_000) {
            let over = said(&format!("slab > {limit}M"), &slabs);
            let under = said(&format!("slab < {limit}M"), &slabs);
            let first = |is: &dyn Fn(u64) -> bool| slabs.iter().position(|slab| is(*slab));
            prop_assert_eq!(over.iter().position(Option::is_some), first(&|slab| slab > limit));
            prop_assert_eq!(under.iter().position(Option::is_some), first(&|slab| slab < limit));
        }

        /// Readings are a second apart, so that parts of two minutes are exact.
        #[test]
        fn growth(slabs in vec(0_u64..500, 1..300), by in 1_u64..500) {
            let grown = said(&format!("slab +{by}M/2m"), &slabs).iter().position(Option::is_some);
            let is = |at: usize| {
                let within = &slabs[(at + 1).saturating_sub(120)..=at];
                slabs[at] - within.iter().min().unwrap() >= by
            };
            prop_assert_eq!(grown, (0..slabs.len()).find(|at| is(*at)));
        }
    }
}
