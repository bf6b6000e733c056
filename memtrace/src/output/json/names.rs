//! `rows[].names[]`: what objects are called and where they are; `directories[]`: where most are.

use std::borrow::Cow;

use super::{escape, finite, object};
use crate::{
    stream::event::FileType,
    view::{self, Class},
};

object! {
    pub(super) struct Names<'a> of group: &'a view::NameGroup {
        parent: Cow<'a, str> = escape::json(&group.parent),
        path: Option<Cow<'a, str>> = group.path.as_deref().map(escape::json),
        pattern: Cow<'a, str> = escape::json(&group.pattern),
        objects: u64,
        example: Cow<'a, str> = escape::json(&group.example),
        filesystem: Option<Cow<'a, str>> = group.filesystem.as_deref().map(escape::json),
        kind: Option<&'static str> = group.kind.map(kind),
        file_type: Option<&'static str> = group.file_type.map(file_type),
        negative_share: Option<f64> = group.negatives.map(negative_share),
        name_bytes: Option<u64> = group.negatives.map(|_| group.name_bytes),
    }
}

object! {
    /// `directories[]`.
    pub(in crate::output) struct Directory<'a> of directory: &'a view::Directory {
        path: Cow<'a, str> = escape::json(&directory.path),
        depth: usize,
        objects: u64,
        share: f64 = finite(directory.share),
        negative_share: f64 = negative_share(directory.negatives),
        filesystem: Option<Cow<'a, str>> = directory.filesystem.as_deref().map(escape::json),
    }
}

pub(super) fn negative_share(negatives: view::Negatives) -> f64 {
    finite(negatives.share())
}

fn kind(class: Class) -> &'static str {
    match class {
        Class::Dentry => "dentry",
        Class::Inode => "inode",
        Class::File => "file",
        Class::Socket => "socket",
    }
}

fn file_type(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Regular => "regular",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharDevice => "char_device",
        FileType::BlockDevice => "block_device",
        FileType::Anonymous => "anonymous",
    }
}
