//! Entries as columns. What entries have in common stands in tables, and each kind of figure in a column of its own: so they
//! compress well.
//!
//! - *codes*: for each entry what it is: one of the fixed kinds, a free with what it tells of its cache, or an allocation with
//!   all that it has in common with others (cache, task, cgroup, call site, stack).
//! - *times*: of allocations and readings, the difference to the one before.
//! - *places*: of objects, the difference to the place of the last one of that code, in words of 8 bytes. Slabs hand out
//!   neighbours, and what is made and freed again and again comes in the same order.
//! - *odd places*: those that are not whole words from there.
//! - *texts*: what does not repeat; what does is a number in the table of texts.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::wire::{Cursor, Malformed, put_bool, put_bytes, put_list, put_option, put_signed, put_varint};
use crate::stream::{
    entry::Entry,
    event::{
        Address, Alloc, COMM_LEN, CacheTag, CgroupId, Comm, Event, FileType, Free, Gfp, Label, Name, NodeId,
        ObjectId, ObjectKind, StackId, Task, TimeNs,
    },
};

/// Codes of the kinds that have no table.
const READ: u64 = 0;
const NAME: u64 = 1;
const LABEL: u64 = 2;
const PERIOD: u64 = 3;
const MARK: u64 = 4;
/// From here on, frees and allocations take turns: the n-th of either table has `FIRST_OF_TABLES + 2 n`, or one more.
const FIRST_OF_TABLES: u64 = 5;

/// In place of the kind of object that a label tells: there is none, the object is free. Since version 2.
const IS_FREE: u8 = 255;

/// In the column of places: an odd one. Others are one more than their difference.
const ODD: u64 = 0;
const WORD: u64 = 8;

/// What allocations have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Common {
    pub cache: Address,
    pub task: Task,
    pub cgroup: CgroupId,
    pub call_site: Address,
    pub stack: StackId,
    pub gfp: Gfp,
    pub node: NodeId,
    pub is_io_worker: bool,
    pub may_repeat: bool,
}

impl From<&Alloc> for Common {
    fn from(alloc: &Alloc) -> Self {
        let Alloc {
            time: _,
            ptr: _,
            cache,
            call_site,
            cgroup,
            stack,
            gfp,
            node,
            task,
            is_io_worker,
            may_repeat,
        } = *alloc;
        Self { cache, task, cgroup, call_site, stack, gfp, node, is_io_worker, may_repeat }
    }
}

impl Common {
    fn alloc(self, time: TimeNs, ptr: Address) -> Alloc {
        let Self { cache, task, cgroup, call_site, stack, gfp, node, is_io_worker, may_repeat } = self;
        Alloc { time, ptr, cache, call_site, cgroup, stack, gfp, node, task, is_io_worker, may_repeat }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let Self { cache, task: Task { tgid, started, comm, is_kthread }, .. } = *self;
        put_varint(out, cache);
        put_varint(out, tgid.into());
        put_varint(out, started.into());
        put_bytes(out, comm.as_bytes());
        put_bool(out, is_kthread);
        put_varint(out, self.cgroup);
        put_varint(out, self.call_site);
        put_varint(out, self.stack.into());
        put_varint(out, self.gfp.into());
        put_varint(out, self.node.into());
        put_bool(out, self.is_io_worker);
        put_bool(out, self.may_repeat);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            cache: cursor.varint()?,
            task: Task {
                tgid: cursor.u32()?,
                started: cursor.u32()?,
                comm: comm(cursor)?,
                is_kthread: cursor.bool()?,
            },
            cgroup: cursor.varint()?,
            call_site: cursor.varint()?,
            stack: cursor.u32()?,
            gfp: cursor.u32()?,
            node: cursor.u32()?.try_into().map_err(|_| Malformed("a NUMA node"))?,
            is_io_worker: cursor.bool()?,
            may_repeat: cursor.bool()?,
        })
    }
}

pub(super) fn comm(cursor: &mut Cursor<'_>) -> Result<Comm, Malformed> {
    let bytes = cursor.bytes()?;
    if bytes.len() < COMM_LEN { Ok(Comm::truncated(bytes)) } else { Err(Malformed("a command name")) }
}

/// Distinct values, each with a number.
struct Table<T> {
    values: Vec<T>,
    numbers: HashTable<u32>,
    /// The last one asked for: it is often asked for again.
    last: u32,
    hasher: FixedState,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashTable::new(), last: 0, hasher: FixedState::default() }
    }
}

