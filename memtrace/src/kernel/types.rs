//! The kernel's own description of its types (BTF): offsets of fields, arguments of functions and tracepoints.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write as _},
    os::fd::AsRawFd as _,
    path::Path,
};

use btf_rs::{Backend, Btf, BtfType, Type};
use rustix::fs::{MemfdFlags, memfd_create};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

#[derive(Debug, thiserror::Error)]
pub enum TypesError {
    #[error(
        "this kernel does not describe its types: {VMLINUX} is not there. memtrace needs a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y (the default in Debian 11+, RHEL 8.2+, Ubuntu 20.10+)"
    )]
    Missing,
    #[error("cannot read the kernel's types from {VMLINUX}: {0}")]
    Unreadable(#[source] btf_rs::Error),
    #[error("cannot copy the kernel's types from {VMLINUX}: {0}")]
    Copy(#[source] io::Error),
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

/// The kernel's BTF, parsed. It is large: keep it only while looking things up.
pub struct KernelTypes {
    btf: Btf,
}

impl KernelTypes {
    pub fn load() -> Result<Self, TypesError> {
        if !Path::new(VMLINUX).exists() {
            return Err(TypesError::Missing);
        }
        // sysfs lets it be mapped since v6.16, Linux commit a539e2a6d51d ("btf: Allow mmap of vmlinux btf").
        Self::from_file(VMLINUX).or_else(|_| Self::from_copy(VMLINUX))
    }

    /// The file is mapped and searched in place: parsed whole it would take 100 MB and a third of a second.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, TypesError> {
        let btf = Btf::from_file_with_backend(path, Backend::Mmap).map_err(TypesError::Unreadable)?;
        Ok(Self { btf })
    }

    /// For a file that cannot be mapped: a copy of it in memory, some MB, that can.
    fn from_copy(path: &str) -> Result<Self, TypesError> {
        let bytes = fs::read(path).map_err(TypesError::Copy)?;
        let copy =
            memfd_create("btf", MemfdFlags::CLOEXEC).map_err(|error| TypesError::Copy(error.into()))?;
        let mut copy = fs::File::from(copy);
        copy.write_all(&bytes).map_err(TypesError::Copy)?;
        Self::from_file(format!("/proc/self/fd/{}", copy.as_raw_fd()))
    }

    /// The types of a module beside these. None where it has none: it is not loaded, or no module.
    pub fn of_module(&self, module: &str) -> Option<Self> {
        let file = Path::new(VMLINUX).with_file_name(module);
        if module.is_empty() || !file.exists() {
            return None;
        }
        Some(Self { btf: Btf::from_split_file(file, &self.btf).ok()? })
    }

    /// Offset of a field in a structure, in bytes. The path goes through nested structures (`d_name.len`), and
    /// members of anonymous structures and unions count as the outer one's, as in C.
    pub fn offset(&self, structure: &str, path: &str) -> Result<u32, TypesError> {
        self.find(structure, path).map(|(offset, _)| offset)
    }

    /// How many elements a field has that is an array.
    pub fn array_length(&self, structure: &str, path: &str) -> Result<u32, TypesError> {
        match self.find(structure, path)? {
            (_, Type::Array(array)) => Ok(array.len() as u32),
            _ => Err(TypesError::NoSuchField(structure.to_owned(), format!("{path}[]"))),
        }
    }

    fn find(&self, structure: &str, path: &str) -> Result<(u32, Type), TypesError> {
        let no_such_field = || TypesError::NoSuchField(structure.to_owned(), path.to_owned());
        let mut current = self.structure(structure)?;
        let mut offset = 0;
        for field in path.split('.') {
            let (field_offset, field_type) = self.field(&current, field).ok_or_else(no_such_field)?;
            offset += field_offset;
            current = field_type;
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
        match self.structure(structure)? {
            Type::Struct(s) | Type::Union(s) => Ok(s.size() as u32),
            _ => Err(TypesError::NoSuchType(structure.to_owned())),
        }
    }

    /// None where the kernel has no such function.
    pub fn function(&self, name: &str) -> Option<KernelFunction> {
        let ids = self.btf.resolve_ids_by_name(name).unwrap_or_default();
        let (id, func) = ids.into_iter().find_map(|id| match self.btf.resolve_type_by_id(id) {
            Ok(Type::Func(func)) => Some((id, func)),
            _ => None,
        })?;
        let Ok(Type::FuncProto(proto)) = self.btf.resolve_chained_type(&func) else { return None };
        let returns_bool = self.is_bool(proto.return_type_id());
        Some(KernelFunction { id, arguments: proto.parameters.len() as u32, returns_bool })
    }

    /// The kernel offers this helper function to BPF programs.
    pub fn has_helper(&self, name: &str) -> bool {
        let helper = format!("BPF_FUNC_{name}");
        self.resolve("bpf_func_id").into_iter().any(|ty| match ty {
            Type::Enum(helpers) => helpers
                .members
                .iter()
                .any(|member| self.btf.resolve_name(member).is_ok_and(|name| name == helper)),
            _ => false,
        })
    }

    /// The value of an enumerator.
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Result<u32, TypesError> {
        let no_such = || TypesError::NoSuchField(enumeration.to_owned(), name.to_owned());
        let values = self.resolve(enumeration).into_iter().find_map(|ty| match ty {
            Type::Enum(enumeration) => enumeration
                .members
                .iter()
                .find(|member| self.btf.resolve_name(*member).is_ok_and(|known| known == name))
                .map(|member| member.val()),
            _ => None,
        });
        values.ok_or_else(no_such)
    }

    /// The enumerators whose names begin so, of enumerations that have no name. All types are looked at, which takes some
    /// hundredths of a second.
    pub fn nameless_enumerators(&self, prefix: &str) -> HashMap<String, u32> {
        let types = (1..).map_while(|id| self.btf.resolve_type_by_id(id).ok());
        let nameless = types.filter_map(|ty| match ty {
            Type::Enum(enumeration)
                if self.btf.resolve_name(&enumeration).is_ok_and(|name| name.is_empty()) =>
            {
                Some(enumeration.members)
            }
            _ => None,
        });
        let named = nameless
            .flatten()
            .filter_map(|member| Some((self.btf.resolve_name(&member).ok()?, member.val())));
        named.filter(|(name, _)| name.starts_with(prefix)).collect()
    }

    /// The kernel has a variable of this name for each CPU. BTF lists no others.
    pub fn has_per_cpu_variable(&self, name: &str) -> bool {
        self.resolve(name).into_iter().any(|ty| matches!(ty, Type::Var(_)))
    }

    pub fn has_structure(&self, name: &str) -> bool {
        self.structure(name).is_ok()
    }

    /// How many arguments a tracepoint has; None where the kernel has no such tracepoint.
    pub fn tracepoint_argument_count(&self, name: &str) -> Option<u32> {
        self.tracepoint_parameters(name).map(|parameters| parameters.len() as u32)
    }

    pub fn has_tracepoint(&self, name: &str) -> bool {
        self.tracepoint_parameters(name).is_some()
    }

    /// Which argument of a tracepoint is a pointer to this structure, counted from 0.
    ///
    /// This, and not the kernel's version, says what form a tracepoint has: vendors backport.
    pub fn tracepoint_argument(&self, tracepoint: &str, structure: &str) -> Option<u32> {
        let parameters = self.tracepoint_parameters(tracepoint)?;
        parameters.iter().position(|ty| self.is_pointer_to(ty, structure)).map(|index| index as u32)
    }

    /// Which argument of a tracepoint is of the type that this name was given to, counted from 0.
    pub fn tracepoint_argument_of_type(&self, tracepoint: &str, name: &str) -> Option<u32> {
        let parameters = self.tracepoint_parameters(tracepoint)?;
        let is_it = |ty: &Type| match ty {
            Type::Typedef(typedef) => self.btf.resolve_name(typedef).is_ok_and(|known| known == name),
            _ => false,
        };
        parameters.iter().position(is_it).map(|index| index as u32)
    }

    /// The types of a tracepoint's arguments, from `typedef void (*btf_trace_<name>)(void *, ...)`; the first is the
    /// kernel's own and left out.
    fn tracepoint_parameters(&self, name: &str) -> Option<Vec<Type>> {
        let typedef = self
            .resolve(&format!("btf_trace_{name}"))
            .into_iter()
            .find(|ty| matches!(ty, Type::Typedef(_)))?;
        let pointer = self.btf.resolve_chained_type(typedef.as_btf_type()?).ok()?;
        let Type::FuncProto(proto) = self.btf.resolve_chained_type(pointer.as_btf_type()?).ok()? else {
            return None;
        };
        proto
            .parameters
            .iter()
            .skip(1)
            .map(|parameter| self.btf.resolve_chained_type(parameter).ok())
            .collect()
    }

    fn is_bool(&self, id: u32) -> bool {
        let mut ty = self.btf.resolve_type_by_id(id);
        while let Ok(Type::Typedef(typedef)) = &ty {
            ty = self.btf.resolve_chained_type(typedef);
        }
        matches!(ty, Ok(Type::Int(int)) if int.is_bool())
    }

    fn is_pointer_to(&self, ty: &Type, structure: &str) -> bool {
        let Type::Ptr(pointer) = ty else { return false };
        let Some(Type::Struct(target)) = self.target(pointer) else { return false };
        self.btf.resolve_name(&target).is_ok_and(|name| name == structure)
    }

    fn structure(&self, name: &str) -> Result<Type, TypesError> {
        self.resolve(name)
            .into_iter()
            .find(|ty| matches!(ty, Type::Struct(_) | Type::Union(_)))
            .ok_or_else(|| TypesError::NoSuchType(name.to_owned()))
    }

    /// Finds a member by name, in anonymous members too: its offset in bytes and its type.
    fn field(&self, structure: &Type, name: &str) -> Option<(u32, Type)> {
        let (Type::Struct(members) | Type::Union(members)) = structure else { return None };
        members.members.iter().find_map(|member| {
            let offset = member.bit_offset() / 8;
            let ty = self.target(member)?;
            let member_name = self.btf.resolve_name(member).unwrap_or_default();
            if !member_name.is_empty() {
                return (member_name == name).then_some((offset, ty));
            }
            let (inner, ty) = self.field(&ty, name)?;
            Some((offset + inner, ty))
        })
    }

    /// What a member, pointer or typedef refers to, behind qualifiers and typedefs.
    fn target<T: BtfType + ?Sized>(&self, ty: &T) -> Option<Type> {
        let mut target = self.btf.resolve_chained_type(ty).ok()?;
        while matches!(
            target,
            Type::Const(_) | Type::Volatile(_) | Type::Restrict(_) | Type::Typedef(_) | Type::TypeTag(_)
        ) {
            target = self.btf.resolve_chained_type(target.as_btf_type()?).ok()?;
        }
        Some(target)
    }

    fn resolve(&self, name: &str) -> Vec<Type> {
        self.btf.resolve_types_by_name(name).unwrap_or_default()
    }
}

#[cfg(test)]
pub(super) mod tests;
