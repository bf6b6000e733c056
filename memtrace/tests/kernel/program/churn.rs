//! Objects that are gone as soon as they were made, or with their process.

use std::{mem, net::UdpSocket, ptr};

use super::Prepared;

/// Areas that a process has at a time. Each is of other rights than its neighbours, or the kernel would make them one.
const AREAS: usize = 64;
const RIGHTS: [libc::c_int; 2] = [libc::PROT_READ, libc::PROT_READ | libc::PROT_WRITE];

/// Maps and unmaps memory: objects of `vm_area_struct` and `maple_node`.
pub fn mappings(count: usize) -> Prepared {
    Box::new(move || {
        for _ in 0..count / AREAS {
            drop(map_areas(AREAS));
        }
        Box::new(())
    })
}

pub fn areas(count: usize) -> Prepared {
    Box::new(move || {
        map_areas(count).into_iter().for_each(mem::forget);
        Box::new(())
    })
}

fn map_areas(count: usize) -> Vec<Area> {
    (0..count).map(|number| Area::new(RIGHTS[number % RIGHTS.len()])).collect()
}

struct Area(*mut libc::c_void);

impl Area {
    /// Smaller than any page, so it is one.
    const SIZE: usize = 1;

    fn new(rights: libc::c_int) -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: the kernel chooses a place that nobody uses.
        let address = unsafe { libc::mmap(ptr::null_mut(), Self::SIZE, rights, flags, -1, 0) };
        assert_ne!(address, libc::MAP_FAILED, "there is room for some pages");
        Self(address)
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody else knows it.
        unsafe { libc::munmap(self.0, Self::SIZE) };
    }
}

/// Sends datagrams to itself and receives each at once: objects of the network buffers' caches.
pub fn datagrams(count: usize) -> Prepared {
    let socket = || UdpSocket::bind(("127.0.0.1", 0)).expect("the loopback device is up");
    let (from, to) = (socket(), socket());
    let address = to.local_addr().expect("it is bound");
    Box::new(move || {
        let mut buffer = [0; 100];
        for _ in 0..count {
            from.send_to(&buffer, address).expect("the queue is empty");
            to.recv(&mut buffer).expect("one was sent");
        }
        Box::new((from, to))
    })
}