impl<T: std::hash::Hash + Eq> Table<T> {
    fn number(&mut self, value: T) -> u32 {
        if self.values.get(self.last as usize) == Some(&value) {
            return self.last;
        }
        let Self { values, numbers, hasher, .. } = self;
        let hash = hasher.hash_one(&value);
        let known = numbers.find(hash, |&number| values[number as usize] == value);
        self.last = match known {
            Some(&number) => number,
            None => {
                let number = values.len() as u32;
                values.push(value);
                numbers.insert_unique(hash, number, |&number| hasher.hash_one(&values[number as usize]));
                number
            }
        };
        self.last
    }
}

/// Texts that repeat.
#[derive(Default)]
struct Texts(Table<Box<[u8]>>);

impl Texts {
    fn number(&mut self, text: &[u8]) -> u32 {
        let table = &mut self.0;
        let known = table
            .numbers
            .find(table.hasher.hash_one(text), |&number| *table.values[number as usize] == *text)
            .copied();
        known.unwrap_or_else(|| table.number(text.into()))
    }
}

/// Makes columns of entries.
#[derive(Default)]
pub struct Encoder {
    common: Table<Common>,
    tags: Table<Option<CacheTag>>,
    texts: Texts,
    entries: u64,
    codes: Vec<u8>,
    times: Vec<u8>,
    places: Vec<u8>,
    odd_places: Vec<u8>,
    own_texts: Vec<u8>,
    last: Last,
}

/// Where differences begin.
#[derive(Default)]
struct Last {
    time: TimeNs,
    /// The place of the last object by code, and the last of all.
    by_code: Vec<Address>,
    place: Address,
}

impl Last {
    fn of_code(&mut self, code: u64) -> &mut Address {
        let index = code as usize;
        if index >= self.by_code.len() {
            self.by_code.resize(index + 1, 0);
        }
        &mut self.by_code[index]
    }
}

impl Encoder {
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// What the allocations here refer to.
    pub fn common(&self) -> &[Common] {
        &self.common.values
    }

    /// What the frees here tell of their caches.
    pub fn tags(&self) -> &[Option<CacheTag>] {
        &self.tags.values
    }

