//! Censuses of hosts that are made up.

use std::time::{Duration, SystemTime};

use crate::{
    stream::event::FileType,
    view::{
        Census,
        census::{
            By, CacheCensus, Clock, Content, Interval, Kind, OpenIn, Payer, Period, Place, Row, Told, Traits,
            UnusedRow,
        },
    },
};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_939_200)
}

/// A flood of names that do not exist, long after its processes have ended and its containers were removed.
pub(crate) fn wreck() -> Census {
    let dentry = cache("dentry", 38 * GIB, 200_000_000);
    let inodes =
        CacheCensus { aliases: vec!["a".to_owned()], ..cache("ext4_inode_cache", 900 * MIB, 780_000) };
    let small = CacheCensus {
        told: Told::TooFew { error: Some(0.004) },
        pages: 3,
        ..cache("filp", 150 * MIB, 600_000)
    };
    let doubted = CacheCensus {
        told: Told::Doubted { expected: 61.0, deviations: 9.2 },
        pages: 133,
        ..cache("kmalloc-64", GIB, 9_000_000)
    };
    let nss = Row {
        cgroup: Some(POD.into()),
        negative_share: Some(1.0),
        asked_once_share: Some(0.984),
        example: Some(b".123456789_dOeSnotExist_.db".to_vec()),
        made: Some(period(778_000, 0, Clock::Uptime)),
        ..row(0, 0.71, 0.02, 38 * GIB, Traits { payer: Some(Payer::Cgroup(7)), ..nss() })
    };
    let removed = Row {
        cgroup: Some(b"/kubepods.slice/kubepods-burstable.slice".to_vec()),
        removed_cgroups: 312,
        negative_share: Some(0.93),
        asked_once_share: Some(0.97),
        made: Some(period(600_000, 90_000, Clock::Date)),
        ..row(
            0,
            0.11,
            0.013,
            38 * GIB,
            Traits { payer: Some(Payer::RemovedOf(9)), ..place("/var/lib/app/cache", "<n>-<n>-<n>.tmp") },
        )
    };
    let free = row(0, 0.04, 0.008, 38 * GIB, Traits { content: Content::Free, ..Traits::default() });
    let being_freed =
        row(0, 0.004, 0.003, 38 * GIB, Traits { content: Content::BeingFreed, ..Traits::default() });
    let files = Row {
        cgroup: Some(b"/system.slice/cron.service".to_vec()),
        asked_once_share: None,
        open_in: Some(OpenIn { comm: b"nginx".to_vec(), processes: 8, share: 0.41 }),
        ..row(
            1,
            0.6,
            0.07,
            900 * MIB,
            Traits {
                payer: Some(Payer::Cgroup(3)),
                kind: Some(Kind::Inode(FileType::Regular)),
                ..below("/usr/share")
            },
        )
    };
    let nobodys = row(
        1,
        0.4,
        0.07,
        900 * MIB,
        Traits { payer: Some(Payer::Nobody), ..place("/var/log", "syslog.<n>.gz") },
    );
    let untold = row(2, 1.0, 0.0, 150 * MIB, Traits { content: Content::TooFew, ..Traits::default() });
    let withheld = row(3, 1.0, 0.0, GIB, Traits { content: Content::Doubted, ..Traits::default() });
    let rest = |at: u64| {
        row(
            0,
            0.136 / 4.0,
            0.01,
            38 * GIB,
            Traits { payer: Some(Payer::Unknown), ..place("/tmp", &format!("x{at}")) },
        )
    };
    let rows = vec![
        nss,
        removed,
        rest(1),
        rest(2),
        rest(3),
        rest(4),
        free,
        withheld,
        files,
        nobodys,
        untold,
        being_freed,
    ];
    Census {
        caches: vec![dentry, doubted, inodes, small],
        rows: rows
            .into_iter()
            .map(|mut row| {
                // Their numbers, in the order of the caches.
                row.traits.cache = row.traits.cache.map(|at| [0, 2, 3, 1][at]);
                row
            })
            .collect(),
        unused: vec![
            unused("ext4", "vda1", Some("/"), Some(POD), (140_200_310, 12_001)),
            unused("ext4", "vda1", Some("/"), None, (190_204, 600_112)),
            unused("xfs", "nvme1n1", None, None, (9_000, 812)),
            unused("overlay", "overlay", None, Some(b"/system.slice/cron.service"), (1_200, 0)),
            unused("tmpfs", "tmpfs", Some("/run"), Some(b"/"), (0, 31)),
            unused("proc", "proc", Some("/proc"), None, (7, 7)),
        ],
        notes: vec!["cgroups have no names: reading them needs CAP_DAC_READ_SEARCH".to_owned()],
        ..empty()
    }
}

fn unused(
    filesystem: &str,
    id: &str,
    mounted_at: Option<&str>,
    cgroup: Option<&[u8]>,
    (dentries, inodes): (u64, u64),
) -> UnusedRow {
    UnusedRow {
        filesystem: filesystem.into(),
        id: id.into(),
        mounted_at: mounted_at.map(Into::into),
        cgroup: cgroup.map(<[u8]>::to_vec),
        dentries,
        inodes,
    }
}

