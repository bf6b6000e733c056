//! /proc/zoneinfo: of all that it says, the free pages in the per-CPU lists, which MemFree leaves out, and where memory is.

use std::ops::Range;

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

/// The page frames of each zone that has any, holes included.
pub fn zones(text: &[u8]) -> Vec<Range<u64>> {
    let text = String::from_utf8_lossy(text);
    let mut zones = Vec::new();
    let mut spanned: u64 = 0;
    for line in text.lines() {
        let line = line.trim_start();
        let number = |name: &str| line.strip_prefix(name)?.trim().parse::<u64>().ok();
        if line.starts_with("Node ") {
            spanned = 0;
        } else if let Some(pages) = number("spanned ") {
            spanned = pages;
        } else if let Some(start) = number("start_pfn:").filter(|_| spanned > 0) {
            zones.push(start..start.saturating_add(spanned));
        }
    }
    zones
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

    #[test]
    fn zones_without_memory_are_left_out() {
        let text = "Node 0, zone      DMA\n  pages free     3840\n        spanned  4095\n        present  3998\n  start_pfn:           1\n\
            Node 0, zone  Movable\n  pages free     0\n        spanned  0\n        present  0\n\
            Node 1, zone   Normal\n        spanned  5767168\n  start_pfn:           1048576\n";
        assert_eq!(zones(text.as_bytes()), [1..4096, 1_048_576..6_815_744]);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = (pcp_free_pages(&bytes), zones(&bytes));
        }
    }
}
