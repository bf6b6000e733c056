//! Chains of dentries and mounts as no kernel makes them, but as one may look while it changes them.

use std::cell::Cell;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::kernel::memory::MemoryError;

/// Objects of so many bytes each, one behind the other; there is nothing else.
const OBJECT: usize = 64;
const FIRST: Address = 0xffff_8880_0000_0000;

/// A picture of the kernel's memory.
struct Picture {
    bytes: Vec<u8>,
    reads: Cell<usize>,
}

impl Readable for Picture {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), MemoryError> {
        self.reads.set(self.reads.get() + 1);
        let at = address.checked_sub(FIRST).and_then(|at| self.bytes.get(at as usize..)?.get(..bytes.len()));
        bytes.copy_from_slice(at.ok_or(MemoryError::Fault(address))?);
        Ok(())
    }
}

fn address(object: usize) -> Address {
    FIRST + (object * OBJECT) as Address
}

/// A dentry: its parent, its superblock, its name and its length; a mount: its parent, mountpoint, root, namespace and the next.
fn fields() -> PathFields {
    let span = 0..OBJECT as u32;
    PathFields {
        dentry: DentryFields {
            span: span.clone(),
            parent: Some(0),
            superblock: Some(8),
            name: Some(16),
            name_len: Some(24),
            hashed: Some(40),
            ..DentryFields::default()
        },
        superblock: SuperblockFields {
            file_system_type: Some(40),
            type_name: Some(48),
            mounts: Some(56),
            ..SuperblockFields::default()
        },
        mount: MountFields {
            span,
            parent: Some(0),
            mountpoint: Some(8),
            root: Some(16),
            namespace: Some(24),
            next: Some(32),
            ..MountFields::default()
        },
        ..PathFields::default()
    }
}

/// Dentries called `d`, each with the parent of this number.
fn dentries(parents: &[usize]) -> Picture {
    let mut bytes = Vec::new();
    for (object, &parent) in parents.iter().enumerate() {
        let mut dentry = [0; OBJECT];
        dentry[..8].copy_from_slice(&address(parent).to_ne_bytes());
        dentry[16..24].copy_from_slice(&(address(object) + 32).to_ne_bytes());
        dentry[24..28].copy_from_slice(&1_u32.to_ne_bytes());
        dentry[32] = b'd';
        bytes.extend(dentry);
    }
    Picture { bytes, reads: Cell::new(0) }
}

fn paths<'a>(memory: &'a Picture, fields: &'a PathFields) -> Paths<'a> {
    Paths { memory, fields, ours: None, directories: HashMap::new(), superblocks: HashMap::new() }
}

fn path(memory: &Picture, object: usize) -> String {
    let fields = fields();
    let directory = paths(memory, &fields).directory(address(object)).expect("it can be read");
    String::from_utf8(directory.path()).unwrap()
}

#[test]
fn a_chain_that_bites_its_tail_ends() {
    // 0 is in 2, 2 in 1, 1 in 0.
    let memory = dentries(&[2, 0, 1]);
    let path = path(&memory, 1);
    assert!(path.starts_with("…/d/d") && path.len() < 2 * MAX_PARENTS + 10, "{path}");
    assert!(memory.reads.get() <= MAX_PARENTS + 3, "{} reads", memory.reads.get());
}

#[test]
fn directories_4000_deep_are_walked_up_in_part() {
    let parents: Vec<usize> = (0..4_000).map(|object: usize| object.saturating_sub(1)).collect();
    let memory = dentries(&parents);
    assert_eq!(path(&memory, 3), ":d/d/d");
    let deepest = path(&memory, 3_999);
    assert!(deepest.starts_with("…/d/d") && deepest.len() < 2 * MAX_PARENTS + 10, "{deepest}");
    // All of them, one after the other: each costs the parents that are followed at most, and a bounded path.
    memory.reads.set(0);
    let fields = fields();
    let mut paths = paths(&memory, &fields);
    for object in (0..4_000).rev() {
        let directory = paths.directory(address(object)).expect("it can be read");
        assert!(directory.path().len() < 2 * MAX_PARENTS + 10);
    }
    assert!(memory.reads.get() <= 4_000 * (MAX_PARENTS + 2), "{} reads", memory.reads.get());
}

proptest! {
    /// Whatever points where: it ends, soon.
    #[test]
    fn any_chains_end(
        words in vec(prop_oneof![4 => (0..32_usize).prop_map(address), 1 => any::<u64>(), 2 => Just(0), 1 => 0..64_u64], 8 * 32),
        from in 0..32_usize,
        are_linked_by_lists in any::<bool>(),
    ) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let memory = Picture { bytes, reads: Cell::new(0) };
        let mut fields = fields();
        if are_linked_by_lists {
            fields.mount.list = fields.mount.next.take();
        }
        let _ = paths(&memory, &fields).directory(address(from));
        // For each directory on the way up, each mount of it, each mount that this is in, each parent of its mount point.
        let most = (MAX_PARENTS + 2) * (MAX_MOUNTS + 2 * MAX_AT_ONE * MAX_MOUNT_LEVELS * (MAX_PARENTS + 2));
        prop_assert!(memory.reads.get() <= most, "{} reads", memory.reads.get());
    }
}
