//! What is wished of a session from outside: by signals, and by whoever looks at it.

use super::{
    requests::{Request, Requests},
    signals::Signals,
};

pub struct Wishes {
    pub signals: Signals,
    pub requests: Requests,
}

impl Wishes {
    /// Waits until somebody wishes that it ends.
    pub async fn end(&mut self) {
        let Self { signals, requests } = self;
        let asked = async { while !matches!(requests.next().await, Request::End) {} };
        tokio::select! {
            () = signals.end() => {}
            () = asked => {}
        }
    }
}
