//! A cgroup's directory by its number, however many cgroups there are.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd},
    path::PathBuf,
};

use crate::stream::event::CgroupId;

/// `FILEID_KERNFS`: Linux commit 33c5ac9175195 ("kernfs: implement custom exportfs ops and fid type") (in v5.5).
const FILEID_KERNFS: i32 = 0xfe;

/// The kernel's `struct file_handle` with a number of kernfs.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    id: CgroupId,
}

/// Opens the directory with this number in the filesystem that `mount` is in; needs CAP_DAC_READ_SEARCH.
pub fn directory(mount: impl AsFd, id: CgroupId) -> io::Result<PathBuf> {
    let mut handle = Handle { bytes: size_of::<CgroupId>() as u32, kind: FILEID_KERNFS, id };
    // SAFETY: the handle is as long as it says, and the kernel only reads it.
    let fd = unsafe {
        libc::open_by_handle_at(
            mount.as_fd().as_raw_fd(),
            (&raw mut handle).cast(),
            libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just returned it, and nothing else owns it.
    let directory = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}
