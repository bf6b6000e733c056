//! The eBPF object that is built into this binary.

use std::ops::Range;

use aya::{
    Ebpf,
    programs::{Program, ProgramError},
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/memtrace.bpf.o"));

#[derive(Debug, thiserror::Error)]
#[error(
    "this binary was built without its eBPF programs: run `cargo xtask build-ebpf`, then build memtrace again"
)]
pub struct NotBuilt;

/// Where the object was never built, it is empty, so that the crate can be checked without it.
pub fn ensure_built() -> Result<(), NotBuilt> {
    if OBJECT.is_empty() { Err(NotBuilt) } else { Ok(()) }
}

pub fn bytes() -> &'static [u8] {
    OBJECT
}

/// The object for sessions without rings for each CPU. Before Linux commit 5ffa25502b5a ("bpf: Add instructions for
/// atomic_[cmp]xchg") (in v5.12) the kernel refuses a program with a compare-and-swap even where it never runs, as that for these
/// rings does not then: it becomes an instruction that does nothing.
pub fn bytes_without_swaps() -> Vec<u8> {
    let mut bytes = OBJECT.to_vec();
    for code in code_sections(OBJECT) {
        let mut at = code.start;
        while let Some(instruction) = bytes.get_mut(at..at + INSTRUCTION).filter(|_| at < code.end) {
            if instruction[0] == ATOMIC && instruction[4..] == COMPARE_AND_SWAP {
                instruction.copy_from_slice(&NOTHING);
            }
            at += if instruction[0] == LOAD_LONG { 2 * INSTRUCTION } else { INSTRUCTION };
        }
    }
    bytes
}

/// Bytes of an instruction, and of half of one that loads 64 bits.
const INSTRUCTION: usize = 8;
/// `BPF_LD | BPF_IMM | BPF_DW`
const LOAD_LONG: u8 = 0x18;
/// `BPF_STX | BPF_ATOMIC | BPF_DW`
const ATOMIC: u8 = 0xdb;
/// `BPF_CMPXCHG`
const COMPARE_AND_SWAP: [u8; 4] = 0xf1_u32.to_le_bytes();
/// `r0 = r0`
const NOTHING: [u8; INSTRUCTION] = [0xbf, 0, 0, 0, 0, 0, 0, 0];

/// Where an ELF file has code: by its table of sections (`Elf64_Shdr`).
fn code_sections(file: &[u8]) -> Vec<Range<usize>> {
    const EXECUTABLE: usize = 4;
    let number = |at: usize, len: usize| {
        let bytes = file.get(at..at + len)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    let table = || Some((number(0x28, 8)?, number(0x3a, 2)?, number(0x3c, 2)?));
    let (start, len, count) = table().unwrap_or_default();
    let code = |section: usize| {
        let at = start + section * len;
        let (flags, offset, bytes) = (number(at + 8, 8)?, number(at + 24, 8)?, number(at + 32, 8)?);
        (flags & EXECUTABLE != 0).then_some(offset..offset + bytes)
    };
    (0..count).filter_map(code).collect()
}

/// The program of this name.
///
/// # Panics
/// When the object has no such program or it is of another type: both are built from one tree.
pub fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> &'a mut P
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name).unwrap_or_else(|| panic!("the object has no program `{name}`"));
    program.try_into().unwrap_or_else(|error| panic!("program `{name}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swaps(bytes: &[u8]) -> usize {
        let of_code = |code: Range<usize>| {
            let instructions = bytes[code].as_chunks::<INSTRUCTION>().0.iter();
            instructions.filter(|it| it[0] == ATOMIC && it[4..] == COMPARE_AND_SWAP).count()
        };
        code_sections(bytes).into_iter().map(of_code).sum()
    }

    #[test]
    fn old_kernels_see_no_swap() {
        if ensure_built().is_err() {
            return;
        }
        let without = bytes_without_swaps();
        assert!(swaps(OBJECT) > 0, "allocations note their time");
        assert_eq!((swaps(&without), without.len()), (0, OBJECT.len()));
        let changed = OBJECT.iter().zip(&without).filter(|(a, b)| a != b).count();
        assert!(changed <= swaps(OBJECT) * INSTRUCTION, "nothing else is touched");
    }
}
