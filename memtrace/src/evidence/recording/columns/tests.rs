use proptest::{collection::vec, prelude::*};

use super::*;
use crate::evidence::recording::tests::entries::{Owned, any_entry, likely_entry};

fn columns(encoder: &mut Encoder, entries: &[Owned]) -> Vec<u8> {
    entries.iter().for_each(|entry| encoder.push(&entry.entry()));
    let mut out = Vec::new();
    encoder.finish(&mut out);
    out
}

fn read(bytes: &[u8]) -> Result<usize, Malformed> {
    let columns = Columns::read(&mut Cursor::new(bytes))?;
    columns.entries().try_fold(0, |read, entry| entry.map(|_| read + 1))
}

proptest! {
    #[test]
    fn entries_are_read_as_they_were_pushed(
        entries in vec(prop_oneof![any_entry(), likely_entry()], 0..80),
        before in vec(any_entry(), 0..10),
    ) {
        let bytes = columns(&mut Encoder::default(), &entries);
        let columns_read = Columns::read(&mut Cursor::new(&bytes)).unwrap();
        let again: Vec<Entry<'_>> = columns_read.entries().collect::<Result<_, _>>().unwrap();
        let pushed: Vec<Entry<'_>> = entries.iter().map(Owned::entry).collect();
        prop_assert_eq!(again, pushed);
        // Nothing is left of the block before.
        let mut used = Encoder::default();
        columns(&mut used, &before);
        prop_assert!(used.is_empty());
        prop_assert_eq!(columns(&mut used, &entries), bytes);
    }

    #[test]
    fn what_was_changed_is_survived(
        entries in vec(likely_entry(), 1..40),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = columns(&mut Encoder::default(), &entries);
        prop_assert_eq!(read(&bytes), Ok(entries.len()));
        let _ = read(&bytes[..cut.index(bytes.len())]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read(&bytes);
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }
}

#[test]
fn neighbours_take_two_bytes() {
    let mut encoder = Encoder::default();
    let task = Task { tgid: 7, started: 1, comm: Comm::truncated(b"curl"), is_kthread: false };
    for number in 0..1000 {
        let alloc = Alloc {
            time: 5_000_000_000,
            ptr: 0xffff_8881_0000_0000 + 192 * number,
            cache: 3,
            call_site: 4,
            cgroup: 5,
            stack: 0,
            gfp: 0xcc0,
            node: 0,
            task,
            is_io_worker: false,
            may_repeat: false,
        };
        encoder.push(&alloc.into());
        encoder.push(&Free { ptr: alloc.ptr, cache: None }.into());
    }
    let free = FIRST_OF_TABLES;
    assert!(encoder.codes.iter().all(|&code| u64::from(code) == free || u64::from(code) == free + 1));
    // A code and a place each, and a time for every second: all of one byte.
    assert!(encoder.len() < 2000 + 2000 + 1000 + 40, "{}", encoder.len());
}

#[test]
fn a_number_that_no_table_has_ends_the_entries() {
    let mut out = Vec::new();
    let mut encoder = Encoder::default();
    encoder.push(&Free { ptr: 8, cache: None }.into());
    encoder.codes = vec![FIRST_OF_TABLES as u8 + 2, FIRST_OF_TABLES as u8];
    encoder.entries = 2;
    encoder.finish(&mut out);
    let columns = Columns::read(&mut Cursor::new(&out)).unwrap();
    let entries: Vec<_> = columns.entries().collect();
    assert_eq!(entries, [Err(Malformed("what a free tells"))]);
}
