//! A process of its own that records and makes a bundle: `memtrace bundle --into`.
//!
//! A session takes memory that a process does not give back, and may be what the OOM killer takes: we watch on. If we are killed, the
//! kernel kills it.

use std::{
    ffi::OsString,
    io,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    sync::oneshot,
    time::timeout,
};

use crate::{procfs::OURSELVES, text::human};

/// After its recording it reads the host and packs, on a host that may be short of memory.
const PACKS_WITHIN: Duration = Duration::from_secs(300);

/// Of what it says when it fails, its last lines are passed on.
const MAX_LINES: usize = 4;

/// How recordings are made.
pub struct Recorder {
    pub into: PathBuf,
    pub time: Duration,
    /// Of `memtrace bundle`.
    pub options: Vec<OsString>,
}

/// A bundle that was made.
#[derive(Debug, PartialEq, Eq)]
pub struct Recorded {
    pub path: PathBuf,
    /// One line.
    pub finding: String,
}

#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    #[error("cannot start memtrace bundle: {0}")]
    Start(#[source] io::Error),
    #[error("{}", .0.join("; "))]
    Failed(Vec<String>),
    #[error("memtrace bundle ended: {0}")]
    Ended(ExitStatus),
    #[error("memtrace bundle was killed: it took more than {}", human::round_duration(*.0))]
    Hung(Duration),
}

impl Recorder {
    /// Takes at most so many bytes for the recording. Ends it early when `end` comes, with what there is by then.
    pub async fn record(&self, max_size: u64, end: oneshot::Receiver<()>) -> Result<Recorded, RecorderError> {
        let mut child = self.command(max_size).spawn().map_err(RecorderError::Start)?;
        let within = self.time + PACKS_WITHIN;
        let worked = timeout(within, work(&mut child, end)).await;
        let Ok(worked) = worked else {
            let _ = child.kill().await;
            return Err(RecorderError::Hung(within));
        };
        let (status, told, said) = worked.map_err(RecorderError::Start)?;
        match recorded(told) {
            Some(recorded) if status.success() => Ok(recorded),
            _ => Err(failure(status, &said)),
        }
    }

    fn command(&self, max_size: u64) -> Command {
        let mut command = Command::new(OURSELVES);
        command
            .arg0("memtrace")
            .args(["bundle", "--with-parent", &std::process::id().to_string()])
            .args(["--duration", &format!("{}ms", self.time.as_millis())])
            .args(["--max-size", &max_size.to_string()])
            .arg("--into")
            .arg(&self.into)
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// Its end, and what it printed on both outputs.
async fn work(child: &mut Child, end: oneshot::Receiver<()>) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let (out, errors) = (child.stdout.take(), child.stderr.take());
    let all = async { tokio::join!(child.wait(), read(out), read(errors)) };
    tokio::pin!(all);
    let (status, told, said) = tokio::select! {
        ended = &mut all => ended,
        Ok(()) = end => {
            // It has not been waited for.
            let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
            all.await
        }
    };
    Ok((status?, told, said))
}

async fn read(output: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut output) = output {
        // What came before an error may say why.
        let _ = output.read_to_end(&mut bytes).await;
    }
    bytes
}

/// The path, which may have any bytes in it, and a line with the finding.
fn recorded(mut told: Vec<u8>) -> Option<Recorded> {
    told.pop().filter(|byte| *byte == b'\n')?;
    let finding = told.split_off(told.iter().rposition(|byte| *byte == b'\n')? + 1);
    told.pop();
    let path = PathBuf::from(OsString::from_vec(told));
    (path != Path::new(""))
        .then(|| Recorded { path, finding: String::from_utf8_lossy(&finding).into_owned() })
}

fn failure(status: ExitStatus, said: &[u8]) -> RecorderError {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<_> = said.lines().map(str::to_owned).collect();
    let last = lines[lines.len().saturating_sub(MAX_LINES)..].to_vec();
    if last.is_empty() { RecorderError::Ended(status) } else { RecorderError::Failed(last) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_line_is_the_finding() {
        let told = recorded(b"/a\nb/c.tar.zst\nSUSPECT: none\n".to_vec());
        let expected = Recorded { path: "/a\nb/c.tar.zst".into(), finding: "SUSPECT: none".to_owned() };
        assert_eq!(told, Some(expected));
        for text in ["", "\n", "a", "a\n", "\na\n", "a\nb"] {
            assert_eq!(recorded(text.as_bytes().to_vec()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = recorded(bytes);
        }
    }
}
