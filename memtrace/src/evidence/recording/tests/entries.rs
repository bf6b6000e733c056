//! Entries that own their texts, and strategies for them.

use proptest::{collection::vec, option, prelude::*};

use crate::{
    evidence::recording::Entry,
    stream::event::{Alloc, Comm, Event, FileType, Free, Label, Name, ObjectId, ObjectKind, Task},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owned {
    Alloc(Alloc),
    Free(Free),
    Name { dentry: u64, name: Vec<u8>, parent: Vec<u8> },
    Label { object: ObjectId, kind: Option<ObjectKind>, texts: [Vec<u8>; 3], pattern: Option<Vec<u8>> },
    Refuted(ObjectId),
    Period(u32),
    Read(u64),
    Mark(u64, Vec<u8>),
}

impl Owned {
    pub fn entry(&self) -> Entry<'_> {
        match self {
            Self::Alloc(alloc) => Entry::Event(Event::Alloc(*alloc)),
            Self::Free(free) => Entry::Event(Event::Free(*free)),
            Self::Name { dentry, name, parent } => Name { dentry: *dentry, name, parent }.into(),
            Self::Label { object, kind, texts: [filesystem, directory, name], pattern } => {
                let (kind, pattern) = (*kind, pattern.as_deref());
                Entry::Label(*object, Label { kind, filesystem, directory, name, pattern })
            }
            Self::Refuted(object) => Entry::Refuted(*object),
            Self::Period(period) => Entry::Period(*period),
            Self::Read(time) => Entry::Read(*time),
            Self::Mark(time, label) => Entry::Mark(*time, label),
        }
    }
}

pub fn comm() -> impl Strategy<Value = Comm> {
    vec(any::<u8>(), 0..20).prop_map(|name| Comm::truncated(&name))
}

fn kind() -> impl Strategy<Value = ObjectKind> {
    let file_type = proptest::sample::select(
        &[
            FileType::Regular,
            FileType::Directory,
            FileType::Symlink,
            FileType::Fifo,
            FileType::Socket,
            FileType::CharDevice,
            FileType::BlockDevice,
            FileType::Anonymous,
        ][..],
    );
    prop_oneof![
        any::<(bool, bool, u16)>().prop_map(|(negative, in_root, name_bytes)| ObjectKind::Dentry {
            negative,
            in_root,
            name_bytes
        }),
        file_type.clone().prop_map(ObjectKind::Inode),
        file_type.prop_map(ObjectKind::File),
        Just(ObjectKind::Socket),
    ]
}

/// Entries of every kind: of these objects, at these times, with these numbers in them.
fn entries<N: Strategy<Value = u64> + Clone + 'static>(
    ptr: N,
    time: N,
    number: N,
    comm: impl Strategy<Value = Comm>,
) -> impl Strategy<Value = Owned> {
    let text = || vec(any::<u8>(), 0..12);
    let task =
        (number.clone(), any::<u8>(), comm, any::<bool>()).prop_map(|(tgid, started, comm, is_kthread)| {
            Task { tgid: tgid as u32, started: started.into(), comm, is_kthread }
        });
    let alloc =
        (time.clone(), ptr.clone(), number.clone(), number.clone(), number.clone(), task, any::<[bool; 2]>());
    prop_oneof![
        8 => alloc.prop_map(|(time, ptr, cache, cgroup, stack, task, [is_io_worker, may_repeat])| Owned::Alloc(Alloc {
            time,
            ptr,
            cache,
            call_site: cache ^ 1,
            cgroup,
            stack: stack as u32,
            gfp: cgroup as u32,
            node: stack as u16,
            task,
            is_io_worker,
            may_repeat,
        })),
        6 => (ptr.clone(), option::of(number))
            .prop_map(|(ptr, cache)| Owned::Free(Free { ptr, cache: cache.map(|cache| cache as u32) })),
        3 => (ptr.clone(), text(), text())
            .prop_map(|(dentry, name, parent)| Owned::Name { dentry, name, parent }),
        1 => (ptr.clone(), time.clone()).prop_map(|(ptr, time)| Owned::Refuted(ObjectId { ptr, time })),
        3 => (ptr, time.clone(), option::of(kind()), [text(), text(), text()], option::of(text()))
            .prop_map(|(ptr, time, kind, texts, pattern)| Owned::Label {
                object: ObjectId { ptr, time },
                kind,
                texts,
                pattern
            }),
        1 => (1..9_u32).prop_map(Owned::Period),
        1 => time.clone().prop_map(Owned::Read),
        1 => (time, text()).prop_map(|(time, label)| Owned::Mark(time, label)),
    ]
}

/// Whatever a field may hold.
pub fn any_entry() -> impl Strategy<Value = Owned> {
    entries(any::<u64>().boxed(), any::<u64>().boxed(), any::<u64>().boxed(), comm())
}

/// Few objects, caches and processes, so that they meet.
pub fn likely_entry() -> impl Strategy<Value = Owned> {
    let ptr = (0..64_u64).prop_map(|number| 0xffff_8881_0000_0000 + 8 * number);
    let comm =
        proptest::sample::select(vec!["curl", "sshd"]).prop_map(|comm| Comm::truncated(comm.as_bytes()));
    entries(ptr.boxed(), (0..2_000_000_000_u64).boxed(), (1..5_u64).boxed(), comm)
}
