//! What Alertmanager sends when an alert fires: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    },
    time::{sleep, timeout},
};

use crate::text::escape;

/// The body of a request.
const MAX_BODY: usize = 1 << 20;
const MAX_HEAD: usize = 16 << 10;
/// All of a connection.
const WITHIN: Duration = Duration::from_secs(10);
/// At the same time; others wait.
const MAX_CONNECTIONS: usize = 4;
/// Alerts that are named, at most, and how much of each name.
const MAX_NAMED: usize = 4;
const MAX_NAME: usize = 80;
/// After an error of accepting a connection, such as no free descriptor.
const PAUSE: Duration = Duration::from_secs(1);

/// A notification, as far as we read it.
#[derive(Deserialize)]
struct Notification {
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
struct Alert {
    status: String,
    #[serde(default)]
    labels: Labels,
}

#[derive(Default, Deserialize)]
struct Labels {
    #[serde(default)]
    alertname: String,
}

/// Listens until it is dropped.
pub struct Webhook {
    alerts: UnboundedReceiver<String>,
}

impl Webhook {
    /// On the running event loop.
    pub fn listen(socket: std::net::TcpListener) -> io::Result<Self> {
        let (sender, alerts) = unbounded_channel();
        tokio::spawn(accept_all(TcpListener::from_std(socket)?, sender));
        Ok(Self { alerts })
    }

    /// The next that fires: its name, or several.
    pub async fn next(&mut self) -> String {
        match self.alerts.recv().await {
            Some(alert) => alert,
            None => std::future::pending().await,
        }
    }
}

async fn accept_all(socket: TcpListener, sender: UnboundedSender<String>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match socket.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(converse(stream, sender.clone(), place))),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// One connection, to its end.
async fn converse(stream: TcpStream, sender: UnboundedSender<String>, _place: OwnedSemaphorePermit) {
    let answer = service_fn(|request| {
        let sender = sender.clone();
        async move { Ok::<_, Infallible>(answer(request, &sender).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), answer);
    // Who talks no HTTP, or goes, is nobody that could be told.
    let _ = timeout(WITHIN, connection).await;
}

async fn answer(request: Request<Incoming>, sender: &UnboundedSender<String>) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        let mut answer =
            respond(StatusCode::METHOD_NOT_ALLOWED, "only POST, as Alertmanager's webhook_configs\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return answer;
    }
    let Ok(body) = Limited::new(request.into_body(), MAX_BODY).collect().await else {
        return respond(StatusCode::PAYLOAD_TOO_LARGE, "1 MiB at most\n");
    };
    match fires(&body.to_bytes()) {
        Err(_) => respond(StatusCode::BAD_REQUEST, "not what Alertmanager sends to a webhook\n"),
        Ok(alert) => {
            // At the end of the watch nobody waits for it.
            alert.map(|alert| sender.send(alert));
            respond(StatusCode::OK, "")
        }
    }
}

fn respond(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer
}

/// Which alerts do; None where all are resolved.
fn fires(body: &[u8]) -> serde_json::Result<Option<String>> {
    let Notification { alerts } = serde_json::from_slice(body)?;
    let firing: Vec<_> = alerts.iter().filter(|alert| alert.status == "firing").collect();
    let mut names: Vec<_> = firing.iter().map(|alert| name(alert)).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(MAX_NAMED);
    Ok((!firing.is_empty()).then(|| names.join(", ")))
}

/// Made by whoever can connect.
fn name(alert: &Alert) -> String {
    let name: String = alert.labels.alertname.chars().take(MAX_NAME).collect();
    if name.is_empty() {
        "an alert without a name".to_owned()
    } else {
        escape::terminal(name.as_bytes()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        thread,
    };

    use proptest::prelude::*;

    use super::*;

    const FIRING: &str = r#"{"version":"4","status":"firing","receiver":"memtrace","alerts":[
        {"status":"firing","labels":{"alertname":"MemtraceLeak","instance":"a"},"annotations":{}},
        {"status":"resolved","labels":{"alertname":"Other"}},
        {"status":"firing","labels":{"alertname":"MemtraceLeak","instance":"b"}},
        {"status":"firing","labels":{}}]}"#;

    #[test]
    fn what_fires_is_named_once() {
        let names = fires(FIRING.as_bytes()).unwrap();
        assert_eq!(names.as_deref(), Some("MemtraceLeak, an alert without a name"));
        let resolved = FIRING.replace("firing", "resolved");
        assert_eq!(fires(resolved.as_bytes()).unwrap(), None);
        assert_eq!(fires(br#"{"alerts":[]}"#).unwrap(), None);
        let hostile = r#"{"alerts":[{"status":"firing","labels":{"alertname":"a\u001b[31m\nb"}}]}"#;
        assert_eq!(fires(hostile.as_bytes()).unwrap().as_deref(), Some("a\\x1b[31m\\nb"));
        for text in ["", "{}", "[]", r#"{"alerts":[{}]}"#, r#"{"alerts":[{"status":1}]}"#] {
            assert!(fires(text.as_bytes()).is_err(), "{text}");
        }
    }

    /// Sends these bytes from another thread, and returns the first line of the answer, and the alert.
    fn sent(request: String) -> (String, Option<String>) {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let client = thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            // A server that refuses early may close before it has read all of it.
            let _ = stream.write_all(request.as_bytes());
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut webhook = Webhook::listen(socket).unwrap();
            let answer = tokio::task::spawn_blocking(|| client.join().unwrap()).await.unwrap();
            (answer, webhook.alerts.try_recv().ok())
        })
    }

    fn post(body: &str) -> String {
        let len = body.len();
        format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n{body}")
    }

    #[test]
    fn whoever_posts_an_alert_is_heard() {
        let (answer, alert) = sent(post(FIRING));
        assert_eq!(
            (&*answer, alert.as_deref()),
            ("HTTP/1.1 200 OK", Some("MemtraceLeak, an alert without a name"))
        );
        assert_eq!(sent(post(&FIRING.replace("firing", "resolved"))), ("HTTP/1.1 200 OK".to_owned(), None));
        assert_eq!(sent(post("{}")), ("HTTP/1.1 400 Bad Request".to_owned(), None));
        let get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned();
        assert_eq!(sent(get), ("HTTP/1.1 405 Method Not Allowed".to_owned(), None));
        let (answer, alert) = sent(post(&"x".repeat(2 * MAX_BODY)));
        assert!(answer.contains("413") || answer.is_empty(), "{answer}");
        assert_eq!(alert, None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = fires(&bytes);
        }
    }
}
