//! /proc/buddyinfo: in how large pieces the free memory lies.

/// Free blocks of each order, of all zones together: a block of order n has 2^n pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreeBlocks {
    blocks: Vec<u64>,
}

/// No kernel has more: blocks of order 63 would not fit into an address space.
const MAX_ORDERS: usize = 32;

impl FreeBlocks {
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let mut blocks = Vec::new();
        for zone in text.lines() {
            // Node 0, zone   Normal   8195   9463 ...
            let Some((_, zone)) = zone.split_once("zone") else { continue };
            for (order, number) in zone.split_ascii_whitespace().skip(1).take(MAX_ORDERS).enumerate() {
                let number: u64 = number.parse().ok()?;
                if blocks.len() <= order {
                    blocks.resize(order + 1, 0);
                }
                blocks[order] = u64::saturating_add(blocks[order], number);
            }
        }
        (!blocks.is_empty()).then_some(Self { blocks })
    }

    /// The share of the free memory that lies in blocks of at least this order, 0 to 1; None where nothing is free.
    pub fn share_of(&self, order: usize) -> Option<f64> {
        let pages = |(order, blocks): (usize, &u64)| *blocks as f64 * (1_u64 << order) as f64;
        let all: f64 = self.blocks.iter().enumerate().map(pages).sum();
        let large: f64 = self.blocks.iter().enumerate().skip(order).map(pages).sum();
        (all > 0.0).then(|| large / all)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zones_add_up() {
        let text = b"Node 0, zone      DMA      1      0      2\nNode 1, zone   Normal   3      1      0 1\n";
        let blocks = FreeBlocks::parse(text).unwrap();
        assert_eq!(blocks.blocks, [4, 1, 2, 1]);
        // 4 + 2 + 8 + 8 pages.
        assert_eq!(blocks.share_of(2), Some(16.0 / 22.0));
        assert_eq!((blocks.share_of(0), blocks.share_of(9)), (Some(1.0), Some(0.0)));
        assert_eq!(FreeBlocks::parse(b"Node 0, zone DMA x"), None);
        assert_eq!(FreeBlocks::parse(b"Node 0, zone DMA 0 0").unwrap().share_of(0), None);
        assert_eq!(FreeBlocks::parse(b""), None);
    }

    proptest! {
        #[test]
        fn shares_are_shares(numbers in prop::collection::vec(any::<u64>(), 0..80), order in 0_usize..100) {
            let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
            let text = format!("Node 0, zone DMA {}", numbers.join(" "));
            let share = FreeBlocks::parse(text.as_bytes()).and_then(|blocks| blocks.share_of(order));
            prop_assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)));
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = FreeBlocks::parse(&[b"zone x ", &*bytes].concat());
        }
    }
}
