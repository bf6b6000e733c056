//! The peak is found by the figures that blocks store, and is the same as without them.

use std::fs;

use super::*;
use crate::{
    evidence::{
        Step,
        recording::tests::{
            entries::Owned,
            script::{self, Chance, Stretch},
        },
        replay::window,
    },
    select::Select,
    stream::{comm_pattern::CommPattern, event::Free},
};

const BLOCKS: u64 = 12;

/// Goes up until a block in its middle, and down from there.
fn session(seed: u64) -> Vec<Stretch> {
    let mut stretches = script::session(seed, BLOCKS, 300);
    let mut chance = Chance(seed);
    let top = 3 + chance.below(6) as usize;
    for stretch in &mut stretches[top..] {
        let free = |_| {
            let ptr = 0xffff_8881_0000_0000 + 64 * chance.below(4000);
            Owned::Free(Free { ptr, cache: None })
        };
        stretch.entries.extend((0..2000).map(free));
    }
    script::count_outstanding(&mut stretches);
    stretches
}

/// The block at whose end most is outstanding, by replaying up to each.
fn by_replay(path: &Path, filter: &Filter) -> usize {
    let blocks = Reader::open(path).unwrap().places().to_vec();
    let bytes = blocks.iter().map(|place| {
        let query = Query { filter: filter.clone(), to: Some(at(place.end)), ..ask(By::Comm) };
        replay(path, &query).state.outstanding().bytes
    });
    let most = bytes.clone().max().unwrap();
    bytes.collect::<Vec<_>>().iter().position(|&bytes| bytes == most).unwrap()
}

/// The peak, and how many blocks were replayed for it.
fn by_window(path: &Path, filter: &Filter) -> (usize, usize) {
    let mut replayed = 0;
    let mut count = |step: Step| replayed += usize::from(step.doing == "looking for the peak");
    let window = window(&Reader::open(path).unwrap(), filter, None, Some(&When::Peak), &mut count).unwrap();
    (window.end - 1, replayed)
}

#[test]
fn it_is_found_without_reading_on() {
    let filters = [
        Filter::default(),
        Filter::new(&Select::of_caches(vec!["dentry".to_owned()])).unwrap(),
        Filter::new(&Select { comms: vec![CommPattern::parse("curl").unwrap()], ..Select::default() })
            .unwrap(),
    ];
    for seed in 0..6 {
        let (_directory, path) = place();
        script::record_to(&path, None, &session(seed));
        for filter in &filters {
            let (peak, replayed) = by_window(&path, filter);
            assert_eq!(peak, by_replay(&path, filter), "{seed} {filter:?}");
            assert!(filter.is_on() || replayed == peak + 1, "{seed}: {peak} {replayed}");
        }
        // Without its index no figures are known.
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let (peak, replayed) = by_window(&path, &filters[0]);
        assert_eq!((peak, replayed), (by_replay(&path, &filters[0]), BLOCKS as usize));
    }
}

#[test]
fn figures_that_are_missing_or_wrong_do_not_matter() {
    for change in [|_: &mut u64| (), |bytes: &mut u64| *bytes = 0, |bytes: &mut u64| *bytes /= 2] {
        let mut stretches = session(7);
        stretches.iter_mut().for_each(|stretch| change(&mut stretch.footer.outstanding.bytes));
        let (_directory, path) = place();
        script::record_to(&path, None, &stretches);
        assert_eq!(by_window(&path, &Filter::default()).0, by_replay(&path, &Filter::default()));
    }
}

#[test]
fn marks_are_found_without_replay() {
    let (_directory, path) = place();
    script::record_to(&path, None, &session(8));
    let reader = Reader::open(&path).unwrap();
    let mut steps = Vec::new();
    let deploy = When::Mark("deploy".to_owned());
    let found =
        window(&reader, &Filter::default(), Some(&deploy), None, &mut |step| steps.push(step)).unwrap();
    assert_eq!(found.first, 2);
    // It is in the third block.
    assert_eq!(steps.len(), 3);
    assert!(steps.iter().all(|step| step.doing == "looking for marks"));
}
