//! What whoever looks at a session asks of it while it runs.

use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    oneshot,
};

use super::options::Options;
use crate::{
    select::filter::Filter,
    view::{Snapshot, build::ReportOptions, profile::Profile},
};

#[derive(Debug)]
pub enum Request {
    /// Ends the session, as SIGINT does.
    End,
    /// Reports in this way from now on.
    Look(Box<View>),
    /// Goes on by these options, as far as a session can change while it runs.
    Change(Box<Options>),
    /// Reports at once.
    Report,
    /// Says which calls led to what is outstanding. No report is made.
    Profile(oneshot::Sender<OwnProfile>),
}

/// A profile, and a report of the same moment.
#[derive(Clone, Debug)]
pub struct OwnProfile {
    pub profile: Profile,
    pub snapshot: Snapshot,
}

/// How to look at a session.
#[derive(Clone, Debug)]
pub struct View {
    pub report_options: ReportOptions,
    /// Of what is traced, what is shown.
    pub filter: Filter,
}

/// Asks; from any thread.
#[derive(Clone)]
pub struct Asker(UnboundedSender<Request>);

impl Asker {
    /// After its end a session does nothing any more.
    pub fn ask(&self, request: Request) {
        let _ = self.0.send(request);
    }
}

/// The session's side. By default nobody asks anything.
#[derive(Default)]
pub struct Requests(Option<UnboundedReceiver<Request>>);

impl Requests {
    pub fn new() -> (Asker, Self) {
        let (sender, receiver) = unbounded_channel();
        (Asker(sender), Self(Some(receiver)))
    }

    /// Waits for the next one: for ever, where nobody asks.
    pub async fn next(&mut self) -> Request {
        if let Some(receiver) = &mut self.0
            && let Some(request) = receiver.recv().await
        {
            return request;
        }
        std::future::pending().await
    }
}
