//! What whoever looks at a session asks of it while it runs.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{evidence::replay::filter::Filter, view::build::ReportOptions};

#[derive(Clone, Debug)]
pub enum Request {
    /// Ends the session, as SIGINT does.
    End,
    /// Reports in this way from now on.
    Look(View),
    /// Reports at once.
    Report,
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

/// The session's side.
pub struct Requests(Option<UnboundedReceiver<Request>>);

impl Requests {
    /// Nobody asks anything.
    pub const NONE: Self = Self(None);

    pub fn new() -> (Asker, Self) {
        let (sender, receiver) = unbounded_channel();
        (Asker(sender), Self(Some(receiver)))
    }

    /// Waits for the next one: for ever, where nobody asks.
    pub(super) async fn next(&mut self) -> Request {
        if let Some(receiver) = &mut self.0
            && let Some(request) = receiver.recv().await
        {
            return request;
        }
        std::future::pending().await
    }
}
