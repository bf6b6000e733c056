//! Names of new dentries, read as the functions that make them return, and joined to the object by its address.
//!
//! `d_alloc_parallel` makes the dentries of lookups. Since Linux commit e95db51c81f5 (in v6.17, and in stable kernels
//! from October 2025) it no longer calls `d_alloc`; before, a dentry passes both. Sending its name twice is harmless,
//! because a name labels an object and is not counted itself.

use aya_ebpf::{
    macros::{fexit, kretprobe},
    programs::{FExitContext, RetProbeContext},
};
use memtrace_common::event::{KIND_LONG_NAME, KIND_SHORT_NAME, LONG_NAME_LEN, NameEvent, SHORT_NAME_LEN};

use crate::{config::config, context::number, emit, filter, kernel, this_cpu::ThisCpu};

#[fexit(function = "d_alloc")]
pub fn d_alloc_fexit(ctx: FExitContext) -> Option<()> {
    let dentry = match config!(arguments.d_alloc_return) {
        2 => number::<2>(&ctx)?,
        3 => number::<3>(&ctx)?,
        _ => return None,
    };
    named(dentry)
}

#[fexit(function = "d_alloc_parallel")]
pub fn d_alloc_parallel_fexit(ctx: FExitContext) -> Option<()> {
    let dentry = match config!(arguments.d_alloc_parallel_return) {
        2 => number::<2>(&ctx)?,
        3 => number::<3>(&ctx)?,
        _ => return None,
    };
    named(dentry)
}

/// For both functions, where trampolines are refused.
#[kretprobe]
pub fn d_alloc_kretprobe(ctx: RetProbeContext) -> Option<()> {
    named(ctx.ret())
}

/// Logs nothing: in an fexit program the dentry is a typed pointer, which the verifier does not let us format.
#[inline(always)]
fn named(dentry: u64) -> Option<()> {
    if config!(caches.names) == 0 || !filter::follows(dentry) {
        return None;
    }
    filter::traced_task()?;
    let parent: u64 = kernel::read(dentry + u64::from(config!(offsets.dentry_parent)))?;
    let names = Names { dentry, parent, name: name_of(dentry)?, parent_name: name_of(parent)? };
    let cpu = ThisCpu::get()?;
    if names.fit(SHORT_NAME_LEN as u32) {
        emit::name(cpu, KIND_SHORT_NAME, dentry, |event| names.write::<SHORT_NAME_LEN>(event))
    } else {
        emit::name(cpu, KIND_LONG_NAME, dentry, |event| names.write::<LONG_NAME_LEN>(event))
    }
}

/// Where a dentry's name is: the kernel's `struct qstr`.
#[derive(Clone, Copy)]
struct Name {
    address: u64,
    len: u32,
}

struct Names {
    dentry: u64,
    parent: u64,
    name: Name,
    parent_name: Name,
}

fn name_of(dentry: u64) -> Option<Name> {
    Some(Name {
        address: kernel::read(dentry + u64::from(config!(offsets.dentry_name)))?,
        len: kernel::read(dentry + u64::from(config!(offsets.dentry_name_len)))?,
    })
}

impl Names {
    fn fit(&self, room: u32) -> bool {
        self.name.len <= room && self.parent_name.len <= room
    }

    #[inline(always)]
    fn write<const N: usize>(&self, event: *mut NameEvent<N>) {
        // SAFETY: `event` is a reserved record of this type.
        unsafe {
            (&raw mut (*event).dentry).write(self.dentry);
            (&raw mut (*event).parent).write(self.parent);
            (&raw mut (*event).name_len).write(self.name.len);
            (&raw mut (*event).parent_name_len).write(self.parent_name.len);
            kernel::read_bytes(&raw mut (*event).name, self.name.address, self.name.len);
            kernel::read_bytes(&raw mut (*event).parent_name, self.parent_name.address, self.parent_name.len);
        }
    }
}