    /// Bytes that the columns take so far, before they are compressed.
    pub fn len(&self) -> usize {
        let columns = [&self.codes, &self.times, &self.places, &self.odd_places, &self.own_texts];
        columns.iter().map(|column| column.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    pub fn push(&mut self, entry: &Entry<'_>) {
        self.entries += 1;
        match entry {
            Entry::Event(Event::Alloc(alloc)) => {
                let code = FIRST_OF_TABLES + 2 * u64::from(self.common.number(Common::from(alloc))) + 1;
                put_varint(&mut self.codes, code);
                self.put_time(alloc.time);
                self.put_place(code, alloc.ptr);
            }
            Entry::Event(Event::Free(free)) => {
                let code = FIRST_OF_TABLES + 2 * u64::from(self.tags.number(free.cache));
                put_varint(&mut self.codes, code);
                self.put_place(code, free.ptr);
            }
            Entry::Event(Event::Name(name)) => {
                put_varint(&mut self.codes, NAME);
                // It is mostly the object that was allocated last.
                *self.last.of_code(NAME) = self.last.place;
                self.put_place(NAME, name.dentry);
                let parent = self.texts.number(name.parent);
                put_varint(&mut self.own_texts, parent.into());
                put_bytes(&mut self.own_texts, name.name);
            }
            Entry::Label(object, label) => {
                put_varint(&mut self.codes, LABEL);
                self.put_place(LABEL, object.ptr);
                self.put_label(object.time, label);
            }
            Entry::Refuted(object) => {
                put_varint(&mut self.codes, LABEL);
                self.put_place(LABEL, object.ptr);
                put_varint(&mut self.own_texts, object.time);
                put_option(&mut self.own_texts, Some(IS_FREE), |out, kind| out.push(kind));
            }
            Entry::Period(period) => {
                put_varint(&mut self.codes, PERIOD);
                put_varint(&mut self.own_texts, (*period).into());
            }
            Entry::Read(time) => {
                put_varint(&mut self.codes, READ);
                self.put_time(*time);
            }
            Entry::Mark(time, label) => {
                put_varint(&mut self.codes, MARK);
                self.put_time(*time);
                put_bytes(&mut self.own_texts, label);
            }
        }
    }

    fn put_time(&mut self, time: TimeNs) {
        put_signed(&mut self.times, time.wrapping_sub(self.last.time) as i64);
        self.last.time = time;
    }

    fn put_place(&mut self, code: u64, place: Address) {
        self.last.place = place;
        let last = self.last.of_code(code);
        let difference = place.wrapping_sub(*last) as i64;
        *last = place;
        let words = difference / WORD as i64;
        if difference % WORD as i64 == 0 {
            // Not more than 62 bits are left.
            put_varint(&mut self.places, (((words << 1) ^ (words >> 63)) as u64) + 1);
        } else {
            put_varint(&mut self.places, ODD);
            self.odd_places.extend_from_slice(&place.to_le_bytes());
        }
    }

    fn put_label(&mut self, time: TimeNs, label: &Label<'_>) {
        let numbers = [label.filesystem, label.directory].map(|text| self.texts.number(text));
        let pattern = label.pattern.map(|pattern| self.texts.number(pattern));
        let out = &mut self.own_texts;
        put_varint(out, time);
        put_option(out, label.kind, put_kind);
        numbers.iter().for_each(|&number| put_varint(out, number.into()));
        put_option(out, pattern, |out, number| put_varint(out, number.into()));
        put_bytes(out, label.name);
    }

    /// All columns, and begins anew.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        put_list(out, self.common.values.iter(), |out, common| common.put(out));
        put_list(out, self.tags.values.iter(), |out, &tag| {
            put_option(out, tag, |out, tag| put_varint(out, tag.into()));
        });
        put_list(out, self.texts.0.values.iter(), |out, text| put_bytes(out, text));
        put_varint(out, self.entries);
        for column in [&self.codes, &self.times, &self.places, &self.odd_places, &self.own_texts] {
            put_bytes(out, column);
        }
        self.clear();
    }

    /// Keeps the room of the columns.
    fn clear(&mut self) {
        let Self { common, tags, texts, entries, codes, times, places, odd_places, own_texts, last } = self;
        (*common, *tags, *texts, *last, *entries) = Default::default();
        [codes, times, places, odd_places, own_texts].into_iter().for_each(Vec::clear);
    }
}

/// Columns that are read.
#[derive(Clone, Debug)]
pub struct Columns<'a> {
    pub common: Vec<Common>,
    tags: Vec<Option<CacheTag>>,
    texts: Vec<&'a [u8]>,
    entries: u64,
    codes: Cursor<'a>,
    times: Cursor<'a>,
    places: Cursor<'a>,
    odd_places: Cursor<'a>,
    own_texts: Cursor<'a>,
}

impl<'a> Columns<'a> {
    pub fn read(cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let common = cursor.list(Common::read)?;
        let tags = cursor.list(|cursor| cursor.option(Cursor::u32))?;
        let texts = cursor.list(Cursor::bytes)?;
        let entries = cursor.varint()?;
        let mut column = || cursor.bytes().map(Cursor::new);
        Ok(Self {
            common,
            tags,
            texts,
            entries,
            codes: column()?,
            times: column()?,
            places: column()?,
            odd_places: column()?,
            own_texts: column()?,
        })
    }

    /// The entries in their order.
    pub fn entries(&self) -> Entries<'_, 'a> {
        let Self { codes, times, places, odd_places, own_texts, .. } = *self;
        // A code takes a byte at least.
        let last_code = FIRST_OF_TABLES as usize + 2 * self.common.len().max(self.tags.len()) + 1;
        let last = Last { by_code: vec![0; last_code + 1], ..Last::default() };
        Entries { columns: self, left: self.entries, codes, times, places, odd_places, own_texts, last }
    }
}

pub struct Entries<'c, 'a> {
    columns: &'c Columns<'a>,
    left: u64,
    codes: Cursor<'a>,
    times: Cursor<'a>,
    places: Cursor<'a>,
    odd_places: Cursor<'a>,
    own_texts: Cursor<'a>,
    last: Last,
}

impl<'a> Iterator for Entries<'_, 'a> {
    type Item = Result<Entry<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let entry = self.entry();
        if entry.is_err() {
            self.left = 0;
        }
        Some(entry)
    }
}

