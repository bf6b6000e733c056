//! The rings that the kernel side writes events to, and their reader: those of each program and CPU ([`cpu`]) where the kernel has
//! what they need, else shared ones ([`shared`]), which also carry what processes do.

pub mod cpu;
pub mod error;
mod mapping;
mod merge;
pub mod shared;
pub mod sizes;
mod window;

use memtrace_common::counters::Counters;

use self::{cpu::CpuRings, error::RingError, shared::SharedRings};
use crate::stream::{
    decode::{RecordVisitor, decode},
    event::TimeNs,
};

/// All rings of a session.
pub struct Rings {
    pub(super) shared: SharedRings,
    pub(super) of_cpus: Option<CpuRings>,
}

impl Rings {
    /// Hands what is in each record to the visitor, what happened to one object in its order, until those are read that were there
    /// at the call, or `most` were. Later events than `until` stay in the rings of CPUs. Returns how many were read.
    pub fn drain(
        &mut self,
        most: usize,
        until: TimeNs,
        visitor: &mut impl for<'a> RecordVisitor<'a>,
    ) -> Result<usize, RingError> {
        let read = self.shared.drain(most, |record| {
            if decode(record, visitor).is_err() {
                visitor.undecodable();
            }
        })?;
        match &mut self.of_cpus {
            Some(rings) => Ok(read + rings.drain(most - read, until, visitor)?),
            None => Ok(read),
        }
    }

    /// What the writers of CPUs' rings count.
    pub fn counters(&self) -> Counters {
        self.of_cpus.as_ref().map(CpuRings::counters).unwrap_or_default()
    }
}
