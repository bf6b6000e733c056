use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;
use crate::kernel::types::KernelTypes;

/// A file of BTF, as a compiler makes it.
#[derive(Default)]
struct File {
    types: Vec<u32>,
    strings: Vec<u8>,
    /// How many types there are, and where the strings begin: behind those of the base.
    count: u32,
    first_string: u32,
}

impl File {
    fn new() -> Self {
        Self { strings: vec![0], ..Self::default() }
    }

    fn upon(base: &Self) -> Self {
        Self {
            count: base.count,
            first_string: base.first_string + base.strings.len() as u32,
            ..Self::default()
        }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let offset = self.first_string + self.strings.len() as u32;
        self.strings.extend(text.bytes().chain([0]));
        offset
    }

    /// Gives its number. What is no kind with elements has none.
    fn add(&mut self, name: &str, kind: Kind, size_or_type: u32, rest: &[u32]) -> u32 {
        let name = self.string(name);
        let elements = match kind {
            Kind::Struct | Kind::Union | Kind::DataSection | Kind::Enum64 => rest.len() / 3,
            Kind::Enum | Kind::Prototype => rest.len() / 2,
            _ => 0,
        };
        self.types.extend([name, (kind as u32) << 24 | elements as u32, size_or_type]);
        self.types.extend(rest);
        self.count += 1;
        self.count
    }

    /// Members by name, type and offset in bits.
    fn structure(&mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let members = members.iter().flat_map(|&(name, ty, offset)| [self.string(name), ty, offset]);
        let members = Vec::from_iter(members);
        self.add(name, Kind::Struct, size, &members)
    }

    fn bytes(&self) -> Vec<u8> {
        let types_len = size_of_val(&self.types[..]) as u32;
        let header = [0x0001_eb9f, 24, 0, types_len, types_len, self.strings.len() as u32];
        let words = header.iter().chain(&self.types).flat_map(|word| word.to_le_bytes());
        words.chain(self.strings.iter().copied()).collect()
    }

    fn kernel_types(&self) -> KernelTypes {
        KernelTypes::from_bytes(Bytes::Owned(self.bytes())).unwrap()
    }
}

/// A bit of a kernel.
fn small() -> File {
    let mut file = File::new();
    let int = file.add("int", Kind::Int, 4, &[1 << 24 | 32]);
    let boolean = file.add("_Bool", Kind::Int, 1, &[4 << 24 | 8]);
    let array = file.add("", Kind::Array, 0, &[int, int, 7]);
    let anonymous = file.structure("", 8, &[("inner", int, 32)]);
    let cache =
        file.structure("kmem_cache", 48, &[("size", int, 0), ("", anonymous, 64), ("node", array, 128)]);
    let pointer = file.add("", Kind::Pointer, cache, &[]);
    let gfp = file.add("gfp_t", Kind::Typedef, int, &[]);
    let trace = file.add("", Kind::Prototype, 0, &[0, 6, 0, pointer, 0, gfp, 0, 0]);
    let trace = file.add("", Kind::Pointer, trace, &[]);
    file.add("btf_trace_kfree", Kind::Typedef, trace, &[]);
    let prototype = file.add("", Kind::Prototype, boolean, &[0, pointer]);
    file.add("kfree", Kind::Function, prototype, &[]);
    let [one, two] = ["one", "two"].map(|name| file.string(name));
    file.add("numbers", Kind::Enum, 4, &[one, 1, two, 2]);
    file.add("", Kind::Enum, 4, &[one, 11]);
    file.add("per_cpu", Kind::Variable, int, &[0]);
    file
}

#[test]
fn what_was_written_is_read() {
    let types = small().kernel_types();
    assert_eq!(types.size("kmem_cache").unwrap(), 48);
    assert_eq!(types.offset("kmem_cache", "size").unwrap(), 0);
    assert_eq!(types.offset("kmem_cache", "inner").unwrap(), 8 + 4);
    assert_eq!(types.array_length("kmem_cache", "node").unwrap(), 7);
    assert!(types.array_length("kmem_cache", "size").is_err());
    let kfree = types.function("kfree").unwrap();
    assert_eq!((kfree.id, kfree.arguments, kfree.returns_bool), (12, 1, true));
    assert_eq!(types.tracepoint_argument_count("kfree"), Some(3));
    assert_eq!(types.tracepoint_argument("kfree", "kmem_cache"), Some(0));
    assert_eq!(types.tracepoint_argument_of_type("kfree", "gfp_t"), Some(1));
    assert_eq!(types.enumerator("numbers", "two").unwrap(), 2);
    assert_eq!(types.nameless_enumerators("o"), [("one".to_owned(), 11)].into());
    assert!(types.has_per_cpu_variable("per_cpu") && !types.has_per_cpu_variable("int"));
}

#[test]
fn kinds_are_as_numbered() {
    for number in 1..=19 {
        assert_eq!(Kind::of(number << 24).map(|kind| kind as u32), Some(number));
    }
    assert_eq!((Kind::of(0), Kind::of(20 << 24)), (None, None));
}

#[test]
fn offsets_beside_bit_fields_have_their_size_above() {
    let mut file = File::new();
    let int = file.add("int", Kind::Int, 4, &[32]);
    let at = file.types.len();
    file.structure("flags", 8, &[("a", int, 3 << 24 | 33), ("b", int, 64)]);
    file.types[at + 1] |= 1 << 31;
    let types = file.kernel_types();
    assert_eq!(types.offset("flags", "a").unwrap(), 4);
    assert_eq!(types.offset("flags", "b").unwrap(), 8);
}

