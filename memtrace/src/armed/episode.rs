//! From the trigger to the bundle on the shelf: room, recording, what is kept, hook. All of it is said, a sentence each.

use std::{ffi::OsStr, io, path::Path};

use tokio::sync::oneshot;

use super::{
    hook::Hook,
    recorder::{Recorded, Recorder, RecorderError},
    shelf::{Bundle, Shelf},
};
use crate::text::{escape, human};

pub struct Episodes {
    pub shelf: Shelf,
    pub recorder: Recorder,
    /// For the recording of each.
    pub max_size: u64,
    pub hook: Option<Hook>,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
enum Nothing {
    #[error("there is no room for it in {0}")]
    NoRoom(String),
    #[error("{0}")]
    Shelf(#[from] io::Error),
    #[error(transparent)]
    Recorder(#[from] RecorderError),
}

impl Episodes {
    /// One of them. `end` ends its recording early. Returns what was found, if there is a bundle.
    pub async fn run(&self, end: oneshot::Receiver<()>, say: impl Fn(&str)) -> Option<String> {
        let recorded = self.record(end, &say).await;
        // What was not completed is nothing that anybody could use.
        let cleared = self.shelf.clear();
        match recorded {
            Ok(Recorded { path, finding }) => {
                self.keep(&path, &finding, &say).await;
                Some(finding)
            }
            Err(why) => {
                say(&format!("not recorded: {why}"));
                let _ = cleared.map_err(|error| say(&format!("cannot remove what is left of it: {error}")));
                None
            }
        }
    }

    async fn record(&self, end: oneshot::Receiver<()>, say: &impl Fn(&str)) -> Result<Recorded, Nothing> {
        let (allowed, gone) = self.shelf.make_room(self.max_size)?;
        for bundle in gone {
            say(&format!("{} removed: the disk is full, and it was the least bad", described(&bundle)));
        }
        let allowed =
            allowed.ok_or_else(|| Nothing::NoRoom(escape::path(self.shelf.directory()).into_owned()))?;
        if allowed < self.max_size {
            say(&format!("the disk has room for a recording of {} only", human::bytes(allowed)));
        }
        Ok(self.recorder.record(allowed, end).await?)
    }

    async fn keep(&self, path: &Path, finding: &str, say: &impl Fn(&str)) {
        let tidied = self.shelf.sync().and_then(|()| self.shelf.tidy());
        let gone = tidied.unwrap_or_else(|error| {
            say(&format!("cannot remove bundles: {error}"));
            Vec::new()
        });
        let size = path.metadata().map(|found| human::bytes(found.len()));
        match size {
            Ok(size) => say(&format!("{finding}; {} ({size})", escape::path(path))),
            Err(_) => say(&format!(
                "{finding}; its bundle is not kept: all others are worse, or it is larger than --max-disk"
            )),
        }
        for bundle in gone.iter().filter(|bundle| path.file_name() != Some(OsStr::new(&bundle.name))) {
            say(&format!("{} removed: it was the least bad, beyond --keep or --max-disk", described(bundle)));
        }
        if let Some(hook) = self.hook.as_ref().filter(|_| path.exists()) {
            hook.run(path).await.said.iter().for_each(|line| say(line));
        }
    }
}

fn described(bundle: &Bundle) -> String {
    format!("{} ({})", bundle.name, human::bytes(bundle.bytes))
}
