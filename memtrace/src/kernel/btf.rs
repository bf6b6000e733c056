//! A reader of BTF, the kernel's description of its types: Documentation/bpf/btf.rst in the kernel's sources.
//!
//! Types are decoded from the file's bytes when they are asked for. What is built in advance is where the record of each type
//! starts and a hash of its name: 8 bytes a type, a megabyte for a kernel.

use std::{ffi::CStr, hash::BuildHasher as _, ops::Range, sync::Arc};

use memmap2::Mmap;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BtfError {
    #[error("it has no BTF header in this machine's byte order")]
    Header,
    #[error("memtrace does not know version {0} of BTF")]
    Version(u8),
    #[error("the file ends before its {0} do")]
    Section(&'static str),
    #[error("the last of its strings has no end")]
    Strings,
    #[error("type {0} is cut off")]
    Truncated(u32),
    #[error("memtrace does not know kind {kind}, which type {id} is of")]
    Kind { id: u32, kind: u32 },
    #[error("the name of type {0} is not among the strings")]
    Name(u32),
}

pub enum Bytes {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Bytes {
    fn get(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// The types of the kernel, or of a module: then they refer to those of the kernel, the base.
pub struct Btf {
    bytes: Bytes,
    base: Option<Arc<Btf>>,
    /// Where the strings are.
    strings: Range<usize>,
    /// Where each type's record starts.
    records: Vec<u32>,
    name_hashes: Vec<u32>,
    /// Numbers of types and offsets of strings go on where those of the base end.
    first_id: u32,
    first_string: u32,
}

/// What a record starts with: name, kind and number of elements, size or type.
type RecordStart = [u32; 3];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int = 1,
    Pointer,
    Array,
    Struct,
    Union,
    Enum,
    Forward,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Function,
    Prototype,
    Variable,
    DataSection,
    Float,
    DeclTag,
    TypeTag,
    Enum64,
}

#[derive(Clone, Copy)]
pub struct Type<'a> {
    btf: &'a Btf,
    pub id: u32,
    pub kind: Kind,
    start: RecordStart,
    /// What follows the start of the record: members, say.
    rest: &'a [u8],
}

/// A field of a structure or union.
pub struct Member<'a> {
    /// Empty for an anonymous structure or union.
    pub name: &'a [u8],
    pub ty: Option<Type<'a>>,
    pub bit_offset: u32,
}

impl Btf {
    pub fn parse(bytes: Bytes, base: Option<Arc<Self>>) -> Result<Self, BtfError> {
        let header = Header::read(bytes.get())?;
        let (first_id, first_string) = base.as_ref().map_or((1, 0), |base| base.ends());
        let strings = header.strings;
        if bytes.get()[strings.clone()].last().is_some_and(|&last| last != 0) {
            return Err(BtfError::Strings);
        }
        let (records, name_hashes) = (Vec::new(), Vec::new());
        let mut btf = Self { bytes, base, strings, records, name_hashes, first_id, first_string };
        btf.index(header.types)?;
        Ok(btf)
    }

    /// Where the numbers of types and the offsets of strings end.
    fn ends(&self) -> (u32, u32) {
        (self.first_id + self.records.len() as u32, self.first_string + self.strings.len() as u32)
    }

    fn index(&mut self, types: Range<usize>) -> Result<(), BtfError> {
        let mut at = types.start;
        while at < types.end {
            let id = self.first_id + self.records.len() as u32;
            let rest = &self.bytes.get()[at..types.end];
            let [name, info, _] = rows(rest).next().ok_or(BtfError::Truncated(id))?;
            let kind = Kind::of(info).ok_or(BtfError::Kind { id, kind: kind_number(info) })?;
            let len = size_of::<RecordStart>() + kind.rest_len(element_count(info));
            if rest.len() < len {
                return Err(BtfError::Truncated(id));
            }
            let hash = hash(self.string(name).ok_or(BtfError::Name(id))?);
            self.name_hashes.push(hash);
            self.records.push(at as u32);
            at += len;
        }
        Ok(())
    }

    /// None for 0, which is `void`.
    pub fn get(&self, id: u32) -> Option<Type<'_>> {
        let Some(index) = id.checked_sub(self.first_id) else { return self.base.as_ref()?.get(id) };
        let record = self.bytes.get().get(*self.records.get(index as usize)? as usize..)?;
        let start: RecordStart = rows(record).next()?;
        let kind = Kind::of(start[1])?;
        let rest = record.get(size_of::<RecordStart>()..)?.get(..kind.rest_len(element_count(start[1])))?;
        Some(Type { btf: self, id, kind, start, rest })
    }

    /// All types but the base's.
    pub fn types(&self) -> impl Iterator<Item = Type<'_>> {
        (self.first_id..self.ends().0).filter_map(|id| self.get(id))
    }

    /// In order of their numbers; those of the base come last.
    pub fn named(&self, name: &[u8]) -> impl Iterator<Item = Type<'_>> {
        self.own_named(name).chain(self.base.iter().flat_map(move |base| base.own_named(name)))
    }

    fn own_named(&self, name: &[u8]) -> impl Iterator<Item = Type<'_>> {
        let wanted = hash(name);
        let ids = (self.first_id..).zip(&self.name_hashes).filter(move |(_, hash)| **hash == wanted);
        ids.filter_map(|(id, _)| self.get(id)).filter(move |ty| ty.name() == name)
    }

    fn string(&self, offset: u32) -> Option<&[u8]> {
        let Some(offset) = offset.checked_sub(self.first_string) else {
            return self.base.as_ref()?.string(offset);
        };
        let from = self.bytes.get()[self.strings.clone()].get(offset as usize..)?;
        CStr::from_bytes_until_nul(from).ok().map(CStr::to_bytes)
    }
}

