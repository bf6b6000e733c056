//! A part of the kernel's memory, read at once.

use std::ops::Range;

use super::field::Field;
use crate::{kernel::memory::Readable, stream::event::Address};

/// Fields of one object.
pub struct Part {
    object: Address,
    start: u32,
    bytes: Vec<u8>,
}

impl Part {
    /// None where it cannot be read.
    pub fn read(memory: &dyn Readable, object: Address, span: &Range<u32>) -> Option<Self> {
        let mut bytes = vec![0; span.len()];
        memory.read(object.checked_add(span.start.into())?, &mut bytes).ok()?;
        Some(Self { object, start: span.start, bytes })
    }

    pub fn u64(&self, field: Field) -> Option<u64> {
        self.bytes(field).map(u64::from_ne_bytes)
    }

    pub fn u32(&self, field: Field) -> Option<u32> {
        self.bytes(field).map(u32::from_ne_bytes)
    }

    /// What is at an address, if that was read too.
    pub fn at(&self, address: Address, len: usize) -> Option<&[u8]> {
        let at = address.checked_sub(self.object)?.checked_sub(self.start.into())?;
        self.bytes.get(usize::try_from(at).ok()?..)?.get(..len)
    }

    pub fn u16(&self, field: Field) -> Option<u16> {
        self.bytes(field).map(u16::from_ne_bytes)
    }

    pub fn u8(&self, field: Field) -> Option<u8> {
        self.bytes(field).map(u8::from_ne_bytes)
    }

    /// A field as it stands in memory.
    pub fn bytes<const N: usize>(&self, field: Field) -> Option<[u8; N]> {
        let at = field?.checked_sub(self.start)? as usize;
        self.bytes.get(at..)?.first_chunk().copied()
    }
}
