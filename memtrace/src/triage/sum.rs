//! The host's memory as a sum: each page in one part, and what no counter covers as the last part.

use crate::procfs::{meminfo::Meminfo, vmstat::Vmstat};

/// What memory is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "snake_case")]
pub enum Part {
    Free,
    Processes,
    Shared,
    PageCache,
    SlabReclaimable,
    SlabUnreclaimable,
    PageTables,
    KernelStacks,
    PerCpu,
    Vmalloc,
    HugePages,
    Compressed,
    OtherKernel,
    /// The total minus all other parts: pages that drivers, the network and others allocate, which the kernel does not count.
    /// Negative where something was counted twice.
    Unaccounted,
}

impl Part {
    pub const ALL: [Self; 14] = [
        Self::Free,
        Self::Processes,
        Self::Shared,
        Self::PageCache,
        Self::SlabReclaimable,
        Self::SlabUnreclaimable,
        Self::PageTables,
        Self::KernelStacks,
        Self::PerCpu,
        Self::Vmalloc,
        Self::HugePages,
        Self::Compressed,
        Self::OtherKernel,
        Self::Unaccounted,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Processes => "processes",
            Self::Shared => "shared, tmpfs",
            Self::PageCache => "page cache",
            Self::SlabReclaimable => "slab, reclaimable",
            Self::SlabUnreclaimable => "slab, unreclaimable",
            Self::PageTables => "page tables",
            Self::KernelStacks => "kernel stacks",
            Self::PerCpu => "per-CPU",
            Self::Vmalloc => "vmalloc",
            Self::HugePages => "huge pages",
            Self::Compressed => "zswap, zram",
            Self::OtherKernel => "other kernel",
            Self::Unaccounted => "unaccounted",
        }
    }

    /// The lines of /proc/meminfo that it is made of.
    pub fn from(self) -> &'static str {
        match self {
            Self::Free => "MemFree, and per-CPU free lists (zoneinfo)",
            Self::Processes => "AnonPages",
            Self::Shared => "Shmem",
            Self::PageCache => "Cached + Buffers - Shmem",
            Self::SlabReclaimable => "SReclaimable",
            Self::SlabUnreclaimable => "SUnreclaim",
            Self::PageTables => "PageTables + SecPageTables",
            Self::KernelStacks => "KernelStack",
            Self::PerCpu => "Percpu",
            Self::Vmalloc => "VmallocUsed - KernelStack",
            Self::HugePages => "Hugetlb",
            Self::Compressed => "Zswap, nr_zspages",
            Self::OtherKernel => "KReclaimable - SReclaimable, GPUActive, GPUReclaim, WritebackTmp",
            Self::Unaccounted => "drivers, network: not counted",
        }
    }
}

/// All parts add up to the total, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    pub total: u64,
    parts: [i64; Part::ALL.len()],
}

impl Sum {
    /// What must not be counted twice:
    ///
    /// - Shmem is in Cached, as are the huge pages of both (`ShmemHugePages`, `FileHugePages`), and AnonHugePages in AnonPages.
    /// - What is in the swap cache is not in Cached (`meminfo_proc_show` takes it off) and mostly mapped, hence in AnonPages. The
    ///   rest of it is unaccounted.
    /// - Kernel stacks come from vmalloc on all machines that we know (CONFIG_VMAP_STACK), and VmallocUsed counts them: Linux
    ///   commit 97105f0ab7b8 ("mm: vmalloc: show number of vmalloc pages in /proc/meminfo") (in v5.3).
    /// - The per-CPU allocator maps its pages itself, so VmallocUsed leaves them out. Its first chunk is from before the
    ///   allocator of pages and not in MemTotal; some 100 KiB a CPU are counted though they are not there.
    /// - What zsmalloc has for zswap is in Zswap too, so the greater of both counts.
    /// - Ballooned pages are mostly not in MemTotal any more, so `Balloon` is left out.
    /// - KReclaimable is SReclaimable and what drivers can give back.
    pub fn new(meminfo: &Meminfo, vmstat: &Vmstat, pcp_free_pages: u64, page_size: u64) -> Self {
        let of = |key| meminfo.get_or_zero(key);
        let less = |key, part| of(key).saturating_sub(of(part));
        let pages = |pages: u64| pages.saturating_mul(page_size);
        let hugetlb = || of("HugePages_Total").saturating_mul(of("Hugepagesize"));
        let cached = of("Cached").saturating_add(of("Buffers"));
        let other =
            [less("KReclaimable", "SReclaimable"), of("GPUActive"), of("GPUReclaim"), of("WritebackTmp")];
        let known = |part| match part {
            Part::Free => of("MemFree").saturating_add(pages(pcp_free_pages)),
            Part::Processes => of("AnonPages"),
            Part::Shared => of("Shmem"),
            Part::PageCache => cached.saturating_sub(of("Shmem")),
            Part::SlabReclaimable => of("SReclaimable"),
            Part::SlabUnreclaimable => of("SUnreclaim"),
            Part::PageTables => of("PageTables").saturating_add(of("SecPageTables")),
            Part::KernelStacks => of("KernelStack"),
            Part::PerCpu => of("Percpu"),
            Part::Vmalloc => less("VmallocUsed", "KernelStack"),
            Part::HugePages => meminfo.get("Hugetlb").unwrap_or_else(hugetlb),
            Part::Compressed => of("Zswap").max(pages(vmstat.get("nr_zspages"))),
            Part::OtherKernel => other.into_iter().fold(0, u64::saturating_add),
            Part::Unaccounted => 0,
        };
        let total = signed(meminfo.total());
        let mut parts = Part::ALL.map(|part| signed(known(part)));
        parts[Part::Unaccounted as usize] = total - parts.iter().sum::<i64>();
        Self { total: total.unsigned_abs(), parts }
    }

