//! What a census says besides that no recording has.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    attribution::cgroup::Cgroups,
    kernel::{
        caches::KernelCache,
        census::Sample,
        clock,
        discover::Kernel,
        unused::{self, Unused, UnusedError},
    },
    procfs::{
        Files,
        cgroup::{self, Version},
        mountinfo::Mount,
        open_files::{self, InodeId},
        slab::SelectedCaches,
    },
    text::{escape, human},
    view::{
        Census,
        census::{Made, NotBefore, Payer, Row, UnusedRow, unused::sorted},
        key,
    },
};

/// Finding out who has files open takes no longer.
const MOST_FOR_HOLDERS: Duration = Duration::from_millis(300);

/// Says who has the sampled files and sockets open. Returns why that is not all.
pub fn find_holders(sample: &mut Sample) -> Option<String> {
    let slots = sample.caches.iter().flat_map(|cache| &cache.pages).flat_map(|page| &page.slots);
    let wanted: HashSet<InodeId> = slots.filter_map(|slot| slot.signs.inode).collect();
    let proc = Files::live().proc();
    let holders = open_files::holders(&proc, &wanted, Instant::now() + MOST_FOR_HOLDERS);
    let pages = sample.caches.iter_mut().flat_map(|cache| &mut cache.pages);
    for slot in pages.flat_map(|page| &mut page.slots) {
        let of_file = slot.signs.inode.and_then(|inode| holders.by_inode.get(&inode));
        slot.open_in = of_file.into_iter().flatten().map(|holder| (**holder).clone()).collect();
    }
    let limit = human::duration(MOST_FOR_HOLDERS);
    let why = format!("who has files open is known in part: to ask every process takes more than {limit}");
    (!holders.is_whole).then_some(why)
}

/// Says since when objects can be there, by what they are in. What is older than the host's start tells nothing.
///
/// A cgroup has no time: that of its directory is when its inode was loaded last.
pub fn date(census: &mut Census) {
    let boot = census.time - Duration::from_nanos(clock::now());
    let in_memory: Vec<Mount> = Files::live()
        .mounts()
        .into_iter()
        .filter(|mount| mount.kind == b"tmpfs" && mount.root == b"/")
        .collect();
    for row in &mut census.rows {
        let not_before = directory_made(row).or_else(|| filesystem_made(row, &in_memory));
        row.not_before = not_before.filter(|it| it.time > boot);
    }
}

/// A name that does not exist was looked up after its directory was made. Files are renamed, and may be older.
fn directory_made(row: &Row) -> Option<NotBefore> {
    let place = row.traits.place.as_ref().filter(|place| !place.is_flat && !place.is_below)?;
    if row.negative_share != Some(1.0) {
        return None;
    }
    let time = created(OsStr::from_bytes(&place.directory))?;
    Some(NotBefore { time, made: Made::Directory })
}

/// A filesystem in memory begins empty.
fn filesystem_made(row: &Row, in_memory: &[Mount]) -> Option<NotBefore> {
    let place = row.traits.place.as_ref().filter(|_| row.traits.filesystem.as_deref() == Some(b"tmpfs"))?;
    let directory = Path::new(OsStr::from_bytes(&place.directory));
    let holding = in_memory.iter().filter(|mount| directory.starts_with(&mount.at));
    let mount = holding.max_by_key(|mount| mount.at.as_os_str().len())?;
    Some(NotBefore { time: created(&mount.at)?, made: Made::Filesystem })
}

fn created(path: impl AsRef<Path>) -> Option<SystemTime> {
    fs::symlink_metadata(path).ok()?.created().ok()
}

/// What the kernel itself counts of the slab of cgroups that have no others in them.
pub fn count_cgroups(census: &mut Census) {
    let cgroups = cgroup::read(&Files::live().mounts());
    // The first version counts other memory with it.
    if cgroups.version != Version::V2 {
        return;
    }
    for row in &mut census.rows {
        let path = row.cgroup.as_ref().filter(|_| matches!(row.traits.payer, Some(Payer::Cgroup(_))));
        let counted = path.and_then(|path| cgroups.list.get(path.strip_prefix(b"/")?)?.slab);
        row.memory_stat = counted;
        if row.disagrees() {
            census.notes.push(format!(
                "{}: memory.stat says {}, the sample {}: something is read wrong, please report it",
                escape::terminal(path.map_or(&b""[..], |path| path)),
                human::bytes(counted.unwrap_or_default()),
                human::bytes(row.bytes)
            ));
        }
    }
}

/// What the kernel counts itself, if it is asked for.
pub fn unused(
    kernel: &Kernel,
    selection: &SelectedCaches,
    cgroups: &mut Cgroups,
) -> Result<Vec<UnusedRow>, UnusedError> {
    let is_counted = |cache: &KernelCache| cache.name == "dentry" || cache.name.contains("inode");
    if !kernel.caches.iter().any(|cache| is_counted(cache) && selection.contains(&cache.name)) {
        return Ok(Vec::new());
    }
    let mounts = Files::live().mounts();
    let mut row = |Unused { filesystem, id, device, cgroup, dentries, inodes }| {
        let here = mounts.iter().filter(|mount| mount.device == device.as_bytes() && mount.root == b"/");
        let here = here.map(|mount| mount.at.as_os_str().as_bytes()).min_by_key(|path| path.len());
        let path = cgroup.map(|id| {
            cgroups.learn(id);
            cgroups.path(id).map_or_else(|| key::cgroup(id, None), <[u8]>::to_vec)
        });
        UnusedRow { filesystem, id, mounted_at: here.map(<[u8]>::to_vec), cgroup: path, dentries, inodes }
    };
    Ok(sorted(unused::read(kernel)?.into_iter().map(&mut row)))
}
