//! Records in the ring buffer. Each starts with a [`Header`]; its `kind` says which record follows.

use crate::{COMM_LEN, generation::CacheId};

/// An object was handed out by its slab cache: an [`AllocEvent`].
pub const KIND_ALLOC: u16 = 1;
/// An object was given back to its slab cache: a [`FreeEvent`].
pub const KIND_FREE: u16 = 2;
/// A dentry was given its name, both names short: a [`ShortNameEvent`].
pub const KIND_SHORT_NAME: u16 = 3;
/// A dentry was given its name: a [`LongNameEvent`].
pub const KIND_LONG_NAME: u16 = 4;

/// A process was made: a [`ForkEvent`].
pub const KIND_FORK: u16 = 5;
/// A process became another program: an [`ExecEvent`].
pub const KIND_EXEC: u16 = 6;
/// A process ended: an [`ExitEvent`].
pub const KIND_EXIT: u16 = 7;

/// An object was handed out, with its stack: an [`AllocStackEvent`].
pub const KIND_ALLOC_STACK: u16 = 8;

/// In [`AllocEvent`]: the current task was a kernel thread (`PF_KTHREAD`).
pub const FLAG_KTHREAD: u16 = 1 << 0;
/// In [`AllocEvent`]: the current task was a worker of io_uring (`PF_IO_WORKER`).
pub const FLAG_IO_WORKER: u16 = 1 << 2;
/// Sent by a backup program, which may repeat an allocation or a free that the probe sent.
pub const FLAG_MAY_REPEAT: u16 = 1 << 1;

/// Instead of a cache's address where it is unknown: it may be one that is not traced.
pub const NO_CACHE: u64 = 0;

/// [`AllocEvent::gfp`] where it is not known. No allocation has all flags.
pub const NO_GFP: u32 = u32::MAX;

/// The kernel's `NAME_MAX`: the longest file name, in bytes, without a terminating NUL.
pub const NAME_MAX: usize = 255;
/// Room in a [`ShortNameEvent`]. Most file names fit, and so do all inline dentry names (`DNAME_INLINE_LEN` is 40 at most).
pub const SHORT_NAME_LEN: usize = 48;
/// Room in a [`LongNameEvent`]: [`NAME_MAX`], rounded up to keep the record free of padding.
pub const LONG_NAME_LEN: usize = 256;

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: u16,
    pub flags: u16,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocEvent {
    pub header: Header,
    /// Process (thread group) of the current task, 0 for the idle task.
    pub tgid: u32,
    /// Address of the object.
    pub ptr: u64,
    /// `bpf_ktime_get_ns`: nanoseconds of CLOCK_MONOTONIC.
    pub time_ns: u64,
    pub cache: CacheId,
    /// Where the kernel called the allocator; 0 where that is not known.
    pub call_site: u64,
    /// The current task's cgroup: its kernfs id, 1 for the root. In the hierarchy that charges memory: see [`crate::config::Cgroups`].
    pub cgroup: u64,
    /// Command name of the process, NUL-terminated unless the kernel says otherwise.
    pub comm: [u8; COMM_LEN],
    /// [`start_tag`] of the process.
    pub started: u32,
    /// The allocation's flags, `gfp_t`; [`NO_GFP`] where they are not known.
    pub gfp: u32,
}

/// Calls of a stack that a record carries, at most, the innermost first.
pub const MAX_FRAMES: usize = 32;

/// A call of a process, as a place in a file. The kernel looks it up while the process exists, so userspace does not have to. The
/// kernel's `struct bpf_stack_build_id` (since 615755a77b24).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserCall {
    /// [`IN_FILE`] or [`AT_ADDRESS`].
    pub status: i32,
    /// Of the file.
    pub build_id: [u8; BUILD_ID_LEN],
    /// How many bytes from the file's start; or the address.
    pub place: u64,
}

pub const BUILD_ID_LEN: usize = 20;

/// The file has a build id (`BPF_STACK_BUILD_ID_VALID`).
pub const IN_FILE: i32 = 1;
/// It has none, there is no file, or it could not be looked at then (`BPF_STACK_BUILD_ID_IP`).
pub const AT_ADDRESS: i32 = 2;

