//! Waits for a condition, reading by reading.

use std::{collections::BTreeSet, time::Duration};

use super::{
    grammar::{Amount, Condition, Test, What},
    past::Past,
};
use crate::{
    procfs::{
        meminfo::Meminfo,
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
    /// Whether somebody leaks or floods.
    pub has_finding: Option<bool>,
}

/// A condition, whose name has been found.
#[derive(Clone, Debug)]
pub struct Watch {
    condition: Condition,
    /// None: a finding.
    figure: Option<Figure>,
    page_size: u64,
    past: Option<Past>,
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

impl Watch {
    pub(super) fn new(condition: Condition, figure: Option<Figure>, page_size: u64) -> Self {
        let within = match condition.what {
            What::Figure { test: Test::Grown(_, within) | Test::Shrunk(_, within), .. } => Some(within),
            _ => None,
        };
        Self { condition, figure, page_size, past: within.map(Past::of), held: None }
    }

    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Whether it needs readings of /proc/slabinfo.
    pub fn needs_slabinfo(&self) -> bool {
        matches!(self.figure, Some(Figure::Caches(_)))
    }

    #[cfg(test)]
    pub(super) fn figure(&self) -> Option<&Figure> {
        self.figure.as_ref()
    }

    /// Why the condition holds, in a sentence, if it begins to with this reading: at once, and again only after it did not hold for a minute.
    pub fn begins(&mut self, reading: &Reading<'_>) -> Option<String> {
        let why = self.holds(reading)?;
        let held = self.held.replace(reading.at);
        let is_again = held.is_some_and(|held| reading.at.saturating_sub(held) < REST);
        (!is_again).then_some(why)
    }

    /// Why it holds. None where it does not, or that cannot be told from this reading.
    fn holds(&mut self, reading: &Reading<'_>) -> Option<String> {
        let What::Figure { name, test, .. } = &self.condition.what else {
            return (reading.has_finding == Some(true)).then(|| "somebody leaks or floods".to_owned());
        };
        let value = value(self.figure.as_ref()?, reading, self.page_size)?;
        let (least, most) = self.past.as_mut().map_or((value, value), |past| past.add(reading.at, value));
        let all = reading.meminfo.map(Meminfo::total);
        let amount = match test.amount() {
            Amount::Bytes(bytes) => bytes,
            Amount::Share(share) => (share * all? as f64) as u64,
        };
        let name = escape::terminal(name.as_bytes());
        let is = || {
            let share = all.filter(|all| *all > 0).map(|all| human::percent(value as f64 / all as f64));
            let share = share.map(|share| format!(", {share} of all memory")).unwrap_or_default();
            format!("{name} is {}{share}", human::bytes(value))
        };
        let within = |time: Duration| format!("within {}", human::round_duration(time));
        match *test {
            Test::Over(_) => (value > amount).then(is),
            Test::Under(_) => (value < amount).then(is),
            Test::Grown(_, time) => (value - least >= amount)
                .then(|| format!("{name} has grown by {} {}", human::bytes(value - least), within(time))),
            Test::Shrunk(_, time) => (most - value >= amount)
                .then(|| format!("{name} has shrunk by {} {}", human::bytes(most - value), within(time))),
        }
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