impl<'a> Type<'a> {
    /// Empty where it has none.
    pub fn name(&self) -> &'a [u8] {
        self.btf.string(self.start[0]).unwrap_or_default()
    }

    /// In bytes; of a structure, union, enumeration or number.
    pub fn size(&self) -> u32 {
        self.start[2]
    }

    /// What a pointer points to, a name stands for, a function has as its prototype, a prototype returns. None for `void`.
    pub fn target(&self) -> Option<Type<'a>> {
        let refers = matches!(
            self.kind,
            Kind::Pointer
                | Kind::Typedef
                | Kind::Volatile
                | Kind::Const
                | Kind::Restrict
                | Kind::Function
                | Kind::Prototype
                | Kind::Variable
                | Kind::DeclTag
                | Kind::TypeTag
        );
        self.btf.get(if refers { self.start[2] } else { 0 })
    }

    /// The type behind names that were given to it and qualifiers like `const`.
    pub fn resolved(self) -> Option<Type<'a>> {
        // The kernel refuses longer chains, and so circles: MAX_RESOLVE_DEPTH in kernel/bpf/btf.c.
        const MAX_DEPTH: usize = 32;
        let mut ty = self;
        for _ in 0..MAX_DEPTH {
            match ty.kind {
                Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    ty = ty.target()?;
                }
                _ => return Some(ty),
            }
        }
        None
    }

    pub fn is_structure(&self) -> bool {
        matches!(self.kind, Kind::Struct | Kind::Union)
    }

    pub fn is_bool(&self) -> bool {
        const BOOL: u32 = 1 << 26;
        self.kind == Kind::Int && rows(self.rest).next().is_some_and(|[encoding]| encoding & BOOL != 0)
    }

    /// How many elements an array has.
    pub fn array_length(&self) -> Option<u32> {
        let [_element, _index, length] = self.elements(&[Kind::Array]).next()?;
        Some(length)
    }

    /// Of a structure or union.
    pub fn members(self) -> impl Iterator<Item = Member<'a>> {
        // Where some members are bit fields, the upper byte is their size.
        let offset_mask = if self.start[1] >> 31 == 1 { 0x00ff_ffff } else { u32::MAX };
        let btf = self.btf;
        self.elements(&[Kind::Struct, Kind::Union]).filter_map(move |[name, ty, offset]| {
            Some(Member { name: btf.string(name)?, ty: btf.get(ty), bit_offset: offset & offset_mask })
        })
    }

    /// Names and values of an enumeration of 32 bits.
    pub fn enumerators(self) -> impl Iterator<Item = (&'a [u8], u32)> {
        let btf = self.btf;
        self.elements(&[Kind::Enum]).filter_map(move |[name, value]| Some((btf.string(name)?, value)))
    }

    /// The types of a prototype's parameters. None for `void`, which stands for `...`.
    pub fn parameters(self) -> impl Iterator<Item = Option<Type<'a>>> {
        let btf = self.btf;
        self.elements(&[Kind::Prototype]).map(move |[_name, ty]| btf.get(ty))
    }

    /// None where it is not of such a kind.
    fn elements<const N: usize>(self, kinds: &[Kind]) -> impl Iterator<Item = [u32; N]> + use<'a, N> {
        rows(if kinds.contains(&self.kind) { self.rest } else { &[] })
    }
}

