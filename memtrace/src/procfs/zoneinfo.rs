//! /proc/zoneinfo: of all that it says, the free pages in the per-CPU lists, which MemFree leaves out.

/// The sum of all lines `count:` below `pagesets`, in pages.
pub fn pcp_free_pages(text: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(text);
    let mut sum = 0_u64;
    for line in text.lines() {
        let Some(number) = line.trim_start().strip_prefix("count:") else { continue };
        sum = sum.saturating_add(number.trim().parse().unwrap_or(0));
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pagesets_of_all_cpus_and_zones_add_up() {
        // As 5.10 and as 6.18 print it.
        let old = "  pagesets\n    cpu: 0\n              count: 61\n              high:  378\n              batch: 63\n    cpu: 1\n              count: 4\n";
        let new = "    cpu: 0\n              count:    1004\n              high:     5040\n              high_min: 5040\n";
        assert_eq!((pcp_free_pages(old.as_bytes()), pcp_free_pages(new.as_bytes())), (65, 1004));
        assert_eq!(pcp_free_pages(b"count: -1\ncount:\ncount: 18446744073709551615\ncount: 5"), u64::MAX);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = pcp_free_pages(&bytes);
        }
    }
}
