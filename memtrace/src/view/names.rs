//! What objects are called, and where they are.

use crate::stream::event::FileType;

/// Objects in one directory whose names follow one pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameGroup {
    /// Name of the parent directory (`/` for a root).
    pub parent: Vec<u8>,
    /// Its whole path. None where none of the objects was looked at, and so for what follows.
    pub path: Option<Vec<u8>>,
    /// The name with its variable parts replaced: `.<n>_dOeSnotExist_.db`.
    pub pattern: Vec<u8>,
    /// An estimate, where not all objects have a name.
    pub objects: u64,
    /// One real name.
    pub example: Vec<u8>,
    /// The filesystem's type.
    pub filesystem: Option<Vec<u8>>,
    pub kind: Option<Class>,
    /// Of inodes and open files.
    pub file_type: Option<FileType>,
    /// Of those that were looked at.
    pub negatives: Option<Negatives>,
    /// Memory that a dentry's name takes outside of it, in bytes, on average.
    pub name_bytes: u64,
}

/// A directory, with all that is below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Directory {
    pub path: Vec<u8>,
    /// So many bytes of the path are that of the one above in the tree.
    pub within: usize,
    /// How many are above it.
    pub depth: usize,
    /// An estimate, where not all dentries have a name.
    pub objects: u64,
    /// Of all outstanding dentries, 0 to 1.
    pub share: f64,
    pub negatives: Negatives,
    /// The filesystem's type, or one of them.
    pub filesystem: Option<Vec<u8>>,
}

/// Kinds of objects that can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "lowercase")]
pub enum Class {
    Dentry,
    Inode,
    /// An open one.
    File,
    Socket,
}

/// Dentries that remember that there is nothing of a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negatives {
    pub looked_at: u64,
    /// How many dentries those stand for, and how many of them are negative: estimates.
    pub dentries: u64,
    pub negative: u64,
}

impl Negatives {
    pub fn plus(self, other: Self) -> Self {
        Self {
            looked_at: self.looked_at + other.looked_at,
            dentries: self.dentries + other.dentries,
            negative: self.negative + other.negative,
        }
    }

    /// 0 to 1.
    pub fn share(self) -> f64 {
        if self.dentries == 0 { 0.0 } else { self.negative as f64 / self.dentries as f64 }
    }
}
