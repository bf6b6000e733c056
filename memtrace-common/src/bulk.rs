//! Objects that are handed out or given back at once.

/// How many are followed; what is beyond is counted as lost. A batch of `kfree_rcu` is a page of pointers with a header.
pub const MAX_OBJECTS: u64 = 512;
