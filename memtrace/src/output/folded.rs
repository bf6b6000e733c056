//! Folded stacks: `comm;outermost;...;innermost;cache count`, a line each, as flamegraph.pl, inferno and speedscope read
//! them; of a difference with two counts, before and after, as difffolded.pl writes them.
//!
//! Semicolons part the names and the last blank stands before the count, so neither is left where it could be taken for that. Two
//! numbers at the end mean a difference: a cache's name has no blank at all.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use crate::{
    text::escape,
    view::profile::{Profile, Sample, Weight},
};

/// Writes the stacks that have something of this weight, in order.
pub fn write(profile: &Profile, weight: Weight, out: &mut impl Write) -> io::Result<()> {
    stacks(profile, weight).into_iter().try_for_each(|(stack, count)| writeln!(out, "{stack} {count}"))
}

/// Writes the stacks that have something of this weight in one of two profiles, in order.
pub fn write_difference(
    before: &Profile,
    after: &Profile,
    weight: Weight,
    out: &mut impl Write,
) -> io::Result<()> {
    let lines = differences(before, after, weight);
    lines.into_iter().try_for_each(|(stack, [before, after])| writeln!(out, "{stack} {before} {after}"))
}

/// How much of a weight the stacks have before and after that have any of it.
pub(super) fn differences(before: &Profile, after: &Profile, weight: Weight) -> BTreeMap<String, [u64; 2]> {
    let mut both: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for (at, profile) in [before, after].into_iter().enumerate() {
        for (stack, count) in stacks(profile, weight) {
            both.entry(stack).or_default()[at] = count;
        }
    }
    both
}

/// How much of a weight the stacks have that have any of it.
pub(super) fn stacks(profile: &Profile, weight: Weight) -> BTreeMap<String, u64> {
    let mut stacks: BTreeMap<String, u64> = BTreeMap::new();
    for sample in profile.samples.iter().filter(|sample| weight.value(sample) > 0) {
        let count = stacks.entry(names(sample).join(";")).or_default();
        *count = count.saturating_add(weight.value(sample));
    }
    stacks
}

/// What is in a stack's line, harmless there: the command, the calls from outside in, the cache.
pub(super) fn names(sample: &Sample) -> Vec<String> {
    let calls = sample.frames.iter().rev().map(|name| escape::folded(name.as_bytes()));
    let cache = escape::folded(sample.cache.as_bytes()).replace(' ', "\\x20");
    std::iter::once(escape::folded(&sample.comm)).chain(calls).chain([cache]).collect()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;
    use crate::output::sample;

    fn text(profile: &Profile, weight: Weight) -> String {
        let mut out = Vec::new();
        write(profile, weight, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn outstanding_bytes() {
        assert_snapshot!(text(&sample::profile(), Weight::default()));
    }

    #[test]
    fn allocated_objects() {
        assert_snapshot!(text(&sample::profile(), Weight::AllocatedObjects));
    }

    #[test]
    fn hostile_names() {
        assert_snapshot!(text(&sample::hostile_profile(), Weight::Objects));
    }

    #[test]
    fn a_difference_has_two_counts() {
        let after = sample::profile();
        let mut before = after.clone();
        before.samples.remove(0);
        before.samples[0].bytes *= 2;
        let text = |before, after| {
            let mut out = Vec::new();
            write_difference(before, after, Weight::Bytes, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_snapshot!(text(&before, &after));
        // The other way round the counts are, too.
        let swapped = |line: &str| {
            let parts: Vec<&str> = line.rsplitn(3, ' ').collect();
            format!("{} {} {}\n", parts[2], parts[0], parts[1])
        };
        assert_eq!(text(&before, &after).lines().map(swapped).collect::<String>(), text(&after, &before));
    }

    #[test]
    fn nothing_is_no_line() {
        assert_eq!(text(&Profile::default(), Weight::Bytes), "");
    }

    /// Reads a line as flamegraph.pl, inferno and speedscope do.
    fn parse(line: &str) -> (Vec<&str>, u64) {
        let (stack, count) = line.rsplit_once(' ').expect("a blank before the count");
        (stack.split(';').collect(), count.parse().expect("a number"))
    }

    proptest! {
        #[test]
        fn lines_are_read_as_they_are_meant(profile in sample::any_profile()) {
            for weight in [Weight::Bytes, Weight::Objects, Weight::AllocatedBytes, Weight::AllocatedObjects] {
                let text = text(&profile, weight);
                let lines: Vec<_> = text.lines().map(parse).collect();
                let sum: u64 = lines.iter().map(|(_, count)| count).sum();
                prop_assert_eq!(sum, profile.samples.iter().map(|sample| weight.value(sample)).sum::<u64>());
                prop_assert!(lines.iter().all(|(_, count)| *count > 0));
                let mut expected: Vec<usize> = profile
                    .samples
                    .iter()
                    .filter(|sample| weight.value(sample) > 0)
                    .map(|sample| sample.frames.len() + 2)
                    .collect();
                let mut depths: Vec<usize> = lines.iter().map(|(stack, _)| stack.len()).collect();
                expected.sort_unstable();
                depths.sort_unstable();
                // Samples of one name in several cgroups share a line.
                expected.dedup();
                depths.dedup();
                prop_assert_eq!(depths, expected);
                prop_assert!(lines.is_sorted_by(|(a, _), (b, _)| a.join(";") < b.join(";")), "each is there once");
                for line in text.lines() {
                    prop_assert_eq!(line.trim(), line);
                    prop_assert!(!line.chars().any(char::is_control));
                    let cache = parse(line).0.pop().unwrap();
                    prop_assert!(!cache.contains(char::is_whitespace));
                }
            }
        }
    }
}
