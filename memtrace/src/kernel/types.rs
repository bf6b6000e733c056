//! The kernel's own description of its types (BTF): offsets of fields, arguments of functions and tracepoints.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    path::Path,
    sync::Arc,
};

use memmap2::MmapOptions;

use super::btf::{Btf, BtfError, Bytes, Kind, Type};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

#[derive(Debug, thiserror::Error)]
pub enum TypesError {
    #[error(
        "this kernel does not describe its types: {VMLINUX} is not there. memtrace needs a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y (the default in Debian 11+, RHEL 8.2+, Ubuntu 20.10+)"
    )]
    Missing,
    #[error("cannot read the kernel's types from {VMLINUX}: {0}")]
    Unreadable(#[source] io::Error),
    #[error("cannot understand the kernel's types in {VMLINUX}: {0}")]
    Malformed(#[source] BtfError),
    #[error(
        "this kernel has no `{0}`, which memtrace needs to find its way; please report the kernel's version"
    )]
    NoSuchType(String),
    #[error(
        "this kernel's `{0}` has no field `{1}`, which memtrace needs; please report the kernel's version"
    )]
    NoSuchField(String, String),
}

/// A function of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelFunction {
    /// Number of its type.
    pub id: u32,
    /// How many it takes.
    pub arguments: u32,
    pub returns_bool: bool,
}

/// The kernel's BTF. It is large: keep it only while looking things up.
pub struct KernelTypes {
    btf: Arc<Btf>,
}

impl KernelTypes {
    pub fn load() -> Result<Self, TypesError> {
        if !Path::new(VMLINUX).exists() {
            return Err(TypesError::Missing);
        }
        let file = File::open(VMLINUX).map_err(TypesError::Unreadable)?;
        // SAFETY: the kernel neither changes nor shortens this file.
        let mapping = unsafe { MmapOptions::new().map_copy_read_only(&file) };
        match mapping {
            Ok(mapping) => Self::from_bytes(Bytes::Mapped(mapping)),
            // sysfs lets it be mapped since v6.16, Linux commit a539e2a6d51d ("btf: Allow mmap of vmlinux btf").
            Err(_) => Self::from_file(VMLINUX),
        }
    }

    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, TypesError> {
        Self::from_bytes(Bytes::Owned(fs::read(path).map_err(TypesError::Unreadable)?))
    }

    pub fn from_bytes(bytes: Bytes) -> Result<Self, TypesError> {
        let btf = Btf::parse(bytes, None).map_err(TypesError::Malformed)?;
        Ok(Self { btf: Arc::new(btf) })
    }

    /// The types of a module beside these. None where it has none: it is not loaded, or no module.
    pub fn of_module(&self, module: &str) -> Option<Self> {
        if module.is_empty() {
            return None;
        }
        self.with_module(fs::read(Path::new(VMLINUX).with_file_name(module)).ok()?).ok()
    }

    /// The types in a module's BTF beside these.
    pub fn with_module(&self, bytes: Vec<u8>) -> Result<Self, BtfError> {
        let btf = Btf::parse(Bytes::Owned(bytes), Some(Arc::clone(&self.btf)))?;
        Ok(Self { btf: Arc::new(btf) })
    }

    /// Offset of a field in a structure, in bytes. The path goes through nested structures (`d_name.len`), and
    /// members of anonymous structures and unions count as the outer one's, as in C.
    pub fn offset(&self, structure: &str, path: &str) -> Result<u32, TypesError> {
        self.find(structure, path).map(|(offset, _)| offset / 8)
    }

    /// Offset of a field that may be a part of a byte, in bits.
    pub fn bit_offset(&self, structure: &str, path: &str) -> Result<u32, TypesError> {
        self.find(structure, path).map(|(offset, _)| offset)
    }

    /// How many elements a field has that is an array.
    pub fn array_length(&self, structure: &str, path: &str) -> Result<u32, TypesError> {
        let (_, ty) = self.find(structure, path)?;
        ty.array_length().ok_or_else(|| TypesError::NoSuchField(structure.to_owned(), format!("{path}[]")))
    }

    /// Its offset in bits, and its type.
    fn find(&self, structure: &str, path: &str) -> Result<(u32, Type<'_>), TypesError> {
        let no_such_field = || TypesError::NoSuchField(structure.to_owned(), path.to_owned());
        let mut current = self.structure(structure)?;
        let mut offset: u32 = 0;
        for name in path.split('.') {
            let (field_offset, ty) = field(current, name.as_bytes()).ok_or_else(no_such_field)?;
            offset = offset.checked_add(field_offset).ok_or_else(no_such_field)?;
            current = ty;
        }
        Ok((offset, current))
    }

