use super::*;

#[test]
fn this_host_can_be_read() {
    let files = Files::live();
    let meminfo = files.meminfo().unwrap();
    assert!(meminfo.total() > 0 && meminfo.available() <= meminfo.total());
    assert!(files.vmstat().get("pgfault") > 0);
}

#[test]
fn without_proc_it_is_said_so() {
    let root = tempfile::tempdir().unwrap();
    let files = Files::at(root.path());
    let error = files.meminfo().unwrap_err().to_string();
    assert!(error.ends_with("is /proc mounted?"), "{error}");
    fs::create_dir(root.path().join("proc")).unwrap();
    fs::write(root.path().join("proc/meminfo"), "MemFree: 1 kB\n").unwrap();
    assert!(files.meminfo().unwrap_err().to_string().contains("MemTotal"));
    let nothing = (files.nodes(), files.pcp_free_pages(), files.pressure(), files.free_blocks());
    assert_eq!(nothing, (Vec::new(), None, None, None));
    assert_eq!((files.dentry_state(), files.tmpfs(), files.cgroups()), Default::default());
}

#[test]
fn nodes_with_memory_by_their_numbers() {
    let root = tempfile::tempdir().unwrap();
    for (node, text) in
        [("node10", "Node 10 MemTotal: 8 kB\n"), ("node2", "Node 2 MemTotal: 4 kB\n"), ("node3", "")]
    {
        let directory = root.path().join("sys/devices/system/node").join(node);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("meminfo"), text).unwrap();
    }
    let nodes = Files::at(root.path()).nodes();
    assert_eq!(
        nodes.iter().map(|node| (node.number, node.meminfo.total())).collect::<Vec<_>>(),
        [(2, 4096), (10, 8192)]
    );
}

/// What real kernels printed: in VMs, and 6.18 on a host that was at work.
const KERNELS: [&str; 4] = ["5.10", "6.12", "6.18", "7.x"];

fn of_kernel(kernel: &str) -> Files {
    Files::at(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/procfs/fixtures").join(kernel))
}

#[test]
fn the_texts_of_several_kernels() {
    let mut texts = String::new();
    for kernel in KERNELS {
        let files = of_kernel(kernel);
        let meminfo = files.meminfo().unwrap();
        let vmstat = files.vmstat();
        let processes = process::memory::read(&files.proc(), 4096);
        let pss = processes.list.keys().map(|id| process::memory::proportional(&files.proc(), *id));
        texts += &format!(
            "{kernel}\n  available {}  at hand {:?}  allocstall {}  pgsteal_file {}\n  {:?}\n  {:?}  large blocks {:.3}\n  {:?}  pss {:?}\n",
            meminfo.available(),
            files.pcp_free_pages(),
            vmstat.sum("allocstall"),
            vmstat.get("pgsteal_file"),
            files.pressure(),
            files.dentry_state(),
            files.free_blocks().and_then(|blocks| blocks.share_of(4)).unwrap(),
            processes.list.values().map(|process| (process.resident, process.anon)).collect::<Vec<_>>(),
            pss.collect::<Vec<_>>(),
        );
    }
    insta::assert_snapshot!(texts);
}

/// What no counter has is a small part of the memory, and nothing is counted twice.
#[test]
fn the_sum_of_several_kernels_leaves_little_unaccounted() {
    use crate::triage::sum::{Part, Sum};
    for kernel in KERNELS {
        let files = of_kernel(kernel);
        let per_cpu_free = files.pcp_free_pages().unwrap();
        let sum = Sum::new(&files.meminfo().unwrap(), &files.vmstat(), per_cpu_free, 4096);
        let share = sum.get(Part::Unaccounted) as f64 / sum.total as f64;
        assert!((-0.01..0.1).contains(&share), "{kernel}: {share} of all memory is unaccounted: {sum:?}");
    }
}
