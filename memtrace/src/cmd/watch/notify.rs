//! What systemd hears: READY with the first look at the host, the state in a line, and with each look that we live.

use sd_notify::NotifyState;

use crate::{
    armed::{episode::Episodes, guard::Audience, machine::State},
    text::human,
};

#[derive(Default)]
pub struct Notifier {
    is_ready: bool,
    bundles: u64,
    /// What the last one found.
    finding: Option<String>,
}

impl Audience for Notifier {
    fn recorded(&mut self, _reasons: &[String], finding: Option<String>, _episodes: &Episodes) {
        self.found(finding);
    }

    fn is(&mut self, state: State) {
        let status = self.status(state);
        let ready = (!std::mem::replace(&mut self.is_ready, true)).then_some(NotifyState::Ready);
        let states: Vec<_> =
            ready.into_iter().chain([NotifyState::Status(&status), NotifyState::Watchdog]).collect();
        // Where systemd does not listen, nobody waits for it.
        let _ = sd_notify::notify(&states);
    }

    fn ends(&mut self) {
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
    }
}

impl Notifier {
    fn found(&mut self, finding: Option<String>) {
        self.bundles += u64::from(finding.is_some());
        self.finding = finding.or(self.finding.take());
    }

    fn status(&self, state: State) -> String {
        let state = match state {
            State::Armed => "armed".to_owned(),
            State::Recording => "recording".to_owned(),
            State::Cooling(left) => {
                format!("armed; what was recorded cools down for {}", human::round_duration(left))
            }
        };
        let made = human::number(self.bundles, "recording");
        match &self.finding {
            Some(finding) => format!("{state}; {made}, the last one: {finding}"),
            None => format!("{state}; {made}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_state_is_a_line() {
        let mut notifier = Notifier::default();
        assert_eq!(notifier.status(State::Armed), "armed; 0 recordings");
        notifier.found(Some("SUSPECT: none".to_owned()));
        notifier.found(None);
        assert_eq!(
            notifier.status(State::Cooling(Duration::from_secs(90))),
            "armed; what was recorded cools down for 1 m 30 s; 1 recording, the last one: SUSPECT: none"
        );
    }
}