    pub fn get(&self, part: Part) -> i64 {
        self.parts[part as usize]
    }

    /// Bytes of a part, 0 for what came out below.
    pub fn bytes(&self, part: Part) -> u64 {
        self.get(part).max(0).unsigned_abs()
    }

    /// Slab memory of both kinds.
    pub fn slab(&self) -> u64 {
        self.bytes(Part::SlabReclaimable) + self.bytes(Part::SlabUnreclaimable)
    }

    /// The share of all memory, 0 to 1.
    pub fn share(&self, bytes: u64) -> f64 {
        if self.total == 0 { 0.0 } else { bytes as f64 / self.total as f64 }
    }
}

/// No machine has so much; so no sum of the parts can overflow.
const MAX: u64 = 1 << 56;

fn signed(bytes: u64) -> i64 {
    bytes.min(MAX).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of a host with 6.18.
    const MEMINFO: &[u8] = b"MemTotal:       24684084 kB\nMemFree:        22250652 kB\nMemAvailable:   23975816 kB\n\
        Buffers:           10836 kB\nCached:          1876056 kB\nSwapCached:            0 kB\nAnonPages:        224340 kB\n\
        Mapped:           128860 kB\nShmem:              8872 kB\nKReclaimable:     124920 kB\nSlab:             153020 kB\n\
        SReclaimable:     124920 kB\nSUnreclaim:        28100 kB\nKernelStack:        1668 kB\nPageTables:         3688 kB\n\
        SecPageTables:         0 kB\nVmallocUsed:       14492 kB\nPercpu:              712 kB\nHugetlb:               0 kB\n\
        HugePages_Total:       0\nHugepagesize:       2048 kB\n";

    fn sum(text: &[u8], vmstat: &[u8], pcp_free_pages: u64) -> Sum {
        Sum::new(&Meminfo::parse(text), &Vmstat::parse(vmstat), pcp_free_pages, 4096)
    }

    #[test]
    fn a_host() {
        let sum = sum(MEMINFO, b"nr_zspages 0\n", 1000);
        let kilobytes = Part::ALL.map(|part| (part.into_str(), sum.get(part) / 1024));
        insta::assert_debug_snapshot!(kilobytes);
    }

    #[test]
    fn older_kernels_tell_huge_pages_by_their_number() {
        let sum =
            sum(b"MemTotal: 9000000 kB\nHugePages_Total: 16\nHugepagesize: 2048 kB\n", b"nr_zspages 3\n", 0);
        assert_eq!((sum.get(Part::HugePages), sum.get(Part::Compressed)), (32 << 20, 3 * 4096));
    }

    proptest! {
        #[test]
        fn it_adds_up(values in prop::collection::vec(any::<u64>(), 24), per_cpu_free: u64, zspages: u64) {
            const KEYS: [&str; 24] = [
                "MemTotal", "MemFree", "Buffers", "Cached", "AnonPages", "Shmem", "KReclaimable", "SReclaimable",
                "SUnreclaim", "KernelStack", "PageTables", "SecPageTables", "VmallocUsed", "Percpu", "Hugetlb",
                "Zswap", "GPUActive", "GPUReclaim", "WritebackTmp", "HugePages_Total", "Hugepagesize", "Slab",
                "SwapCached", "MemAvailable",
            ];
            let lines = KEYS.iter().zip(values).map(|(key, value)| format!("{key}: {} kB\n", value >> 10));
            let sum = sum(lines.collect::<String>().as_bytes(), format!("nr_zspages {zspages}\n").as_bytes(), per_cpu_free);
            let parts: i64 = Part::ALL.iter().map(|&part| sum.get(part)).sum();
            prop_assert_eq!(parts, sum.total.cast_signed());
        }
    }
}
