//! A census now and then: what the slab held when all was well, to be compared with what it holds in a bundle.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    process::Command,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    evidence::output_file::{FileError, NewFile},
    procfs::OURSELVES,
};

/// The last one; docs/census.md says what is in it.
const NAME: &str = "census.json";

/// It takes a second or two.
const WITHIN: Duration = Duration::from_secs(120);

#[derive(Debug, thiserror::Error)]
enum NoCensus {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot start memtrace census: {0}")]
    Start(#[from] io::Error),
    #[error("{0}")]
    Failed(String),
    #[error("memtrace census took too long")]
    Hung,
}

/// Takes one at once and then every so often, on the running event loop and until that ends.
pub fn every(time: Duration, into: PathBuf, say: fn(&str)) {
    tokio::spawn(async move {
        let mut ticks = interval(time);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(why) = take(&into).await {
                say(&format!("no census: {why}"));
            }
        }
    });
}

/// A process of its own, as for a recording.
async fn take(into: &Path) -> Result<(), NoCensus> {
    let mut file = NewFile::create(&into.join(NAME), true)?;
    let child = Command::new(OURSELVES)
        .arg0("memtrace")
        .args(["census", "-o", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::from(file.handle()?))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = timeout(WITHIN, child.wait_with_output()).await.map_err(|_| NoCensus::Hung)??;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(NoCensus::Failed(said.lines().next().unwrap_or_default().to_owned()));
    }
    Ok(file.publish()?)
}
