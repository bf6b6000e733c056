//! Which cgroups are traced. The kernel side knows ids, userspace knows paths: so userspace decides, and the probes keep what it
//! decided in the map `CGROUP_FILTER`. They send what is of a cgroup that nobody has decided on yet; but a child of one that is
//! traced is traced too, from its first allocation, whether anybody ever reads its path or not.

/// In the map `CGROUP_FILTER`: the cgroup is not traced.
pub const LEFT_OUT: u8 = 0;
/// It is traced, with all cgroups in it.
pub const TRACED: u8 = 1;

/// Cgroups around a cgroup that the probes look at. One that is deeper is left to userspace.
pub const MAX_DEPTH: i32 = 16;
