//! The eBPF object that is built into this binary.

use std::{borrow::Cow, ops::Range, ptr, slice};

use aya::{
    Ebpf,
    programs::{Program, ProgramError},
};
use memtrace_common::{config::Config, names::global};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind, read::elf::ElfFile64};

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

/// The object, or a copy of it that was changed before it is loaded.
pub struct Object(Cow<'static, [u8]>);

impl Object {
    pub fn built_in() -> Self {
        Self(Cow::Borrowed(OBJECT))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// For sessions without rings for each CPU. Before Linux commit 5ffa25502b5a ("bpf: Add instructions for
    /// atomic_[cmp]xchg") (in v5.12) the kernel refuses a program with a compare-and-swap even where it never runs, as that for these
    /// rings does not then: it becomes an instruction that does nothing.
    pub fn without_swaps(mut self) -> Self {
        let bytes = self.0.to_mut();
        for code in code_sections(bytes) {
            let mut at = code.start;
            while let Some(instruction) = bytes.get_mut(at..at + INSTRUCTION).filter(|_| at < code.end) {
                if instruction[0] == ATOMIC && instruction[4..] == COMPARE_AND_SWAP {
                    instruction.copy_from_slice(&NOTHING);
                }
                at += if instruction[0] == LOAD_LONG { 2 * INSTRUCTION } else { INSTRUCTION };
            }
        }
        self
    }

    /// The verifier knows it: what it leaves out is not even in the programs. aya could set it too, but its loader, of which there is one,
    /// would have to borrow it for good.
    pub fn with_config(mut self, config: &Config) -> Self {
        // SAFETY: it is plain data of so many bytes, as `Pod` says, and lives as long as this slice.
        let config =
            unsafe { slice::from_raw_parts(ptr::from_ref(config).cast::<u8>(), size_of::<Config>()) };
        let place = global_variable(&self.0, global::CONFIG)
            .expect("the object has it: both are built from one tree");
        self.0.to_mut()[place].copy_from_slice(config);
        self
    }
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

fn elf(file: &[u8]) -> ElfFile64<'_> {
    ElfFile64::parse(file).expect("the linker writes such files")
}

/// Where a file has code.
fn code_sections(file: &[u8]) -> Vec<Range<usize>> {
    let elf = elf(file);
    let code = elf.sections().filter(|section| section.kind() == SectionKind::Text);
    code.filter_map(|section| Some(range(section.file_range()?))).collect()
}

/// Where a file has what a variable is at first.
fn global_variable(file: &[u8], name: &str) -> Option<Range<usize>> {
    let elf = elf(file);
    let symbol = elf.symbol_by_name(name)?;
    let section = elf.section_by_index(symbol.section_index()?).ok()?;
    let (start, _) = section.file_range()?;
    // In a file that is not linked yet, an address is a place in its section.
    Some(range((start + symbol.address(), symbol.size())))
}

fn range((start, bytes): (u64, u64)) -> Range<usize> {
    start as usize..(start + bytes) as usize
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
    use memtrace_common::config::Pages;

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
        let without = Object::built_in().without_swaps();
        assert!(swaps(OBJECT) > 0, "allocations note their time");
        assert_eq!((swaps(without.bytes()), without.bytes().len()), (0, OBJECT.len()));
        let changed = OBJECT.iter().zip(without.bytes()).filter(|(a, b)| a != b).count();
        assert!(changed <= swaps(OBJECT) * INSTRUCTION, "nothing else is touched");
    }

    #[test]
    fn a_configuration_is_where_the_programs_read_it() {
        if ensure_built().is_err() {
            return;
        }
        let pages = Pages { page_shift: 0x7654_3210, ..Pages::default() };
        let config = Config { pages, ..Config::default() };
        let configured = Object::built_in().with_config(&config);
        let place = global_variable(OBJECT, global::CONFIG).unwrap();
        assert_eq!(place.len(), size_of::<Config>());
        let changed: Vec<_> = (0..OBJECT.len()).filter(|&at| OBJECT[at] != configured.bytes()[at]).collect();
        assert!(!changed.is_empty() && changed.iter().all(|at| place.contains(at)), "{changed:?}");
    }
}
