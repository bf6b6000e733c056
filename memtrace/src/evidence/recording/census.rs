//! A census in a block. It has no texts twice, so that what it takes in memory goes with its bytes.

use std::time::{Duration, SystemTime};

use super::{
    columns::FILE_TYPES,
    wire::{Cursor, Malformed, put_bool, put_bytes, put_f64, put_list, put_option, put_varint},
};
use crate::{
    stream::event::NodeId,
    view::{
        Census,
        census::{By, CacheCensus, Clock, Content, Interval, Kind, Payer, Period, Place, Row, Told, Traits},
    },
};

/// More than any host has.
const MAX_CACHES: usize = 1 << 14;
/// More than pages are seen.
const MAX_ROWS: usize = 1 << 16;

/// Words that have numbers in a recording: their places here, which never change.
const KEYS: [By; 7] = [By::Cache, By::Cgroup, By::Place, By::Filesystem, By::Uid, By::Node, By::Kind];
const CONTENTS: [Content; 5] =
    [Content::Object, Content::BeingFreed, Content::Free, Content::TooFew, Content::Doubted];
const CLOCKS: [Clock; 7] = [
    Clock::Uptime,
    Clock::Seconds,
    Clock::Milliseconds,
    Clock::Microseconds,
    Clock::Nanoseconds,
    Clock::Date,
    Clock::Uuid,
];
pub fn put(census: &Census, out: &mut Vec<u8>) {
    put_time(out, census.time);
    put_text(out, &census.host);
    put_text(out, &census.kernel);
    put_list(out, census.by.iter(), |out, by| put_word(out, &KEYS, by));
    let Census { seed, frames, drawn, slab_pages, page_size, .. } = *census;
    [seed, frames, drawn, slab_pages, page_size].into_iter().for_each(|figure| put_varint(out, figure));
    put_varint(out, nanos(census.elapsed));
    put_list(out, census.caches.iter(), put_cache);
    put_list(out, census.rows.iter(), put_row);
    put_list(out, census.notes.iter(), |out, note| put_text(out, note));
}

pub fn read(cursor: &mut Cursor<'_>) -> Result<Census, Malformed> {
    let mut census = Census {
        time: time(cursor)?,
        host: cursor.text()?,
        kernel: cursor.text()?,
        by: cursor.list_of(KEYS.len(), |cursor| word(cursor, &KEYS))?,
        seed: cursor.varint()?,
        frames: cursor.figure()?,
        drawn: cursor.figure()?,
        slab_pages: cursor.figure()?,
        page_size: cursor.figure()?,
        elapsed: Duration::from_nanos(cursor.time()?),
        caches: cursor.list_of(MAX_CACHES, cache)?,
        rows: cursor.list_of(MAX_ROWS, row)?,
        unused: Vec::new(),
        notes: cursor.list(Cursor::text)?,
    };
    let caches = census.caches.len();
    for row in &mut census.rows {
        row.traits.cache = row.traits.cache.filter(|&cache| cache < caches);
    }
    Ok(census)
}

fn put_cache(out: &mut Vec<u8>, cache: &CacheCensus) {
    put_text(out, &cache.name);
    put_list(out, cache.aliases.iter(), |out, alias| put_text(out, alias));
    put_option(out, cache.reclaimable, put_bool);
    put_varint(out, cache.bytes);
    put_varint(out, cache.sampled_bytes);
    put_interval(out, cache.sampled_bytes_ci95);
    put_varint(out, cache.objects);
    put_interval(out, cache.objects_ci95);
    put_option(out, cache.slabinfo_objects, put_varint);
    put_option(out, cache.slabinfo_bytes, put_varint);
    put_varint(out, cache.pages);
    match cache.told {
        Told::Rows { unseen } => {
            put_varint(out, 0);
            put_f64(out, unseen);
        }
        Told::TooFew { error } => {
            put_varint(out, 1);
            put_option(out, error, put_f64);
        }
        Told::Doubted { expected, deviations } => {
            put_varint(out, 2);
            put_f64(out, expected);
            put_f64(out, deviations);
        }
    }
}