impl<'a> Entries<'_, 'a> {
    #[inline]
    fn entry(&mut self) -> Result<Entry<'a>, Malformed> {
        let code = self.codes.varint()?;
        let Some(index) = code.checked_sub(FIRST_OF_TABLES) else { return self.rare(code) };
        let at = (index / 2) as usize;
        if index % 2 == 1 {
            let common = *self.columns.common.get(at).ok_or(Malformed("what an allocation is"))?;
            let time = self.time()?;
            return Ok(common.alloc(time, self.place(code)?).into());
        }
        let cache = *self.columns.tags.get(at).ok_or(Malformed("what a free tells"))?;
        Ok(Free { ptr: self.place(code)?, cache }.into())
    }

    fn rare(&mut self, code: u64) -> Result<Entry<'a>, Malformed> {
        match code {
            READ => Ok(Entry::Read(self.time()?)),
            NAME => {
                self.last.by_code[NAME as usize] = self.last.place;
                let dentry = self.place(NAME)?;
                let parent = self.text()?;
                Ok(Name { dentry, name: self.own_texts.bytes()?, parent }.into())
            }
            LABEL => {
                let ptr = self.place(LABEL)?;
                let time = self.own_texts.varint()?;
                let object = ObjectId { ptr, time };
                Ok(self.label()?.map_or(Entry::Refuted(object), |label| Entry::Label(object, label)))
            }
            PERIOD => self.own_texts.period().map(Entry::Period),
            _ => Ok(Entry::Mark(self.time()?, self.own_texts.bytes()?)),
        }
    }

    #[inline]
    fn time(&mut self) -> Result<TimeNs, Malformed> {
        self.last.time = self.last.time.wrapping_add(self.times.signed()? as u64);
        Ok(self.last.time)
    }

    /// The code is one of a table, so that there is a last place for it.
    #[inline]
    fn place(&mut self, code: u64) -> Result<Address, Malformed> {
        let last = &mut self.last.by_code[code as usize];
        *last = match self.places.varint()?.checked_sub(1) {
            Some(words) => {
                let words = (words >> 1) ^ (words & 1).wrapping_neg();
                last.wrapping_add(words.wrapping_mul(WORD))
            }
            None => self.odd_places.u64_fixed()?,
        };
        self.last.place = *last;
        Ok(*last)
    }

    fn text(&mut self) -> Result<&'a [u8], Malformed> {
        let number = self.own_texts.varint()?;
        let text = usize::try_from(number).ok().and_then(|number| self.columns.texts.get(number));
        text.copied().ok_or(Malformed("the number of a text"))
    }

    /// None where the object is free.
    fn label(&mut self) -> Result<Option<Label<'a>>, Malformed> {
        let mut ahead = self.own_texts;
        if ahead.bool()? && ahead.byte()? == IS_FREE {
            self.own_texts = ahead;
            return Ok(None);
        }
        let kind = self.own_texts.option(kind)?;
        let (filesystem, directory) = (self.text()?, self.text()?);
        let pattern = if self.own_texts.bool()? { Some(self.text()?) } else { None };
        Ok(Some(Label { kind, filesystem, directory, name: self.own_texts.bytes()?, pattern }))
    }
}

/// Files name a type by its place here.
pub(super) const FILE_TYPES: [FileType; 8] = [
    FileType::Regular,
    FileType::Directory,
    FileType::Symlink,
    FileType::Fifo,
    FileType::Socket,
    FileType::CharDevice,
    FileType::BlockDevice,
    FileType::Anonymous,
];

fn put_kind(out: &mut Vec<u8>, kind: ObjectKind) {
    let file_type =
        |file_type| FILE_TYPES.iter().position(|&known| known == file_type).expect("all are there") as u8;
    match kind {
        ObjectKind::Dentry { negative, in_root, name_bytes } => {
            out.push(0);
            put_bool(out, negative);
            put_bool(out, in_root);
            put_varint(out, name_bytes.into());
        }
        ObjectKind::Inode(of) => out.extend([1, file_type(of)]),
        ObjectKind::File(of) => out.extend([2, file_type(of)]),
        ObjectKind::Socket => out.push(3),
    }
}

fn kind(cursor: &mut Cursor<'_>) -> Result<ObjectKind, Malformed> {
    let file_type = |cursor: &mut Cursor<'_>| {
        FILE_TYPES.get(usize::from(cursor.byte()?)).copied().ok_or(Malformed("a type of files"))
    };
    match cursor.byte()? {
        0 => Ok(ObjectKind::Dentry {
            negative: cursor.bool()?,
            in_root: cursor.bool()?,
            name_bytes: cursor.u32()?.try_into().map_err(|_| Malformed("a name's length"))?,
        }),
        1 => file_type(cursor).map(ObjectKind::Inode),
        2 => file_type(cursor).map(ObjectKind::File),
        3 => Ok(ObjectKind::Socket),
        _ => Err(Malformed("a kind of objects")),
    }
}

#[cfg(test)]
mod tests;
