//! From a route to a response.

use std::{sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{
        ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue,
        RETRY_AFTER, WWW_AUTHENTICATE,
    },
};
use maud::Markup;
use tokio::sync::Semaphore;

use super::{
    board::{Board, Health},
    page,
    route::{MAX_SECONDS, Refusal, Route},
    web::{Config, Web},
};
use crate::{
    output::{metrics::Format, pprof},
    session::requests::OwnProfile,
    text::human,
    view::profile::Profile,
};

pub type Answer = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const GZIP: &str = "application/octet-stream";

/// Profiles at the same time: each stands still for a moment of the session, or holds one of its past.
const MAX_PROFILES: usize = 4;

/// Answers from a board.
pub struct Answers {
    board: Arc<Board>,
    web: Web,
    profiles: Semaphore,
}

impl Answers {
    pub fn new(board: Arc<Board>, web: Web) -> Self {
        Self { board, web, profiles: Semaphore::new(MAX_PROFILES) }
    }

    /// How connections are made now.
    pub fn web(&self) -> Arc<Config> {
        self.web.current()
    }

    pub async fn answer(&self, request: &Request<Incoming>) -> Answer {
        let config = self.web.current();
        let is_admitted = self.web.admits(&config, request.headers().get(AUTHORIZATION)).await;
        let mut answer = if is_admitted { self.admit(request).await } else { ask_who() };
        answer.headers_mut().extend(config.headers.iter().cloned());
        answer
    }

    async fn admit(&self, request: &Request<Incoming>) -> Answer {
        let uri = request.uri();
        let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let route = Route::of(request.method().as_str(), uri.path(), uri.query().unwrap_or_default(), accept);
        // Of an answer to HEAD hyper leaves the body out.
        match route {
            Ok(Route::Home) => markup(page::home()),
            Ok(Route::Profiles) => markup(page::profiles()),
            Ok(Route::Health) => health(self.board.health()),
            Ok(Route::Metrics(format)) => self.metrics(format),
            Ok(Route::Profile(of, seconds)) => self.profile(of, seconds).await,
            Err(refusal) => refuse(refusal),
        }
    }

    fn metrics(&self, format: Format) -> Answer {
        let Some(exposed) = self.board.latest() else { return not_yet() };
        match format.text(&exposed) {
            Ok(text) => respond(StatusCode::OK, format.content_type(), text),
            Err(_) => respond(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the metrics cannot be written\n"),
        }
    }

    async fn profile(&self, of: pprof::Scraped, seconds: Option<Duration>) -> Answer {
        let Ok(_permit) = self.profiles.try_acquire() else {
            let many = format!("{MAX_PROFILES} profiles are being made already; ask again\n");
            return with_retry(respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, many));
        };
        let Some(OwnProfile { profile, snapshot }) = self.collect(seconds).await else { return not_yet() };
        let mut file = Vec::new();
        if pprof::write_scraped(of, &profile, &snapshot, &mut file).is_err() {
            return respond(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the profile cannot be written\n");
        }
        let mut answer = respond(StatusCode::OK, GZIP, file);
        answer
            .headers_mut()
            .insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"memtrace.pb.gz\""));
        answer
    }

    /// With a time, what was allocated within it and is still there.
    async fn collect(&self, seconds: Option<Duration>) -> Option<OwnProfile> {
        let Some(seconds) = seconds else { return self.board.profile().await };
        let before = self.board.profile().await?;
        tokio::time::sleep(seconds).await;
        let OwnProfile { profile, mut snapshot } = self.board.profile().await?;
        snapshot.elapsed = seconds;
        Some(OwnProfile { profile: Profile::added(&before.profile, &profile), snapshot })
    }
}

fn ask_who() -> Answer {
    let mut answer = respond(StatusCode::UNAUTHORIZED, TEXT, "Unauthorized\n");
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    answer
}

fn health(health: Health) -> Answer {
    match health {
        Health::Good => respond(StatusCode::OK, TEXT, "ok\n"),
        Health::Starting => not_yet(),
        Health::Ended => {
            respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "nothing is traced any more: see the log\n")
        }
        Health::Stuck(silent) => {
            let text = format!("no report for {}\n", human::duration(silent));
            respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
        }
    }
}

fn refuse(refusal: Refusal) -> Answer {
    match refusal {
        Refusal::UnknownPath => {
            respond(StatusCode::NOT_FOUND, TEXT, "there is no such page; / lists what there is\n")
        }
        Refusal::Seconds => {
            let text = format!("seconds: a whole number up to {MAX_SECONDS}\n");
            respond(StatusCode::BAD_REQUEST, TEXT, text)
        }
        Refusal::Method => {
            let mut answer = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            answer
        }
    }
}

fn not_yet() -> Answer {
    with_retry(respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "there is no report yet; ask again\n"))
}

fn with_retry(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

fn markup(page: Markup) -> Answer {
    respond(StatusCode::OK, HTML, page.into_string())
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