fn cache(cursor: &mut Cursor<'_>) -> Result<CacheCensus, Malformed> {
    Ok(CacheCensus {
        name: cursor.text()?,
        aliases: cursor.list(Cursor::text)?,
        reclaimable: cursor.option(Cursor::bool)?,
        bytes: cursor.figure()?,
        sampled_bytes: cursor.figure()?,
        sampled_bytes_ci95: interval(cursor)?,
        objects: cursor.figure()?,
        objects_ci95: interval(cursor)?,
        slabinfo_objects: cursor.option(Cursor::figure)?,
        slabinfo_bytes: cursor.option(Cursor::figure)?,
        pages: cursor.figure()?,
        told: match cursor.varint()? {
            0 => Told::Rows { unseen: share(cursor)? },
            1 => Told::TooFew { error: cursor.option(share)? },
            2 => Told::Doubted { expected: number(cursor)?, deviations: number(cursor)? },
            _ => return Err(Malformed("what is told of a cache")),
        },
    })
}

fn put_row(out: &mut Vec<u8>, row: &Row) {
    put_traits(out, &row.traits);
    put_option(out, row.cgroup.as_deref(), put_bytes);
    for figure in [row.removed_cgroups, row.looks, row.objects, row.bytes] {
        put_varint(out, figure);
    }
    put_interval(out, row.objects_ci95);
    put_interval(out, row.bytes_ci95);
    [row.share, row.share_ci95.0, row.share_ci95.1].into_iter().for_each(|share| put_f64(out, share));
    put_option(out, row.example.as_deref(), put_bytes);
    put_option(out, row.negative_share, put_f64);
    put_option(out, row.asked_once_share, put_f64);
    put_option(out, row.made, |out, made| {
        put_time(out, made.after);
        put_time(out, made.before);
        put_word(out, &CLOCKS, &made.clock);
    });
}

fn row(cursor: &mut Cursor<'_>) -> Result<Row, Malformed> {
    let traits = traits(cursor)?;
    let cgroup = cursor.option(bytes)?;
    let [removed_cgroups, looks, objects, bytes_of_it] =
        [cursor.figure()?, cursor.figure()?, cursor.figure()?, cursor.figure()?];
    Ok(Row {
        traits,
        cgroup,
        removed_cgroups,
        looks,
        objects,
        bytes: bytes_of_it,
        objects_ci95: interval(cursor)?,
        bytes_ci95: interval(cursor)?,
        share: share(cursor)?,
        share_ci95: (share(cursor)?, share(cursor)?),
        example: cursor.option(bytes)?,
        negative_share: cursor.option(share)?,
        asked_once_share: cursor.option(share)?,
        made: cursor.option(|cursor| {
            Ok(Period { after: time(cursor)?, before: time(cursor)?, clock: word(cursor, &CLOCKS)? })
        })?,
        not_before: None,
        open_in: None,
        memory_stat: None,
    })
}

fn put_traits(out: &mut Vec<u8>, traits: &Traits) {
    put_word(out, &CONTENTS, &traits.content);
    put_option(out, traits.cache, |out, cache| put_varint(out, cache as u64));
    put_option(out, traits.payer, |out, payer| {
        let (kind, id) = match payer {
            Payer::Nobody => (0, 0),
            Payer::Cgroup(id) => (1, id),
            Payer::RemovedOf(id) => (2, id),
            Payer::Unknown => (3, 0),
        };
        put_varint(out, kind);
        put_varint(out, id);
    });
    put_option(out, traits.place.as_ref(), |out, place| {
        put_bytes(out, &place.directory);
        put_bytes(out, &place.pattern);
        put_bool(out, place.is_flat);
        put_bool(out, place.is_below);
    });
    put_option(out, traits.filesystem.as_deref(), put_bytes);
    put_option(out, traits.uid, |out, uid| put_varint(out, uid.into()));
    put_option(out, traits.node, |out, node| put_varint(out, node.into()));
    put_option(out, traits.kind, |out, kind| match kind {
        Kind::NegativeDentry => put_varint(out, 0),
        Kind::Dentry => put_varint(out, 1),
        Kind::Socket => put_varint(out, 2),
        Kind::Inode(of) => {
            put_varint(out, 3);
            put_word(out, &FILE_TYPES, &of);
        }
        Kind::File(of) => {
            put_varint(out, 4);
            put_word(out, &FILE_TYPES, &of);
        }
    });
}

