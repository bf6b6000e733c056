//! Names of new dentries, read as the functions that make them return, and joined to the object by its address.
//!
//! `d_alloc_parallel` makes the dentries of lookups. Since Linux commit e95db51c81f5 (in v6.17, and in stable kernels
//! from October 2025) it no longer calls `d_alloc`; before, a dentry passes both. Sending its name twice is harmless,
//! because a name labels an object and is not counted itself.

use aya_ebpf::{
    macros::{fexit, kretprobe},
    programs::{FExitContext, RetProbeContext},
};
use memtrace_common::{
    cpu_ring::writer,
    event::{LONG_NAME_LEN, SHORT_NAME_LEN},
};

use crate::{config::config, context::number, emit, filter, kernel};

#[fexit(function = "d_alloc")]
pub fn d_alloc_fexit(ctx: FExitContext) -> Option<()> {
    let dentry = match config!(arguments.d_alloc_return) {
        2 => number::<2>(&ctx)?,
        3 => number::<3>(&ctx)?,
        _ => return None,
    };
    named(writer::D_ALLOC_FEXIT, dentry)
}

#[fexit(function = "d_alloc_parallel")]
pub fn d_alloc_parallel_fexit(ctx: FExitContext) -> Option<()> {
    let dentry = match config!(arguments.d_alloc_parallel_return) {
        2 => number::<2>(&ctx)?,
        3 => number::<3>(&ctx)?,
        _ => return None,
    };
    named(writer::D_ALLOC_PARALLEL_FEXIT, dentry)
}

/// For both functions, where trampolines are refused.
#[kretprobe]
pub fn d_alloc_kretprobe(ctx: RetProbeContext) -> Option<()> {
    named(writer::D_ALLOC_KRETPROBE, ctx.ret())
}

/// Logs nothing: in an fexit program the dentry is a typed pointer, which the verifier does not let us format.
#[inline(always)]
fn named(writer: usize, dentry: u64) -> Option<()> {
    if config!(caches.names) == 0 || !filter::follows(dentry) {
        return None;
    }
    filter::traced_task()?;
    let parent: u64 = kernel::read(dentry + u64::from(config!(offsets.dentry_parent)))?;
    let names = Names { dentry, parent, name: name_of(dentry)?, parent_name: name_of(parent)? };
    if names.fit(SHORT_NAME_LEN as u32) {
        names.emit::<SHORT_NAME_LEN>(writer)
    } else {
        names.emit::<LONG_NAME_LEN>(writer)
    }
}

/// Where a dentry's name is: the kernel's `struct qstr`.
#[derive(Clone, Copy)]
struct Name {
    address: u64,
    len: u32,
}

#[derive(Clone, Copy)]
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
    fn emit<const N: usize>(&self, writer: usize) -> Option<()> {
        let Self { dentry, parent, name, parent_name } = *self;
        let names = emit::Names { dentry, parent, name_len: name.len, parent_name_len: parent_name.len };
        emit::name::<N>(writer, names, |to, parent_to| {
            kernel::read_bytes(to, name.address, name.len);
            kernel::read_bytes(parent_to, parent_name.address, parent_name.len);
        })
    }
}
