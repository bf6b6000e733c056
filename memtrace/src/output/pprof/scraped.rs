//! Samples without labels, no more than asked for.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, btree_map::Entry},
};

use crate::{
    output::OTHER,
    view::profile::{Profile, Sample},
};

/// Those of one command name and one stack together; where nothing is known of the calls, those of one cache. Beyond `max` the
/// smallest are one.
pub fn merged(profile: &Profile, max: usize) -> Vec<Sample> {
    let mut sums: BTreeMap<(&[u8], &[String], &str), Sample> = BTreeMap::new();
    for sample in &profile.samples {
        let cache = if sample.frames.is_empty() { &*sample.cache } else { "" };
        match sums.entry((&sample.comm, &sample.frames, cache)) {
            Entry::Vacant(place) => drop(place.insert(Sample { cgroup: None, node: None, ..sample.clone() })),
            Entry::Occupied(mut sum) => add(sum.get_mut(), sample),
        }
    }
    let mut samples: Vec<Sample> = sums.into_values().collect();
    if samples.len() <= max {
        return samples;
    }
    samples.sort_by_key(|sample| Reverse((sample.bytes, sample.alloc_bytes)));
    let small = samples.split_off(max.saturating_sub(1));
    let mut rest = Sample { frames: vec![OTHER.to_owned()], comm: OTHER.into(), ..Sample::default() };
    small.iter().for_each(|sample| add(&mut rest, sample));
    samples.push(rest);
    samples
}

fn add(sum: &mut Sample, more: &Sample) {
    let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
    add(&mut sum.allocs, more.allocs);
    add(&mut sum.alloc_bytes, more.alloc_bytes);
    add(&mut sum.objects, more.objects);
    add(&mut sum.bytes, more.bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(comm: u8, stack: u8, cache: u8, bytes: u64) -> Sample {
        Sample {
            comm: vec![b'a' + comm],
            frames: (0..stack).map(|frame| format!("f{frame}")).collect(),
            cache: format!("cache-{cache}"),
            cgroup: Some(vec![cache]),
            objects: bytes / 8,
            bytes,
            allocs: bytes,
            alloc_bytes: bytes * 2,
            ..Sample::default()
        }
    }

    proptest! {
        #[test]
        fn samples_are_bounded_and_add_up(
            of in proptest::collection::vec((0_u8..5, 0_u8..3, 0_u8..3, 0_u64..1 << 40), 0..60),
            max in 1_usize..20,
        ) {
            let samples = of.into_iter().map(|(comm, stack, cache, bytes)| sample(comm, stack, cache, bytes));
            let profile = Profile { stacks_period: None, samples: samples.collect() };
            let merged = merged(&profile, max);
            prop_assert!(merged.len() <= max);
            let sums = |samples: &[Sample]| {
                let sum = |of: fn(&Sample) -> u64| samples.iter().map(of).sum::<u64>();
                [sum(|s| s.bytes), sum(|s| s.objects), sum(|s| s.allocs), sum(|s| s.alloc_bytes)]
            };
            prop_assert_eq!(sums(&merged), sums(&profile.samples));
            prop_assert!(merged.iter().all(|sample| sample.cgroup.is_none()));
        }
    }
}
