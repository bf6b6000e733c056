//! The few commands of bpf(2) that the bench gives itself: an empty program is two instructions, and no loader takes it
//! without an object file around it.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_prog_info, bpf_prog_type, bpf_stats_type};

/// `r0 = 0; exit`, as the kernel takes instructions: code, registers, offset, immediate.
const EMPTY: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];

/// Loads a program for raw tracepoints that does nothing.
pub fn load_empty() -> io::Result<OwnedFd> {
    let license = c"GPL";
    let mut attr = empty_attr();
    // SAFETY: this member is plain data, and all of the union is initialised.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT as u32;
    load.insn_cnt = EMPTY.len() as u32;
    load.insns = EMPTY.as_ptr() as u64;
    load.license = license.as_ptr() as u64;
    bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr)
}

/// Attaches a program to a raw tracepoint, for as long as what is returned is open.
pub fn attach(program: BorrowedFd, tracepoint: &CStr) -> io::Result<OwnedFd> {
    let mut attr = empty_attr();
    // SAFETY: as above.
    let open = unsafe { &mut attr.raw_tracepoint };
    open.name = tracepoint.as_ptr() as u64;
    open.prog_fd = program.as_raw_fd() as u32;
    bpf_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// Has the kernel measure each run of every program, for as long as what is returned is open.
pub fn enable_stats() -> io::Result<OwnedFd> {
    let mut attr = empty_attr();
    attr.enable_stats.type_ = bpf_stats_type::BPF_STATS_RUN_TIME as u32;
    bpf_fd(bpf_cmd::BPF_ENABLE_STATS, &mut attr)
}

pub fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let mut attr = empty_attr();
    attr.__bindgen_anon_6.__bindgen_anon_1.prog_id = id;
    bpf_fd(bpf_cmd::BPF_PROG_GET_FD_BY_ID, &mut attr)
}

/// What the kernel knows of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// 15 bytes at most.
    pub name: String,
    pub runs: u64,
    /// Of all runs while statistics were on.
    pub run_time_ns: u64,
    pub recursion_misses: u64,
    /// How many instructions the verifier walked over; 0 where the kernel does not say.
    pub verified_insns: u32,
    /// Instructions after verification.
    pub insns: u32,
    /// Bytes of machine code.
    pub jited_bytes: u32,
}

pub fn info(program: BorrowedFd) -> io::Result<ProgramInfo> {
    // SAFETY: all zeroes is a value of this plain struct.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    let mut attr = empty_attr();
    attr.info.bpf_fd = program.as_raw_fd() as u32;
    attr.info.info_len = size_of::<bpf_prog_info>() as u32;
    attr.info.info = (&raw mut info) as u64;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    let name = info.name.iter().map(|&c| c as u8).take_while(|&c| c != 0).collect::<Vec<_>>();
    Ok(ProgramInfo {
        name: String::from_utf8_lossy(&name).into_owned(),
        runs: info.run_cnt,
        run_time_ns: info.run_time_ns,
        recursion_misses: info.recursion_misses,
        verified_insns: info.verified_insns,
        insns: info.xlated_prog_len / 8,
        jited_bytes: info.jited_prog_len,
    })
}

/// The kernel wants what it does not know to be 0.
fn empty_attr() -> bpf_attr {
    // SAFETY: all zeroes is a value of every member.
    unsafe { std::mem::zeroed() }
}

fn bpf_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: these commands return a new descriptor that is ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: `attr` is initialised, of the size that we say, and points only to what lives until we return.
    let returned = unsafe {
        libc::syscall(libc::SYS_bpf, command as libc::c_long, std::ptr::from_mut(attr), size_of::<bpf_attr>())
    };
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned as i32) }
}