#[test]
fn numbers_and_strings_of_a_module_go_on_where_the_kernels_end() {
    let base = small();
    let mut module = File::upon(&base);
    let cache = base.kernel_types().function("kfree").unwrap().id - 7;
    let inode = module.structure("its_inode", 100, &[("count", 1, 0), ("cache", cache, 64)]);
    assert_eq!(inode, base.count + 1);
    let types = base.kernel_types().with_module(module.bytes()).unwrap();
    assert_eq!(types.size("its_inode").unwrap(), 100);
    assert_eq!(types.offset("its_inode", "cache.node").unwrap(), 8 + 16);
    assert_eq!(types.offset("kmem_cache", "node").unwrap(), 16);
    let alone = Btf::parse(Bytes::Owned(module.bytes()), None);
    assert_eq!(alone.err(), Some(BtfError::Name(1)));
}

#[test]
fn what_is_wrong_is_named() {
    let good = small().bytes();
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: BtfError| {
        let mut bytes = good.clone();
        change(&mut bytes);
        assert_eq!(Btf::parse(Bytes::Owned(bytes), None).err(), Some(expected));
    };
    let types_len = size_of_val(&small().types[..]) as u8;
    check(&|bytes| bytes.clear(), BtfError::Header);
    check(&|bytes| bytes.truncate(23), BtfError::Header);
    check(&|bytes| bytes[..2].reverse(), BtfError::Header);
    check(&|bytes| bytes[2] = 2, BtfError::Version(2));
    check(&|bytes| bytes[15] = 0x7f, BtfError::Section("types"));
    check(&|bytes| bytes[11] = 0xff, BtfError::Section("types"));
    check(&|bytes| bytes.truncate(bytes.len() - 1), BtfError::Section("strings"));
    check(&|bytes| *bytes.last_mut().unwrap() = b'x', BtfError::Strings);
    check(&|bytes| bytes[12] = types_len.wrapping_sub(4), BtfError::Truncated(15));
    check(&|bytes| bytes[24 + 7] = 20, BtfError::Kind { id: 1, kind: 20 });
    check(&|bytes| bytes[24 + 3] = 1, BtfError::Name(1));
}

#[test]
fn circles_come_to_an_end() {
    let mut file = File::new();
    file.add("endless", Kind::Typedef, 1, &[]);
    file.structure("holder", 8, &[("field", 1, 0), ("", 3, 0)]);
    file.structure("", 8, &[("", 3, 8), ("", 2, 8)]);
    let types = file.kernel_types();
    assert!(types.offset("holder", "field").is_err());
    assert!(types.offset("holder", "other").is_err());
}

/// Everything that memtrace asks of types.
fn ask(bytes: Vec<u8>) {
    let Ok(types) = KernelTypes::from_bytes(Bytes::Owned(bytes.clone())) else { return };
    let btf = Btf::parse(Bytes::Owned(bytes), None).unwrap();
    for ty in btf.types() {
        let name = String::from_utf8_lossy(ty.name());
        let _ = (types.size(&name), types.function(&name), types.nameless_enumerators(&name));
        let tracepoint = name.trim_start_matches("btf_trace_");
        let _ = (types.tracepoint_argument(tracepoint, &name), types.tracepoint_argument_count(tracepoint));
        for member in ty.members() {
            let member = String::from_utf8_lossy(member.name);
            let _ = (types.offset(&name, &member), types.array_length(&name, &member));
        }
        for (enumerator, _) in ty.enumerators() {
            let _ = types.enumerator(&name, &String::from_utf8_lossy(enumerator));
        }
    }
}

proptest! {
    #[test]
    fn each_member_is_found_where_it_was_put(
        structures in vec((vec((any::<bool>(), any::<Index>(), 0..1_000_000_u32), 0..8), 0..1000_u32), 1..8),
    ) {
        let mut file = File::new();
        file.add("int", Kind::Int, 4, &[32]);
        // By structure: its size, and its members with those of anonymous ones: their names and offsets.
        let mut expected: Vec<(u32, Vec<(String, u32)>)> = vec![(4, Vec::new())];
        for (number, (members, size)) in (1..).zip(&structures) {
            let mut flat = Vec::new();
            let mut written = Vec::new();
            for (index, (anonymous, ty, offset)) in members.iter().enumerate() {
                let ty = ty.index(expected.len());
                // As in C, no member has the name of an anonymous structure's member.
                let inner = &expected[ty].1;
                let is_taken = |name: &String| flat.iter().any(|(other, _)| other == name);
                let anonymous = *anonymous && !inner.iter().any(|(name, _)| is_taken(name));
                let name = if anonymous { String::new() } else { format!("m{number}_{index}") };
                if anonymous {
                    flat.extend(inner.iter().map(|(name, at)| (name.clone(), offset + at)));
                } else {
                    flat.push((name.clone(), *offset));
                }
                written.push((name, ty as u32 + 1, offset * 8));
            }
            let members = Vec::from_iter(written.iter().map(|(name, ty, bits)| (&name[..], *ty, *bits)));
            file.structure(&format!("s{number}"), *size, &members);
            expected.push((*size, flat));
        }
        let types = file.kernel_types();
        for (number, (size, members)) in expected.iter().enumerate().skip(1) {
            let structure = format!("s{number}");
            prop_assert_eq!(types.size(&structure).unwrap(), *size);
            for (member, offset) in members {
                prop_assert_eq!(types.offset(&structure, member).unwrap(), *offset, "{}.{}", structure, member);
            }
        }
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        ask(bytes);
    }

    #[test]
    fn any_bytes_changed_and_cut(changes in vec((any::<Index>(), any::<u8>()), 1..8), len in any::<Index>(), cut in any::<bool>()) {
        let mut bytes = small().bytes();
        for (index, byte) in changes {
            *index.get_mut(&mut bytes) = byte;
        }
        if cut {
            bytes.truncate(len.index(bytes.len()));
        }
        ask(bytes);
    }
}
