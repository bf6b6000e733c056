//! Unused dentries and inodes as the kernel counts them, exactly: what it can drop.

use std::{cmp::Reverse, collections::BTreeMap};

/// Of one filesystem, charged to one cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnusedRow {
    /// `ext4`.
    pub filesystem: Vec<u8>,
    /// The name of its device, or else of its type.
    pub id: Vec<u8>,
    /// Where it is mounted, seen from here.
    pub mounted_at: Option<Vec<u8>>,
    /// The cgroup's path. None for the root's own, and for what nobody pays for.
    pub cgroup: Option<Vec<u8>>,
    pub dentries: u64,
    pub inodes: u64,
}

impl UnusedRow {
    pub fn objects(&self) -> u64 {
        self.dentries.saturating_add(self.inodes)
    }
}

/// Rows that look the same from here as one, those with most objects first.
pub fn sorted(rows: impl IntoIterator<Item = UnusedRow>) -> Vec<UnusedRow> {
    let mut sums: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for UnusedRow { filesystem, id, mounted_at, cgroup, dentries, inodes } in rows {
        let sum = sums.entry((filesystem, id, mounted_at, cgroup)).or_default();
        *sum = (sum.0.saturating_add(dentries), sum.1.saturating_add(inodes));
    }
    let row = |((filesystem, id, mounted_at, cgroup), (dentries, inodes))| UnusedRow {
        filesystem,
        id,
        mounted_at,
        cgroup,
        dentries,
        inodes,
    };
    let mut sorted: Vec<UnusedRow> = sums.into_iter().map(row).collect();
    sorted.sort_by_key(|row| Reverse(row.objects()));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_that_are_mounted_elsewhere_are_one_row() {
        let overlay = |dentries| UnusedRow {
            filesystem: b"overlay".to_vec(),
            id: b"overlay".to_vec(),
            dentries,
            ..UnusedRow::default()
        };
        let root = UnusedRow { mounted_at: Some(b"/".to_vec()), inodes: 4, ..overlay(0) };
        let rows = sorted([root.clone(), overlay(2), overlay(3)]);
        assert_eq!(rows, [overlay(5), root]);
    }
}
