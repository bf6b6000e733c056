use super::*;

#[test]
fn this_host_can_be_read() {
    let files = Files::live();
    let meminfo = files.meminfo().unwrap();
    assert!(meminfo.total() > 0 && meminfo.available() <= meminfo.total());
    assert!(files.vmstat().of("pgfault") > 0);
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
    let nothing = (files.nodes(), files.pages_at_hand(), files.pressure(), files.free_blocks());
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