    /// The first of several paths that this kernel knows: fields are renamed now and then.
    pub fn first_offset(&self, alternatives: &[(&str, &str)]) -> Result<u32, TypesError> {
        let mut last = TypesError::NoSuchType(String::new());
        for (structure, path) in alternatives {
            match self.offset(structure, path) {
                Ok(offset) => return Ok(offset),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Size of a structure in bytes.
    pub fn size(&self, structure: &str) -> Result<u32, TypesError> {
        self.structure(structure).map(|ty| ty.size())
    }

    /// None where the kernel has no such function.
    pub fn function(&self, name: &str) -> Option<KernelFunction> {
        let function = self.named(name, &[Kind::Function])?;
        let prototype = function.target().filter(|ty| ty.kind == Kind::Prototype)?;
        let returns_bool = prototype.target().and_then(Type::resolved).is_some_and(|ty| ty.is_bool());
        let arguments = prototype.parameters().count() as u32;
        Some(KernelFunction { id: function.id, arguments, returns_bool })
    }

    /// The kernel offers this helper function to BPF programs.
    pub fn has_helper(&self, name: &str) -> bool {
        self.enumerator("bpf_func_id", &format!("BPF_FUNC_{name}")).is_ok()
    }

    /// The value of an enumerator.
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Result<u32, TypesError> {
        let ty = self.named(enumeration, &[Kind::Enum]);
        ty.and_then(|ty| ty.enumerators().find(|(known, _)| *known == name.as_bytes()))
            .map(|(_, value)| value)
            .ok_or_else(|| TypesError::NoSuchField(enumeration.to_owned(), name.to_owned()))
    }

    /// The enumerators whose names begin so, of enumerations that have no name.
    pub fn nameless_enumerators(&self, prefix: &str) -> HashMap<String, u32> {
        let nameless = self.btf.types().filter(|ty| ty.kind == Kind::Enum && ty.name().is_empty());
        let enumerators = nameless.flat_map(Type::enumerators);
        let wanted = enumerators.filter(|(name, _)| name.starts_with(prefix.as_bytes()));
        wanted.filter_map(|(name, value)| Some((str::from_utf8(name).ok()?.to_owned(), value))).collect()
    }

    /// The kernel has a variable of this name for each CPU. BTF lists no others.
    pub fn has_per_cpu_variable(&self, name: &str) -> bool {
        self.named(name, &[Kind::Variable]).is_some()
    }

    pub fn has_structure(&self, name: &str) -> bool {
        self.structure(name).is_ok()
    }

    /// How many arguments a tracepoint has; None where the kernel has no such tracepoint.
    pub fn tracepoint_argument_count(&self, name: &str) -> Option<u32> {
        self.tracepoint_arguments(name).map(|arguments| arguments.count() as u32)
    }

    pub fn has_tracepoint(&self, name: &str) -> bool {
        self.tracepoint_arguments(name).is_some()
    }

    /// Which argument of a tracepoint is a pointer to this structure, counted from 0.
    ///
    /// This, and not the kernel's version, says what form a tracepoint has: vendors backport.
    pub fn tracepoint_argument(&self, tracepoint: &str, structure: &str) -> Option<u32> {
        let is_it = |ty: Option<Type>| ty.is_some_and(|ty| is_pointer_to(ty, structure.as_bytes()));
        self.tracepoint_arguments(tracepoint)?.position(is_it).map(|index| index as u32)
    }

    /// Which argument of a tracepoint is of the type that this name was given to, counted from 0.
    pub fn tracepoint_argument_of_type(&self, tracepoint: &str, name: &str) -> Option<u32> {
        let is_it =
            |ty: Option<Type>| ty.is_some_and(|ty| ty.kind == Kind::Typedef && ty.name() == name.as_bytes());
        self.tracepoint_arguments(tracepoint)?.position(is_it).map(|index| index as u32)
    }

    /// The types of a tracepoint's arguments, from `typedef void (*btf_trace_<name>)(void *, ...)`; the first is the
    /// kernel's own and left out.
    fn tracepoint_arguments(&self, name: &str) -> Option<impl Iterator<Item = Option<Type<'_>>>> {
        let pointer = self.named(&format!("btf_trace_{name}"), &[Kind::Typedef])?.target()?;
        let prototype = pointer.target().filter(|ty| ty.kind == Kind::Prototype)?;
        Some(prototype.parameters().skip(1))
    }

    fn structure(&self, name: &str) -> Result<Type<'_>, TypesError> {
        self.named(name, &[Kind::Struct, Kind::Union]).ok_or_else(|| TypesError::NoSuchType(name.to_owned()))
    }

    /// The first type of this name that is of one of these kinds.
    fn named(&self, name: &str, kinds: &[Kind]) -> Option<Type<'_>> {
        self.btf.named(name.as_bytes()).find(|ty| kinds.contains(&ty.kind))
    }
}

fn is_pointer_to(ty: Type<'_>, structure: &[u8]) -> bool {
    let target = (ty.kind == Kind::Pointer).then(|| ty.target()?.resolved()).flatten();
    target.is_some_and(|ty| ty.kind == Kind::Struct && ty.name() == structure)
}

/// Finds a member by name, in anonymous members too: its offset in bits and its type behind qualifiers and typedefs.
fn field<'a>(structure: Type<'a>, name: &[u8]) -> Option<(u32, Type<'a>)> {
    let mut structures = vec![(0, structure)];
    // In a file that no compiler wrote, anonymous members may go in circles.
    let mut seen = HashSet::new();
    while let Some((start, structure)) = structures.pop() {
        for member in structure.members() {
            let Some(ty) = member.ty.and_then(Type::resolved) else { continue };
            let offset = u32::checked_add(start, member.bit_offset)?;
            if !member.name.is_empty() {
                if member.name == name {
                    return Some((offset, ty));
                }
            } else if seen.insert(ty.id) {
                structures.push((offset, ty));
            }
        }
    }
    None
}

#[cfg(test)]
pub(super) mod tests;
