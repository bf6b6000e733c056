//! The thread that answers.

use std::{
    convert::Infallible,
    io,
    pin::pin,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    runtime::Builder,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    answer::Answers,
    board::Board,
    listen::{Listener, Socket},
    route::MAX_SECONDS,
    web::Web,
};
use crate::rights::needs;

/// Connections at the same time; others wait until one ends.
const MAX_CONNECTIONS: usize = 64;
/// A handshake, and a request's line and headers, come within this time; headers have no more bytes and lines than these.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// After this time a connection takes no further request, and after [`LAST_ANSWER`] more it ends, whatever it does.
const MAX_CONNECTION: Duration = Duration::from_secs(15 * 60);
/// For the longest answer, and some time to read it.
const LAST_ANSWER: Duration = Duration::from_secs(MAX_SECONDS + 60);
/// After an error of accepting a connection, such as no free descriptor.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until it is dropped.
pub struct Server {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(listeners: Vec<Listener>, board: Arc<Board>, web: Web) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("serve".to_owned()).spawn(move || {
            // It only has to remove the socket at its end.
            needs::keep_only_files_here(listeners.iter().any(Listener::is_file));
            runtime.block_on(serve(listeners, Answers::new(board, web), ended));
            // Connections are dropped with it.
        })?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}

async fn serve(listeners: Vec<Listener>, answers: Answers, ended: oneshot::Receiver<()>) {
    let answers = Arc::new(answers);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    for listener in listeners {
        tokio::spawn(accept_all(listener, Arc::clone(&answers), Arc::clone(&places)));
    }
    let _ = ended.await;
}

async fn accept_all(listener: Listener, answers: Arc<Answers>, places: Arc<Semaphore>) {
    // The listener's file goes with it, at the end.
    let Listener { socket, .. } = &listener;
    let socket = match socket {
        Socket::Tcp(socket) => socket.try_clone().and_then(TcpListener::from_std).map(Accepting::Tcp),
        Socket::Unix(socket) => socket.try_clone().and_then(UnixListener::from_std).map(Accepting::Unix),
    };
    let Ok(socket) = socket else { return };
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        if socket.accept(Arc::clone(&answers), place).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Accepting {
    async fn accept(&self, answers: Arc<Answers>, place: OwnedSemaphorePermit) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => drop(tokio::spawn(converse(listener.accept().await?.0, answers, place))),
            Self::Unix(listener) => drop(tokio::spawn(converse(listener.accept().await?.0, answers, place))),
        }
        Ok(())
    }
}

/// One connection, to its end.
async fn converse<S>(stream: S, answers: Arc<Answers>, _place: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = answers.web().tls.clone() else { return talk(stream, answers).await };
    // Who does not get through a handshake is nobody that could be told.
    if let Ok(Ok(stream)) = timeout(HEADERS_WITHIN, TlsAcceptor::from(tls).accept(stream)).await {
        talk(stream, answers).await;
    }
}

async fn talk<S>(stream: S, answers: Arc<Answers>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(|request| {
        let answers = Arc::clone(&answers);
        async move { Ok::<_, Infallible>(answers.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    // Who talks no HTTP, or goes, is nobody that could be told.
    if timeout(MAX_CONNECTION, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST_ANSWER, connection).await;
    }
}

#[cfg(test)]
mod tests;
