//! /proc/vmstat: what the kernel did for memory since the boot, and some pages that meminfo does not have.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vmstat {
    counters: BTreeMap<String, u64>,
}

const MAX_LINES: usize = 2000;

impl Vmstat {
    pub fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let line = |line: &str| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_owned(), value.trim().parse().ok()?))
        };
        Self { counters: text.lines().take(MAX_LINES).filter_map(line).collect() }
    }

    /// 0 where this kernel has no such counter.
    pub fn get(&self, key: &str) -> u64 {
        self.counters.get(key).copied().unwrap_or(0)
    }

    /// The sum of a counter that is kept by zone (`allocstall_normal`) or under one name.
    pub fn sum(&self, prefix: &str) -> u64 {
        let of_prefix = self.counters.iter().filter(|(key, _)| key.starts_with(prefix));
        of_prefix.map(|(_, value)| *value).fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counters() {
        let vmstat =
            Vmstat::parse(b"oom_kill 2\nallocstall_normal 3\nallocstall_movable 4\nodd\npgfault x\n");
        assert_eq!((vmstat.get("oom_kill"), vmstat.get("pgfault"), vmstat.get("none")), (2, 0, 0));
        assert_eq!((vmstat.sum("allocstall_"), vmstat.sum("none")), (7, 0));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Vmstat::parse(&bytes).sum("a");
        }
    }
}
