//! Whether a command fails where somebody leaks or floods.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use clap::Args;

use crate::{
    cmd::exit::Found,
    output::{Output, Shown},
    view::{Snapshot, Verdict},
};

#[derive(Args, Clone, Copy, Debug, Default)]
pub struct FindingArgs {
    /// Exit with 3 if somebody leaks or floods at the end
    #[arg(long)]
    pub fail_on_finding: bool,
}

impl FindingArgs {
    pub fn found(self, snapshot: &Snapshot) -> Found {
        let is_accused = snapshot.verdict.as_ref().and_then(Verdict::first).is_some();
        if self.fail_on_finding && is_accused { Found::Suspect } else { Found::Nothing }
    }

    /// An output that takes note of what the last report found.
    pub fn watch(self, output: Box<dyn Output + Send>) -> (Box<dyn Output + Send>, Outcome) {
        let outcome = Outcome::default();
        (Box::new(Watched { output, args: self, outcome: outcome.clone() }), outcome)
    }
}

/// What a session found, once it has ended.
#[derive(Clone, Default)]
pub struct Outcome(Arc<AtomicBool>);

impl Outcome {
    pub fn found(&self) -> Found {
        if self.0.load(Relaxed) { Found::Suspect } else { Found::Nothing }
    }
}

struct Watched {
    output: Box<dyn Output + Send>,
    args: FindingArgs,
    outcome: Outcome,
}

impl Output for Watched {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        self.outcome.0.store(self.args.found(snapshot) == Found::Suspect, Relaxed);
        self.output.show(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    #[test]
    fn only_accusations_count_and_only_where_asked() {
        let found = |fail_on_finding, snapshot: &Snapshot| FindingArgs { fail_on_finding }.found(snapshot);
        assert_eq!(found(true, &sample::verdict()), Found::Suspect);
        assert_eq!(found(false, &sample::verdict()), Found::Nothing);
        for innocent in [sample::only_caches(), sample::too_few(), sample::ended(), sample::dentry()] {
            assert_eq!(found(true, &innocent), Found::Nothing);
        }
    }
}
