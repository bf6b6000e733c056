//! The few commands of bpf(2) that the bench gives itself: its programs are a few instructions, and no loader takes them
//! without an object file around them.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_map_type, bpf_prog_info, bpf_prog_type, bpf_stats_type};

/// An instruction as the kernel takes it: code, registers (source << 4 | destination), offset, immediate.
type Instruction = [u8; 8];

const fn instruction(code: u8, registers: u8, offset: u8, immediate: i32) -> Instruction {
    let [a, b, c, d] = immediate.to_le_bytes();
    [code, registers, offset, 0, a, b, c, d]
}

const R0_IS_0: Instruction = instruction(0xb7, 0x00, 0, 0);
const EXIT: Instruction = instruction(0x95, 0, 0, 0);

const BPF_RINGBUF_RESERVE: i32 = 131;
const BPF_RINGBUF_SUBMIT: i32 = 132;
const BPF_RB_NO_WAKEUP: i32 = 1;

/// Loads a program for raw tracepoints that does nothing.
pub fn load_empty() -> io::Result<OwnedFd> {
    load(&[R0_IS_0, EXIT])
}

/// Loads a program for raw tracepoints that writes so many words of 8 bytes into a ring buffer, and nothing else.
pub fn load_writer(ring: BorrowedFd, words: u8) -> io::Result<OwnedFd> {
    let mut program = vec![
        // r1 = the map, in two halves
        instruction(0x18, 0x11, 0, ring.as_raw_fd()),
        instruction(0, 0, 0, 0),
        instruction(0xb7, 0x02, 0, i32::from(words) * 8),
        instruction(0xb7, 0x03, 0, 0),
        instruction(0x85, 0, 0, BPF_RINGBUF_RESERVE),
        // if r0 == 0, past all but the end
        instruction(0x15, 0x00, words + 3, 0),
    ];
    // *(u64 *)(r0 + offset) = 1
    program.extend((0..words).map(|word| instruction(0x7a, 0x00, word * 8, 1)));
    program.extend([
        // r1 = r0
        instruction(0xbf, 0x01, 0, 0),
        instruction(0xb7, 0x02, 0, BPF_RB_NO_WAKEUP),
        instruction(0x85, 0, 0, BPF_RINGBUF_SUBMIT),
        R0_IS_0,
        EXIT,
    ]);
    load(&program)
}

/// Makes a ring buffer of so many bytes, a power of two.
pub fn ring_buffer(bytes: u32) -> io::Result<OwnedFd> {
    let mut attr = empty_attr();
    // SAFETY: this member is plain data, and all of the union is initialised.
    let create = unsafe { &mut attr.__bindgen_anon_1 };
    create.map_type = bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32;
    create.max_entries = bytes;
    bpf_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr)
}

fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let license = c"GPL";
    let mut attr = empty_attr();
    // SAFETY: this member is plain data, and all of the union is initialised.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT as u32;
    load.insn_cnt = program.len() as u32;
    load.insns = program.as_ptr() as u64;
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