const POD: &[u8] = b"/kubepods.slice/kubepods-burstable.slice/cri-containerd-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope";

/// All slab by whose it is and what.
pub(crate) fn by_cgroup() -> Census {
    let wreck = wreck();
    let rows =
        wreck.rows.iter().cloned().map(|row| Row { traits: Traits { cache: None, ..row.traits }, ..row });
    Census {
        by: vec![By::Cgroup, By::Kind, By::Filesystem, By::Uid, By::Node],
        rows: rows.collect(),
        ..wreck
    }
}

/// Caches without end, and a hundred rows.
pub(crate) fn many() -> Census {
    let caches: Vec<_> = (0..120).map(|at| cache(&format!("cache-{at}"), GIB / (at + 1), 1_000)).collect();
    let rows = (0..100).map(|at| {
        row(0, 0.01, 0.002, GIB, Traits { payer: Some(Payer::Nobody), ..place("/tmp", &format!("x{at}")) })
    });
    Census { rows: rows.collect(), caches, ..empty() }
}

/// Names that attack whatever shows them.
pub(crate) fn hostile() -> Census {
    let evil = "\u{1b}[31m</td>`|\n\u{202e}evil";
    let mut census = wreck();
    census.rows[0].cgroup = Some(evil.as_bytes().to_vec());
    census.rows[0].traits.place = place(&format!("/{evil}"), "\u{7}\u{9b}x").place;
    census.rows[0].example = Some(b"\xff\xfe\x1b[2J".to_vec());
    census.rows[1].open_in = Some(OpenIn { comm: evil.into(), processes: 1, share: 1.0 });
    census.rows[1].traits.filesystem = Some(evil.as_bytes().to_vec());
    census.unused[0].mounted_at = Some(evil.as_bytes().to_vec());
    census.unused[1].cgroup = Some(evil.as_bytes().to_vec());
    census.caches[0].name = evil.to_owned();
    census.host = evil.to_owned();
    census.notes.push(evil.to_owned());
    census
}

pub(crate) fn empty() -> Census {
    Census {
        time: now(),
        host: "web-1".to_owned(),
        kernel: "6.1.0-13-amd64".to_owned(),
        by: vec![By::Cache, By::Cgroup, By::Place],
        seed: 4_711,
        frames: 16_777_216,
        drawn: 20_480,
        slab_pages: 12_345,
        page_size: 4096,
        elapsed: Duration::from_millis(312),
        caches: Vec::new(),
        rows: Vec::new(),
        unused: Vec::new(),
        notes: Vec::new(),
    }
}

pub(crate) fn all() -> Vec<Census> {
    vec![wreck(), by_cgroup(), many(), hostile(), empty()]
}

fn cache(name: &str, bytes: u64, objects: u64) -> CacheCensus {
    CacheCensus {
        name: name.to_owned(),
        aliases: Vec::new(),
        reclaimable: Some(name != "kmalloc-64"),
        bytes,
        sampled_bytes: bytes / 1000 * 998,
        sampled_bytes_ci95: (bytes / 100 * 98, bytes / 100 * 101),
        objects,
        objects_ci95: (objects / 100 * 98, objects / 100 * 101),
        slabinfo_objects: Some(objects),
        slabinfo_bytes: Some(bytes),
        pages: 2_400,
        told: Told::Rows { unseen: 0.001 },
    }
}

fn row(cache: usize, share: f64, error: f64, of: u64, traits: Traits) -> Row {
    let around = |share: f64| -> Interval<f64> { ((share - error).max(0.0), (share + error).min(1.0)) };
    let part = |share: f64| (share * of as f64) as u64;
    let (low, high) = around(share);
    Row {
        traits: Traits { cache: Some(cache), ..traits },
        cgroup: None,
        removed_cgroups: 0,
        looks: 1_000,
        objects: part(share) / 192,
        objects_ci95: (part(low) / 192, part(high) / 192),
        bytes: part(share),
        bytes_ci95: (part(low), part(high)),
        share,
        share_ci95: around(share),
        example: None,
        negative_share: None,
        asked_once_share: None,
        made: None,
        not_before: None,
        open_in: None,
        memory_stat: None,
    }
}

fn nss() -> Traits {
    Traits {
        kind: Some(Kind::NegativeDentry),
        uid: Some(1000),
        node: Some(0),
        ..place("/etc/pki/nssdb", ".<n>_dOeSnotExist_.db")
    }
}

fn place(directory: &str, pattern: &str) -> Traits {
    let place = Place { directory: directory.into(), pattern: pattern.into(), ..Place::default() };
    Traits { place: Some(place), filesystem: Some(b"ext4".to_vec()), ..Traits::default() }
}

fn below(directory: &str) -> Traits {
    let place = Place { directory: directory.into(), is_below: true, ..Place::default() };
    Traits { place: Some(place), ..Traits::default() }
}

fn period(from: u64, to: u64, clock: Clock) -> Period {
    Period { after: now() - Duration::from_secs(from), before: now() - Duration::from_secs(to), clock }
}
