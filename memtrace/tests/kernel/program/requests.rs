//! Requests of io_uring, which the kernel allocates in bulk: to wait for something that does not happen, or to be left to a
//! worker.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::event::{EventfdFlags, eventfd};

use super::{Held, Prepared, objects::MADE};

/// Requests that go to the kernel at once.
pub const AT_ONCE: u32 = 64;

const IORING_OFF_SQES: libc::off_t = 0x1000_0000;
const IORING_OP_POLL_ADD: u8 = 6;
const IORING_OP_OPENAT: u8 = 18;
/// Not tried at once, but left to a worker.
const IOSQE_ASYNC: u8 = 1 << 4;
const IORING_ENTER_GETEVENTS: u32 = 1;

pub fn requests(count: usize) -> Prepared {
    let ring = Ring::new().expect("the kernel has io_uring");
    let never = eventfd(0, EventfdFlags::empty()).expect(MADE);
    Box::new(move || {
        for _ in 0..count / AT_ONCE as usize {
            ring.wait_for(&never).expect(MADE);
        }
        Box::new((ring, never)) as Held
    })
}

/// The files stay open until the process ends.
pub fn open_by_workers() -> Prepared {
    let ring = Ring::new().expect("the kernel has io_uring");
    Box::new(move || {
        ring.open_by_workers(c"/dev/null").expect(MADE);
        Box::new(ring) as Held
    })
}

/// `struct io_uring_params`.
#[repr(C)]
#[derive(Default)]
struct Parameters {
    /// Up to the offsets.
    sizes_and_flags: [u32; 10],
    submission: SubmissionOffsets,
    completion_offsets: [u32; 10],
}

/// `struct io_sqring_offsets`.
#[repr(C)]
#[derive(Default)]
struct SubmissionOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    flags: u32,
    dropped: u32,
    array: u32,
    reserved: [u32; 3],
}

/// `struct io_uring_sqe`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Submission {
    opcode: u8,
    flags: u8,
    ioprio: u16,
    fd: i32,
    offset: u64,
    address: u64,
    len: u32,
    op_flags: u32,
    rest: [u64; 4],
}

const _: () = assert!(size_of::<Parameters>() == 120 && size_of::<Submission>() == 64);

/// Only what submits. It stays mapped, so the kernel keeps it and its requests until the process has ended.
struct Ring {
    fd: OwnedFd,
    tail: *const AtomicU32,
    array: *mut u32,
    submissions: *mut Submission,
}

impl Ring {
    fn new() -> io::Result<Self> {
        let mut parameters = Parameters::default();
        // SAFETY: the parameters live and are as the kernel wants them.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, AT_ONCE, &raw mut parameters) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel gave it to us just now.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        let SubmissionOffsets { tail, array, .. } = parameters.submission;
        let entries = AT_ONCE as usize;
        let ring = map(&fd, array as usize + entries * size_of::<u32>(), 0)?;
        let submissions = map(&fd, entries * size_of::<Submission>(), IORING_OFF_SQES)?;
        Ok(Self {
            tail: ring.wrapping_byte_add(tail as usize).cast(),
            array: ring.wrapping_byte_add(array as usize).cast(),
            submissions: submissions.cast(),
            fd,
        })
    }

    /// Submits requests to tell when this can be read.
    fn wait_for(&self, event: &OwnedFd) -> io::Result<()> {
        let (fd, op_flags) = (event.as_raw_fd(), libc::POLLIN as u32);
        self.submit(Submission { opcode: IORING_OP_POLL_ADD, fd, op_flags, ..Submission::default() }, 0)
    }

    /// Submits requests to open this, and waits until it is.
    fn open_by_workers(&self, path: &'static CStr) -> io::Result<()> {
        let open = Submission {
            opcode: IORING_OP_OPENAT,
            flags: IOSQE_ASYNC,
            fd: libc::AT_FDCWD,
            address: path.as_ptr() as u64,
            op_flags: libc::O_RDONLY as u32,
            ..Submission::default()
        };
        self.submit(open, AT_ONCE)
    }

    /// Submits so many of the same, and waits until so many are done.
    fn submit(&self, submission: Submission, done: u32) -> io::Result<()> {
        for index in 0..AT_ONCE {
            // SAFETY: both are mapped and have so many entries, which the kernel does not read before it is told to.
            unsafe {
                self.submissions.add(index as usize).write(submission);
                self.array.add(index as usize).write(index);
            }
        }
        // SAFETY: it is mapped and aligned, and the kernel accesses it atomically.
        unsafe { &*self.tail }.fetch_add(AT_ONCE, Ordering::Release);
        let ring = self.fd.as_raw_fd();
        // SAFETY: no pointers but null.
        let taken = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                ring,
                AT_ONCE,
                done,
                IORING_ENTER_GETEVENTS,
                ptr::null::<libc::sigset_t>(),
                0,
            )
        };
        match taken {
            taken if taken < 0 => Err(io::Error::last_os_error()),
            taken => {
                assert_eq!(taken, libc::c_long::from(AT_ONCE), "requests that the kernel took");
                Ok(())
            }
        }
    }
}

/// A part of the ring, mapped until the process ends.
fn map(fd: &OwnedFd, len: usize, offset: libc::off_t) -> io::Result<*mut libc::c_void> {
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the kernel chooses a place that nobody uses.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, rights, libc::MAP_SHARED, fd.as_raw_fd(), offset) };
    if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(start) }
}