/// An [`AllocEvent`], with the calls that led to it, the innermost first.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocStackEvent {
    /// Its kind is [`KIND_ALLOC_STACK`].
    pub alloc: AllocEvent,
    /// How many bytes of `kernel` and of `user` are filled; negative where there is no stack.
    pub kernel_len: i32,
    pub user_len: i32,
    /// Addresses.
    pub kernel: [u64; MAX_FRAMES],
    pub user: [UserCall; MAX_FRAMES],
}

/// Has no time: all events of an object are in one ring, in the order in which they happened.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeEvent {
    pub header: Header,
    /// [`cache_tag`] of its cache, or of [`NO_CACHE`].
    pub cache_tag: u32,
    /// Address of the object.
    pub ptr: u64,
}

/// A process was made by another; a new thread is none.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkEvent {
    pub header: Header,
    pub tgid: u32,
    /// [`start_tag`] of the process.
    pub started: u32,
    /// The process that counts as its parent, and when that started.
    pub parent_tgid: u32,
    pub parent_started: u32,
    pub reserved: u32,
    /// Command name of the parent.
    pub parent_comm: [u8; COMM_LEN],
}

/// Room for the path of a program, as it was asked for.
pub const PATH_LEN: usize = 128;
/// Room for a command line: arguments, each with a NUL behind it.
pub const ARGUMENTS_LEN: usize = 256;

/// A process became another program.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecEvent {
    pub header: Header,
    pub tgid: u32,
    pub started: u32,
    pub parent_tgid: u32,
    pub parent_started: u32,
    /// How long `path` is with its NUL; 0 where it cannot be read.
    pub path_len: u32,
    /// How long the command line is; more than [`ARGUMENTS_LEN`] means that `arguments` is cut, 0 that it cannot be read.
    pub arguments_len: u32,
    pub reserved: u32,
    pub comm: [u8; COMM_LEN],
    pub path: [u8; PATH_LEN],
    pub arguments: [u8; ARGUMENTS_LEN],
}

/// The first thread of a process ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitEvent {
    pub header: Header,
    pub tgid: u32,
    pub started: u32,
    pub reserved: u32,
}

/// When a process started, in 65.5 us since boot, suspend included: with its number it is the process, since numbers are
/// used again. Only the lower 32 bits, which come again after 78 hours: the same number would have to, too.
#[inline(always)]
pub const fn start_tag(start_boottime_ns: u64) -> u32 {
    (start_boottime_ns >> START_TAG_SHIFT) as u32
}

/// Nanoseconds in one step of [`start_tag`], as a power of two.
pub const START_TAG_SHIFT: u32 = 16;

/// A dentry's name and that of its parent directory, `N` bytes of room for each.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameEvent<const N: usize> {
    pub header: Header,
    pub reserved: u32,
    /// Address of the dentry: the object that the name belongs to.
    pub dentry: u64,
    /// Address of the parent's dentry; the dentry's own for a root.
    pub parent: u64,
    /// The name's full length in bytes; more than `N` means that `name` is cut.
    pub name_len: u32,
    /// The parent name's full length in bytes; more than `N` means that `parent_name` is cut.
    pub parent_name_len: u32,
    pub name: [u8; N],
    pub parent_name: [u8; N],
}

/// What a free says of its cache, in the four bytes that its record has to spare. A `struct kmem_cache` is aligned to
/// a cache line, so two have the same tag only where they lie 256 GiB apart.
#[inline(always)]
pub const fn cache_tag(cache: u64) -> u32 {
    (cache >> 6) as u32
}

pub type ShortNameEvent = NameEvent<SHORT_NAME_LEN>;
pub type LongNameEvent = NameEvent<LONG_NAME_LEN>;

const _: () = {
    assert!(size_of::<Header>() == 4);
    assert!(size_of::<AllocEvent>() == 72);
    assert!(size_of::<AllocStackEvent>() == 72 + 8 + (8 + 32) * MAX_FRAMES);
    assert!(size_of::<ForkEvent>() == 40);
    assert!(size_of::<ExecEvent>() == 32 + 16 + 128 + 256 && size_of::<ExitEvent>() == 16);
    assert!(size_of::<FreeEvent>() == 16);
    assert!(size_of::<ShortNameEvent>() == 32 + 2 * SHORT_NAME_LEN);
    assert!(size_of::<LongNameEvent>() == 32 + 2 * LONG_NAME_LEN);
    // A ring buffer record is aligned to 8 bytes and no more.
    assert!(align_of::<AllocEvent>() == 8 && align_of::<LongNameEvent>() == 8);
};
