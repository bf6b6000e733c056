//! `rows[].names[]`: what objects are called and where they are; `directories[]`: where most are.

use std::borrow::Cow;

use serde::Serialize;

use super::{escape, finite};
use crate::{
    stream::event::FileType,
    view::{self, Class},
};

#[derive(Serialize)]
pub(super) struct Names<'a> {
    parent: Cow<'a, str>,
    path: Option<Cow<'a, str>>,
    pattern: Cow<'a, str>,
    objects: u64,
    example: Cow<'a, str>,
    filesystem: Option<Cow<'a, str>>,
    kind: Option<&'static str>,
    file_type: Option<&'static str>,
    negative_share: Option<f64>,
    name_bytes: Option<u64>,
}

impl<'a> From<&'a view::NameGroup> for Names<'a> {
    fn from(group: &'a view::NameGroup) -> Self {
        Names {
            parent: escape::json(&group.parent),
            path: group.path.as_deref().map(escape::json),
            pattern: escape::json(&group.pattern),
            objects: group.objects,
            example: escape::json(&group.example),
            filesystem: group.filesystem.as_deref().map(escape::json),
            kind: group.kind.map(kind),
            file_type: group.file_type.map(file_type),
            negative_share: group.negatives.map(negative_share),
            name_bytes: group.negatives.map(|_| group.name_bytes),
        }
    }
}

/// `directories[]`.
#[derive(Serialize)]
pub(in crate::output) struct Directory<'a> {
    path: Cow<'a, str>,
    depth: usize,
    objects: u64,
    share: f64,
    negative_share: f64,
    filesystem: Option<Cow<'a, str>>,
}

impl<'a> From<&'a view::Directory> for Directory<'a> {
    fn from(directory: &'a view::Directory) -> Self {
        Directory {
            path: escape::json(&directory.path),
            depth: directory.depth,
            objects: directory.objects,
            share: finite(directory.share),
            negative_share: negative_share(directory.negatives),
            filesystem: directory.filesystem.as_deref().map(escape::json),
        }
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
