//! Profiles for the tests of their formats.

use proptest::{collection::vec, prelude::*};

use crate::view::profile::{Profile, Sample};

/// The leaker of [`super::dentry`] and its bystanders, with the calls of one allocation in 32.
pub(crate) fn profile() -> Profile {
    let lookup = ["d_alloc_parallel", "__lookup_slow", "walk_component", "path_lookupat", "filename_lookup"];
    let by_access = [&["__d_alloc"], &lookup[..], &["do_faccessat", "access [libc.so.6]", "main [curl]"]];
    let by_open = [&["__d_alloc"], &lookup[..], &["do_sys_openat2", "open [libc.so.6]", "main [curl]"]];
    let overlay = [
        "ovl_alloc_inode [overlay]",
        "alloc_inode",
        "ovl_lookup [overlay]",
        "do_syscall_64",
        "open [libc.so.6]",
    ];
    Profile {
        stacks_period: Some(32),
        samples: vec![
            sample(&["run_work", "kthread"], "[kworker/0:1-ev]", None, "kmalloc-64", 1_169, 14),
            sample(
                &by_access.concat(),
                "curl",
                Some("/system.slice/probe.service"),
                "dentry",
                23_470,
                23_101,
            ),
            sample(&by_open.concat(), "curl", Some("/system.slice/probe.service"), "dentry", 370, 355),
            sample(&[], "postgres", Some("/system.slice/postgresql.service"), "dentry", 40_213, 512),
            sample(
                &overlay,
                "postgres",
                Some("/system.slice/postgresql.service"),
                "ovl_inode (+1 merged)",
                9,
                0,
            ),
            sample(
                &["0xffffffff81234567", "libpq.so.5+0x1234", "(no frame pointer)"],
                "postgres",
                None,
                "filp",
                7,
                7,
            ),
        ],
    }
}

/// Whatever can be hostile is.
pub(crate) fn hostile_profile() -> Profile {
    let evil = "\x1b]0;pwned\x07\n\"\\ 7";
    let script = "<script>alert(1)</script>";
    Profile {
        stacks_period: None,
        samples: vec![
            sample(
                &[evil, script, "]]><!--", "a [b] [c]", " [x]", "&#0; [&amp;]"],
                evil,
                Some(evil),
                evil,
                9,
                8,
            ),
            sample(&[], script, Some(script), script, 5, 4),
            sample(&["", "-", "--", "日本\u{202e}"], " 12 34 ", Some(""), "", 3, 2),
            Sample { comm: b"\xff\xfe;#".to_vec(), ..sample(&["main"], "", None, "dentry", 2, 1) },
        ],
    }
}

fn sample(
    frames: &[&str],
    comm: &str,
    cgroup: Option<&str>,
    cache: &str,
    allocs: u64,
    objects: u64,
) -> Sample {
    Sample {
        frames: frames.iter().map(ToString::to_string).collect(),
        comm: comm.as_bytes().to_vec(),
        cgroup: cgroup.map(|path| path.as_bytes().to_vec()),
        // Files are on another than dentries.
        node: Some(u16::from(cache == "filp")),
        cache: cache.to_owned(),
        allocs,
        alloc_bytes: allocs * 192,
        objects,
        bytes: objects * 192,
    }
}

/// Its samples differ from each other.
pub(crate) fn any_profile() -> impl Strategy<Value = Profile> {
    let name = || prop_oneof![3 => "[a-c]{1,2}".boxed(), 1 => any::<String>().boxed(), 1 => "[ ;0-9\n]{0,3}".boxed()];
    let frame = prop_oneof![
        name(),
        ("[a-c]", "[a-c]{1,2}").prop_map(|(function, file)| format!("{function} [{file}]")),
        "[a-c]\\+0x[0-9a-f]{1,3}",
    ];
    let comm = prop_oneof![name().prop_map(String::into_bytes), vec(any::<u8>(), 0..5)];
    let counts = (0..1u64 << 40, 0..1u64 << 40, 1..1u64 << 10, proptest::option::of(0..4u16));
    let sample = (vec(frame, 0..5), comm.clone(), proptest::option::of(comm), name(), counts);
    let sample = sample.prop_map(|(frames, comm, cgroup, cache, (freed, objects, size, node))| {
        let allocs = freed + objects;
        Sample {
            frames,
            comm,
            cgroup,
            node,
            cache,
            allocs,
            alloc_bytes: allocs * size,
            objects,
            bytes: objects * size,
        }
    });
    (proptest::option::of(2..64u32), vec(sample, 0..8)).prop_map(|(stacks_period, mut samples)| {
        let key = |sample: &Sample| {
            (sample.comm.clone(), sample.cgroup.clone(), sample.cache.clone(), sample.frames.clone())
        };
        samples.sort_by_key(key);
        samples.dedup_by_key(|sample| key(sample));
        Profile { stacks_period, samples }
    })
}