fn traits(cursor: &mut Cursor<'_>) -> Result<Traits, Malformed> {
    Ok(Traits {
        content: word(cursor, &CONTENTS)?,
        cache: cursor.option(|cursor| Ok(usize::try_from(cursor.varint()?).unwrap_or(usize::MAX)))?,
        payer: cursor.option(|cursor| match (cursor.varint()?, cursor.varint()?) {
            (0, _) => Ok(Payer::Nobody),
            (1, id) => Ok(Payer::Cgroup(id)),
            (2, id) => Ok(Payer::RemovedOf(id)),
            (3, _) => Ok(Payer::Unknown),
            _ => Err(Malformed("who pays")),
        })?,
        place: cursor.option(|cursor| {
            Ok(Place {
                directory: bytes(cursor)?,
                pattern: bytes(cursor)?,
                is_flat: cursor.bool()?,
                is_below: cursor.bool()?,
            })
        })?,
        filesystem: cursor.option(bytes)?,
        uid: cursor.option(Cursor::u32)?,
        node: cursor.option(|cursor| NodeId::try_from(cursor.varint()?).map_err(|_| Malformed("a node")))?,
        kind: cursor.option(|cursor| match cursor.varint()? {
            0 => Ok(Kind::NegativeDentry),
            1 => Ok(Kind::Dentry),
            2 => Ok(Kind::Socket),
            3 => Ok(Kind::Inode(word(cursor, &FILE_TYPES)?)),
            4 => Ok(Kind::File(word(cursor, &FILE_TYPES)?)),
            _ => Err(Malformed("a kind of objects")),
        })?,
    })
}

fn put_word<T: PartialEq>(out: &mut Vec<u8>, words: &[T], word: &T) {
    let at = words.iter().position(|known| known == word).expect("all are there");
    put_varint(out, at as u64);
}

fn word<T: Copy>(cursor: &mut Cursor<'_>, words: &[T]) -> Result<T, Malformed> {
    let at = usize::try_from(cursor.varint()?).ok();
    at.and_then(|at| words.get(at)).copied().ok_or(Malformed("a word"))
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

fn bytes(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Malformed> {
    cursor.bytes().map(<[u8]>::to_vec)
}

fn put_interval(out: &mut Vec<u8>, (low, high): Interval<u64>) {
    put_varint(out, low);
    put_varint(out, high);
}

fn interval(cursor: &mut Cursor<'_>) -> Result<Interval<u64>, Malformed> {
    Ok((cursor.figure()?, cursor.figure()?))
}

fn number(cursor: &mut Cursor<'_>) -> Result<f64, Malformed> {
    Ok(cursor.f64()?.unwrap_or(0.0))
}

fn share(cursor: &mut Cursor<'_>) -> Result<f64, Malformed> {
    Ok(number(cursor)?.clamp(0.0, 1.0))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Since 1970; what is before counts as then.
fn put_time(out: &mut Vec<u8>, time: SystemTime) {
    put_varint(out, nanos(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()));
}

fn time(cursor: &mut Cursor<'_>) -> Result<SystemTime, Malformed> {
    Ok(SystemTime::UNIX_EPOCH + Duration::from_nanos(cursor.time()?))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::output::sample;

    fn written(census: &Census) -> Vec<u8> {
        let mut out = Vec::new();
        put(census, &mut out);
        out
    }

    #[test]
    fn what_was_put_is_read() {
        for census in sample::census::all().into_iter().map(Census::as_recorded) {
            let bytes = written(&census);
            let mut cursor = Cursor::new(&bytes);
            assert_eq!(read(&mut cursor), Ok(census));
            assert!(cursor.is_empty());
        }
    }

    #[test]
    fn rows_are_of_caches_that_are_there() {
        let census = Census { caches: Vec::new(), ..sample::census::wreck() };
        let read = read(&mut Cursor::new(&written(&census))).unwrap();
        assert!(read.rows.iter().all(|row| row.traits.cache.is_none()) && !read.rows.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let _ = read(&mut Cursor::new(&bytes));
            let mut damaged = written(&sample::census::wreck());
            let at = at.index(damaged.len());
            damaged[at] = byte;
            let _ = read(&mut Cursor::new(&damaged));
            damaged.truncate(at);
            prop_assert!(read(&mut Cursor::new(&damaged)).is_err());
        }
    }
}
