//! Reads the kernel's memory on demand, through the `peek` program: what drgn does through /proc/kcore, on hosts that have none.
//! Reads race with the kernel, so callers check what they find; a bad address is an error, never a fault.

use std::{
    error::Error,
    os::fd::{AsFd as _, BorrowedFd},
};

use aya::{
    Ebpf, EbpfError, TestRun as _,
    maps::{Array, Map, MapData, MapError},
    programs::{ProgramError, RawTracePoint, RawTracePointRunOptions},
};
use memtrace_common::{
    names,
    peek::{PEEK_CURRENT_TASK, PEEK_LEN, PEEK_THIS_CPU, Peek},
};
use rustix::io::Errno;

use super::{
    loader,
    object::{self, Object},
    reason::{refusal, root_cause},
};

/// Longer names of kernel objects than this are damaged.
const NAME_LEN: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    #[error("cannot load the program that reads kernel memory: {why}", why = root_cause(.0))]
    Load(#[from] EbpfError),
    #[error("the kernel rejects the program that reads kernel memory: {why}", why = refusal(.0))]
    Refused(#[source] ProgramError),
    #[error(
        "the kernel cannot run programs on request (BPF_PROG_TEST_RUN for raw tracepoints, Linux 5.10 or later): {0}"
    )]
    TestRun(#[source] ProgramError),
    #[error("cannot read the result of the program that reads kernel memory: {0}")]
    Answer(#[from] MapError),
    #[error("kernel address {0:#x} is not readable")]
    Fault(u64),
}

impl MemoryError {
    /// The errno that caused the error, if one did.
    pub fn errno(&self) -> Option<Errno> {
        let mut cause: Option<&dyn Error> = Some(self);
        while let Some(error) = cause {
            if let Some(errno) = error.downcast_ref().and_then(Errno::from_io_error) {
                return Some(errno);
            }
            cause = error.source();
        }
        None
    }

    /// Whether it is about creating a ring buffer.
    pub fn is_about_a_ring(&self) -> bool {
        let Self::Load(EbpfError::MapError(MapError::CreateError { name, .. })) = self else { return false };
        name.starts_with(names::map::RINGS) || name == names::map::LOGS
    }
}

/// Memory that can be read by its kernel addresses.
pub trait Readable {
    /// Fills `bytes` from the memory at `address`.
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), MemoryError>;

    fn u64(&self, address: u64) -> Result<u64, MemoryError> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn u32(&self, address: u64) -> Result<u32, MemoryError> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    /// Reads a NUL-terminated string, cut after [`NAME_LEN`] bytes or before an address that is not readable.
    fn string(&self, address: u64) -> Result<Vec<u8>, MemoryError> {
        const STEP: usize = 32;
        let mut string = Vec::new();
        while string.len() < NAME_LEN {
            let mut bytes = [0; STEP];
            match self.read(address + string.len() as u64, &mut bytes) {
                Ok(()) => {}
                Err(MemoryError::Fault(_)) if !string.is_empty() => break,
                Err(error) => return Err(error),
            }
            let end = bytes.iter().position(|&byte| byte == 0);
            string.extend_from_slice(&bytes[..end.unwrap_or(STEP)]);
            if end.is_some() {
                break;
            }
        }
        Ok(string)
    }
}

/// A view of the kernel's memory.
pub struct Memory {
    ebpf: Ebpf,
    answer: Array<MapData, Peek>,
}

impl Memory {
    pub fn open() -> Result<Self, MemoryError> {
        let mut ebpf = loader::load(&Object::built_in(), &[], false)?;
        let answer = ebpf.take_map(names::map::PEEK).map(Array::try_from).transpose()?;
        let program: &mut RawTracePoint = object::program(&mut ebpf, names::program::PEEK);
        program.load().map_err(MemoryError::Refused)?;
        let memory = Self { ebpf, answer: answer.expect("the object has this map") };
        memory.run(PEEK_CURRENT_TASK, 0)?;
        Ok(memory)
    }

    /// Address of our own `task_struct`.
    pub fn current_task(&self) -> Result<u64, MemoryError> {
        let peek = self.run(PEEK_CURRENT_TASK, 0)?;
        let (task, _) = peek.bytes.split_first_chunk().expect("an answer is longer than 8 bytes");
        Ok(u64::from_ne_bytes(*task))
    }

    /// A map of which each processor has a value of its own.
    pub fn counters(&self) -> BorrowedFd<'_> {
        match self.ebpf.map(names::map::COUNTERS) {
            Some(Map::PerCpuArray(counters)) => counters.fd().as_fd(),
            _ => unreachable!("the object has this map"),
        }
    }

    /// The address of that map's value of a processor.
    pub fn on_cpu(&self, cpu: u32) -> Result<u64, MemoryError> {
        let peek = self.run_on(Some(cpu), PEEK_THIS_CPU, 0)?;
        let (value, _) = peek.bytes.split_first_chunk().expect("an answer is longer than 8 bytes");
        Ok(u64::from_ne_bytes(*value))
    }

    fn run(&self, address: u64, len: usize) -> Result<Peek, MemoryError> {
        self.run_on(None, address, len)
    }

    fn run_on(&self, cpu: Option<u32>, address: u64, len: usize) -> Result<Peek, MemoryError> {
        let mut options = RawTracePointRunOptions::new();
        options.cpu = cpu;
        options.args[0] = address;
        options.args[1] = len as u64;
        let program = self.ebpf.program(names::program::PEEK).expect("loaded in open");
        let program: &RawTracePoint = program.try_into().expect("its section says so");
        program.test_run(options).map_err(MemoryError::TestRun)?;
        Ok(self.answer.get(&0, 0)?)
    }
}
impl Readable for Memory {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), MemoryError> {
        let mut at = address;
        for chunk in bytes.chunks_mut(PEEK_LEN) {
            if at <= PEEK_THIS_CPU {
                return Err(MemoryError::Fault(at));
            }
            let peek = self.run(at, chunk.len())?;
            if peek.status != 0 {
                return Err(MemoryError::Fault(at));
            }
            chunk.copy_from_slice(&peek.bytes[..chunk.len()]);
            at = at.wrapping_add(chunk.len() as u64);
        }
        Ok(())
    }
}
