//! Entries that outlive the ring they were read from: those of a batch for the ledger, and those on their way to another thread.

use super::{
    entry::Entry,
    event::{Address, Alloc, Event, Free, Label, Name, ObjectId, ObjectKind, TimeNs},
};

/// Entries in their order. Their texts are copied, one behind the other.
#[derive(Default)]
pub struct EntryBuffer {
    entries: Vec<Stored>,
    texts: Vec<u8>,
}

/// An entry with the lengths of its texts.
#[derive(Clone, Copy)]
enum Stored {
    Alloc(Alloc),
    Free(Free),
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
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all texts.
    pub fn text_bytes(&self) -> usize {
        self.texts.len()
    }

    /// Bytes of entries and texts.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.entries[..]) + self.texts.len()
    }

    #[inline]
    pub fn push(&mut self, entry: &Entry<'_>) {
        let texts = &mut self.texts;
        let mut text = |text: &[u8]| {
            texts.extend_from_slice(text);
            text.len() as u32
        };
        self.entries.push(match *entry {
            Entry::Event(Event::Alloc(alloc)) => Stored::Alloc(alloc),
            Entry::Event(Event::Free(free)) => Stored::Free(free),
            Entry::Event(Event::Name(Name { dentry, name, parent })) => {
                Stored::Name { dentry, parent: text(parent), name: text(name) }
            }
            Entry::Label(object, Label { kind, filesystem, directory, name, pattern }) => Stored::Label {
                object,
                kind,
                filesystem: text(filesystem),
                directory: text(directory),
                pattern: pattern.map(&mut text),
                name: text(name),
            },
            Entry::Refuted(object) => Stored::Refuted(object),
            Entry::Period(period) => Stored::Period(period),
            Entry::Read(time) => Stored::Read(time),
            Entry::Mark(time, label) => Stored::Mark { time, label: text(label) },
        });
    }

    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut texts = &self.texts[..];
        self.entries.iter().map(move |stored| stored.entry(&mut texts))
    }

    /// Keeps its memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.texts.clear();
    }
}

impl Stored {
    /// Takes the entry's texts from the front of `texts`, in the order in which they were pushed.
    #[inline]
    fn entry<'a>(&self, texts: &mut &'a [u8]) -> Entry<'a> {
        let mut text = |len: u32| {
            let (text, rest) = texts.split_at(len as usize);
            *texts = rest;
            text
        };
        match *self {
            Self::Alloc(alloc) => alloc.into(),
            Self::Free(free) => free.into(),
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
