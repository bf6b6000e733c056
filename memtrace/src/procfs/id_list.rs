//! Lists of ids as the kernel prints sets of CPUs and NUMA nodes: `0-1,4`.

/// None where it is not such a list.
pub fn parse(text: &[u8]) -> Option<Vec<u16>> {
    let text = str::from_utf8(text).ok()?.trim();
    let ranges = text.split(',').filter(|range| !range.is_empty()).map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<u16>().ok()?..=last.parse().ok()?)
    });
    let ranges: Option<Vec<_>> = ranges.collect();
    // No host has more ids than these; a hostile list may repeat its ranges.
    Some(ranges?.into_iter().flatten().take(1 << u16::BITS).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_as_the_kernel_prints_them() {
        assert_eq!(parse(b"0\n"), Some(vec![0]));
        assert_eq!(parse(b"0-2,4,8-9"), Some(vec![0, 1, 2, 4, 8, 9]));
        assert_eq!(parse(b""), Some(Vec::new()));
        for odd in ["x", "0-", "-1", "0,x", "70000"] {
            assert_eq!(parse(odd.as_bytes()), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&bytes);
        }
    }
}
