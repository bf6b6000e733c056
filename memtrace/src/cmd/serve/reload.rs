//! Reads the configuration again at SIGHUP. All of it holds, or the old one goes on to.

use std::{
    io::{self, Write as _},
    sync::Arc,
    thread::{self, JoinHandle},
    time::SystemTime,
};

use sd_notify::NotifyState;
use signal_hook::{
    consts::SIGHUP,
    iterator::{Handle, Signals},
};

use super::{
    ServeError, options,
    settings::{Changes, CommandLine, MAX_CPU, Settings},
};
use crate::{
    cmd::exit,
    rights::needs,
    serve::board::Board,
    session::requests::{Asker, Request},
};

/// Listens until it is dropped.
pub struct Reloader {
    signals: Handle,
    thread: Option<JoinHandle<()>>,
}

/// What it needs for that.
pub struct Reloading {
    pub line: CommandLine,
    /// That hold.
    pub settings: Settings,
    pub asker: Asker,
    pub board: Arc<Board>,
}

impl Reloader {
    pub fn start(mut reloading: Reloading) -> io::Result<Self> {
        let mut signals = Signals::new([SIGHUP])?;
        let handle = signals.handle();
        let thread = thread::Builder::new().name("reload".to_owned()).spawn(move || {
            needs::keep_only_files_here(false);
            for _ in signals.forever() {
                reloading.reload();
            }
        })?;
        Ok(Self { signals: handle, thread: Some(thread) })
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.signals.close();
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}

impl Reloading {
    fn reload(&mut self) {
        notify_reloading();
        let outcome = self.take_over();
        let is_good = outcome.is_ok();
        self.board.change(|adjustable| {
            if let Some(config) = &mut adjustable.config {
                config.is_good = is_good;
                config.taken = if is_good { SystemTime::now() } else { config.taken };
            }
        });
        // Nowhere to complain if even standard error is closed.
        let _ = writeln!(io::stderr(), "memtrace: {}", exit::printable(&said(&outcome)));
        // So that the next scrape has it.
        self.asker.ask(Request::Report);
        let _ = sd_notify::notify(&[NotifyState::Ready]);
    }

    fn take_over(&mut self) -> Result<Changes, ServeError> {
        let new = self.line.settle()?;
        let mut options = options(&new.args)?;
        let changes = self.settings.change_to(&new);
        if changes.put_off.iter().any(|name| name == MAX_CPU) {
            options.max_cpu = None;
        }
        self.board.change(|adjustable| {
            adjustable.interval = options.interval;
            adjustable.series = new.args.series;
        });
        self.asker.ask(Request::Change(Box::new(options)));
        Ok(changes)
    }
}

/// systemd waits for what follows (`Type=notify-reload`).
fn notify_reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        let _ = sd_notify::notify(&[NotifyState::Reloading, now]);
    }
}

fn said(outcome: &Result<Changes, ServeError>) -> String {
    match outcome {
        Ok(Changes { made, put_off }) => {
            let made = if made.is_empty() {
                "nothing changes".to_owned()
            } else {
                format!("{} changed", made.join(", "))
            };
            let put_off = match &put_off[..] {
                [] => String::new(),
                [one] => format!("; {one} needs a restart"),
                several => format!("; {} need a restart", several.join(", ")),
            };
            format!("configuration read again: {made}{put_off}")
        }
        Err(error) => format!("the old configuration stays: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cmd::serve::config::{ConfigError, Fault};

    #[test]
    fn what_became_of_a_configuration_is_one_line() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let changes = |made: &[&str], put_off: &[&str]| {
            said(&Ok(Changes { made: names(made), put_off: names(put_off) }))
        };
        let fault = Fault { line: 3, column: 1, problem: "there is no option 'x'".to_owned() };
        let broken = ConfigError::Faulty { path: PathBuf::from("/etc/memtrace.toml"), fault };
        insta::assert_snapshot!(
            [
                changes(&[], &[]),
                changes(&["interval", "series"], &["listen"]),
                changes(&[], &["cache", "listen"]),
                said(&Err(broken.into())),
            ]
            .join("\n")
        );
    }
}
