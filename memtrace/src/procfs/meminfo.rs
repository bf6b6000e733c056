//! /proc/meminfo, and the same of one NUMA node.

use std::collections::BTreeMap;

/// The lines of all keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meminfo {
    lines: BTreeMap<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Bytes(u64),
    /// What is not in kB, such as `HugePages_Total`.
    Count(u64),
}

/// What slab caches have of it, and what is left, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlabMemory {
    pub slab: u64,
    pub sreclaimable: u64,
    pub sunreclaim: u64,
    /// Memory that programs can still get, by the kernel's estimate. None before v3.14.
    pub available: Option<u64>,
}

/// Lines that are read, at most: real kernels have some 60.
const MAX_LINES: usize = 1000;

impl Meminfo {
    /// Lines that make no sense are left out: kernels add and drop lines all the time.
    pub fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        Self { lines: text.lines().take(MAX_LINES).filter_map(line).collect() }
    }

    /// Of all lines with a number of kB.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let has_bytes = |(_, value): &(&String, &Value)| matches!(value, Value::Bytes(_));
        self.lines.iter().filter(has_bytes).map(|(key, _)| &**key)
    }

    /// None where this kernel has no such line.
    pub fn get(&self, key: &str) -> Option<u64> {
        self.lines.get(key).map(|&(Value::Bytes(value) | Value::Count(value))| value)
    }

    /// None where this kernel has no such line with a number of kB.
    pub fn bytes(&self, key: &str) -> Option<u64> {
        match self.lines.get(key)? {
            Value::Bytes(bytes) => Some(*bytes),
            Value::Count(_) => None,
        }
    }

    /// 0 where this kernel has no such line.
    pub fn get_or_zero(&self, key: &str) -> u64 {
        self.get(key).unwrap_or(0)
    }

    pub fn total(&self) -> u64 {
        self.get_or_zero("MemTotal")
    }

    /// None where a line is missing.
    pub fn slab_memory(&self) -> Option<SlabMemory> {
        Some(SlabMemory {
            slab: self.bytes("Slab")?,
            sreclaimable: self.bytes("SReclaimable")?,
            sunreclaim: self.bytes("SUnreclaim")?,
            available: self.bytes("MemAvailable"),
        })
    }

    /// What programs can have without swapping, by the kernel's own estimate.
    pub fn available(&self) -> u64 {
        self.get("MemAvailable").unwrap_or_else(|| self.get_or_zero("MemFree"))
    }
}

/// `Slab:  115272 kB`, of a node `Node 0 Slab:  115272 kB`.
fn line(line: &str) -> Option<(String, Value)> {
    let (key, value) = line.split_once(':')?;
    let key = key.rsplit(' ').next()?;
    let mut words = value.split_ascii_whitespace();
    let number: u64 = words.next()?.parse().ok()?;
    let value = match words.next() {
        Some("kB") => Value::Bytes(number.checked_mul(1024)?),
        _ => Value::Count(number),
    };
    Some((key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_of_a_host_and_of_a_node() {
        let host =
            Meminfo::parse(b"MemTotal:  24684084 kB\nActive(anon):   1 kB\nHugePages_Total:      16\n");
        assert_eq!(host.total(), 24_684_084 << 10);
        assert_eq!((host.get("Active(anon)"), host.get("HugePages_Total")), (Some(1024), Some(16)));
        assert_eq!((host.bytes("Active(anon)"), host.bytes("HugePages_Total")), (Some(1024), None));
        assert_eq!((host.get("Percpu"), host.get_or_zero("Percpu")), (None, 0));
        let node = Meminfo::parse(b"Node 12 MemTotal:       8 kB\nNode 12 MemUsed:        2 kB\n");
        assert_eq!((node.total(), node.get_or_zero("MemUsed")), (8192, 2048));
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let odd =
            Meminfo::parse(b"A: x kB\nB\nC:\nD: 18446744073709551615 kB\nE: -1 kB\n\xff: 3 kB\nF: 1 kB");
        assert_eq!((["A", "D", "E", "F"].map(|key| odd.get_or_zero(key))), [0, 0, 0, 1024]);
    }

    #[test]
    fn before_memavailable_free_memory_is_what_there_is() {
        assert_eq!(Meminfo::parse(b"MemFree: 7 kB").available(), 7168);
    }

    #[test]
    fn slab_lines() {
        let check = |text: &str, expect: Option<(u64, u64, u64)>| {
            let found = Meminfo::parse(text.as_bytes()).slab_memory();
            assert_eq!(
                found.map(|memory| (memory.slab, memory.sreclaimable, memory.sunreclaim)),
                expect,
                "{text:?}"
            );
        };
        check(
            "MemTotal: 9 kB\nKReclaimable:  7 kB\nSlab:     115272 kB\nSReclaimable:      65536 kB\nSUnreclaim:  4 kB\n",
            Some((115_272 * 1024, 65_536 * 1024, 4096)),
        );
        check("", None);
        check("Slab: 1 kB\nSUnreclaim: 1 kB", None);
        check("Slab: 1 kB\nSReclaimable: 1\nSUnreclaim: 1 kB", None);
        check("Slab: 18446744073709551615 kB\n", None);
        check("SlabX: 1 kB\n", None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Meminfo::parse(&bytes);
        }
    }
}