impl Kind {
    fn of(info: u32) -> Option<Self> {
        const ALL: [Kind; 19] = [
            Kind::Int,
            Kind::Pointer,
            Kind::Array,
            Kind::Struct,
            Kind::Union,
            Kind::Enum,
            Kind::Forward,
            Kind::Typedef,
            Kind::Volatile,
            Kind::Const,
            Kind::Restrict,
            Kind::Function,
            Kind::Prototype,
            Kind::Variable,
            Kind::DataSection,
            Kind::Float,
            Kind::DeclTag,
            Kind::TypeTag,
            Kind::Enum64,
        ];
        ALL.get((kind_number(info) as usize).checked_sub(1)?).copied()
    }

    /// Bytes of a record behind its start.
    fn rest_len(self, elements: usize) -> usize {
        match self {
            Self::Int | Self::Variable | Self::DeclTag => 4,
            Self::Array => 12,
            Self::Struct | Self::Union | Self::DataSection | Self::Enum64 => 12 * elements,
            Self::Enum | Self::Prototype => 8 * elements,
            Self::Pointer
            | Self::Forward
            | Self::Typedef
            | Self::Volatile
            | Self::Const
            | Self::Restrict
            | Self::Function
            | Self::Float
            | Self::TypeTag => 0,
        }
    }
}

fn kind_number(info: u32) -> u32 {
    info >> 24 & 0x7f
}

fn element_count(info: u32) -> usize {
    (info & 0x00ff_ffff) as usize
}

struct Header {
    types: Range<usize>,
    strings: Range<usize>,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, BtfError> {
        const MAGIC: u16 = 0xeb9f;
        let [start, len, types, types_len, strings, strings_len] =
            rows(bytes).next().ok_or(BtfError::Header)?;
        let [magic_0, magic_1, version, _flags] = start.to_ne_bytes();
        if u16::from_ne_bytes([magic_0, magic_1]) != MAGIC {
            return Err(BtfError::Header);
        }
        if version != 1 {
            return Err(BtfError::Version(version));
        }
        let section = |offset, section_len, what| {
            let start = u32::checked_add(len, offset).ok_or(BtfError::Section(what))?;
            let end = start.checked_add(section_len).ok_or(BtfError::Section(what))?;
            let range = start as usize..end as usize;
            if range.end > bytes.len() { Err(BtfError::Section(what)) } else { Ok(range) }
        };
        Ok(Self {
            types: section(types, types_len, "types")?,
            strings: section(strings, strings_len, "strings")?,
        })
    }
}

fn hash(name: &[u8]) -> u32 {
    foldhash::fast::FixedState::default().hash_one(name) as u32
}

/// Rows of N numbers each; bytes that are no whole row are left out.
fn rows<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u32; N]> + use<'_, N> {
    let (words, _) = bytes.as_chunks::<4>();
    let (rows, _) = words.as_chunks::<N>();
    rows.iter().map(|row| row.map(u32::from_ne_bytes))
}

#[cfg(test)]
mod tests;
