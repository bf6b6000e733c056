//! Entries that outlive the ring they were read from: those of a batch for the ledger, and those on their way to another thread.

use super::{
    entry::Entry,
    event::{Address, Alloc, Event, Free, Label, Name, ObjectId, ObjectKind, TimeNs},
};

/// Entries in their order. Each kind has its own room: a free takes a fifth of an allocation's, and texts are copied, one behind the
/// other.
#[derive(Default)]
pub struct EntryBuffer {
    kinds: Vec<Kind>,
    allocs: Vec<Alloc>,
    frees: Vec<Free>,
    others: Vec<Stored>,
    texts: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Kind {
    Alloc,
    Free,
    Other,
}

/// An entry with the lengths of its texts.
#[derive(Clone, Copy)]
enum Stored {
    Name {
        dentry: Address,
        parent: u32,
        name: u32,
    },
    Label {
        object: ObjectId,
        kind: Option<ObjectKind>,
        filesystem: u32,
        directory: u32,
        pattern: Option<u32>,
        name: u32,
    },
    Refuted(ObjectId),
    Period(u32),
    Read(TimeNs),
    Mark {
        time: TimeNs,
        label: u32,
    },
}

impl EntryBuffer {
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Bytes of all texts.
    pub fn text_bytes(&self) -> usize {
        self.texts.len()
    }

    /// Bytes of entries and texts.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.kinds[..])
            + size_of_val(&self.allocs[..])
            + size_of_val(&self.frees[..])
            + size_of_val(&self.others[..])
            + self.texts.len()
    }

    #[inline]
    pub fn push(&mut self, entry: &Entry<'_>) {
        self.kinds.push(match *entry {
            Entry::Event(Event::Alloc(alloc)) => {
                self.allocs.push(alloc);
                Kind::Alloc
            }
            Entry::Event(Event::Free(free)) => {
                self.frees.push(free);
                Kind::Free
            }
            _ => {
                self.others.push(Stored::new(entry, &mut self.texts));
                Kind::Other
            }
        });
    }

    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let (mut allocs, mut frees, mut others) = (self.allocs.iter(), self.frees.iter(), self.others.iter());
        let mut texts = &self.texts[..];
        self.kinds.iter().filter_map(move |kind| match kind {
            Kind::Alloc => allocs.next().map(|&alloc| alloc.into()),
            Kind::Free => frees.next().map(|&free| free.into()),
            Kind::Other => others.next().map(|stored| stored.entry(&mut texts)),
        })
    }

    /// Keeps its memory.
    pub fn clear(&mut self) {
        self.kinds.clear();
        self.allocs.clear();
        self.frees.clear();
        self.others.clear();
        self.texts.clear();
    }
}

impl Stored {
    /// What is neither an allocation nor a free. Puts its texts behind the others.
    fn new(entry: &Entry<'_>, texts: &mut Vec<u8>) -> Self {
        let mut text = |text: &[u8]| {
            texts.extend_from_slice(text);
            text.len() as u32
        };
        match *entry {
            Entry::Event(Event::Name(Name { dentry, name, parent })) => {
                Self::Name { dentry, parent: text(parent), name: text(name) }
            }
            Entry::Label(object, Label { kind, filesystem, directory, name, pattern }) => Self::Label {
                object,
                kind,
                filesystem: text(filesystem),
                directory: text(directory),
                pattern: pattern.map(&mut text),
                name: text(name),
            },
            Entry::Refuted(object) => Self::Refuted(object),
            Entry::Period(period) => Self::Period(period),
            Entry::Read(time) => Self::Read(time),
            Entry::Mark(time, label) => Self::Mark { time, label: text(label) },
            Entry::Event(Event::Alloc(_) | Event::Free(_)) => unreachable!("these have room of their own"),
        }
    }

    /// Takes the entry's texts from the front of `texts`, in the order in which they were pushed.
    #[inline]
    fn entry<'a>(&self, texts: &mut &'a [u8]) -> Entry<'a> {
        let mut text = |len: u32| {
            let (text, rest) = texts.split_at(len as usize);
            *texts = rest;
            text
        };
        match *self {
            Self::Name { dentry, parent, name } => {
                let parent = text(parent);
                Name { dentry, parent, name: text(name) }.into()
            }
            Self::Label { object, kind, filesystem, directory, pattern, name } => {
                let (filesystem, directory) = (text(filesystem), text(directory));
                let pattern = pattern.map(&mut text);
                Entry::Label(object, Label { kind, filesystem, directory, name: text(name), pattern })
            }
            Self::Refuted(object) => Entry::Refuted(object),
            Self::Period(period) => Entry::Period(period),
            Self::Read(time) => Entry::Read(time),
            Self::Mark { time, label } => Entry::Mark(time, text(label)),
        }
    }
}
