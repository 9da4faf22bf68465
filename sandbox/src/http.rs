//! The listening thread: HTTP in, one request after another to the account, HTTP out. Everything has a bound.

use crate::{
    control, guard,
    page::{self, Body, Watch},
    protocol::{self, Call, Reply, Request},
};
use control::Order;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Response, StatusCode,
    body::{Body as _, Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use simulator::wire::ApiError;
use std::{
    convert::Infallible,
    io,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};

/// The largest request of any operation that is offered: TransactWriteItems takes 4 MB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>).
const BODY: usize = 4 * 1024 * 1024;
/// Bytes of the request line and the headers.
const HEAD: usize = 64 * 1024;
const CONNECTIONS: usize = 128;
/// A request that is not there whole by then is given up; so is a connection on which none comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the account is asked.
pub enum Ask {
    Aws(Call, oneshot::Sender<(Call, Result<Value, ApiError>)>),
    Control(Order, oneshot::Sender<Result<Value, String>>),
    /// It is over.
    Stop,
}

struct Endpoint {
    port: u16,
    asks: SyncSender<Ask>,
    watch: Watch,
    requests: AtomicU64,
}

/// Listens until the process is told to stop; then says so to the account, and ends.
///
/// # Errors
/// When there is no runtime, or the port cannot be listened on.
pub fn serve(
    listener: TcpListener,
    asks: SyncSender<Ask>,
    watch: Watch,
    stopped: impl Fn(),
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let endpoint = Arc::new(Endpoint {
            port,
            asks: asks.clone(),
            watch,
            requests: AtomicU64::new(0),
        });
        tokio::select! {
            done = accept(listener, endpoint) => done,
            done = told_to_stop() => done,
        }
    });
    stopped();
    // A full queue is emptied by the account's thread, which looks at what `stopped` has set.
    drop(asks.try_send(Ask::Stop));
    result
}

async fn told_to_stop() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            done = tokio::signal::ctrl_c() => done,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

async fn accept(listener: tokio::net::TcpListener, endpoint: Arc<Endpoint>) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, or the client is gone already.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let endpoint = endpoint.clone();
                async move { Ok::<_, Infallible>(endpoint.answer(request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(HEAD)
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away, or speaks no HTTP: hyper has answered what can be answered.
            drop(connection.await);
            drop(place);
        });
    }
}

impl Endpoint {
    async fn answer(&self, request: hyper::Request<Incoming>) -> Response<Body> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let id = format!("00000000-0000-4000-8000-{number:012x}");
        let (parts, body) = request.into_parts();
        let (path, get) = (parts.uri.path(), parts.method == Method::GET);
        let to_page = get && path == "/" && parts.uri.query().is_none();
        if let Some(why) = guard::refusal(&parts.headers, self.port, to_page) {
            return plain(StatusCode::FORBIDDEN, &why, &id);
        }
        if to_page {
            return self.watch.document();
        }
        if get && path == page::EVENTS {
            return self.watch.events();
        }
        let too_large = || {
            let says = format!("a request has {BODY} bytes at the most");
            plain(StatusCode::PAYLOAD_TOO_LARGE, &says, &id)
        };
        if body.size_hint().lower() > BODY as u64 {
            return too_large();
        }
        let body = Limited::new(body, BODY).collect();
        let body = match timeout(PATIENCE, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return too_large(),
            Ok(Err(_)) => {
                return plain(StatusCode::BAD_REQUEST, "the body cannot be read", &id);
            }
            Err(_) => {
                return plain(StatusCode::REQUEST_TIMEOUT, "the body did not come", &id);
            }
        };
        if let Some(path) = path.strip_prefix(control::PATH) {
            return self.control(&parts.method, path, &body, &id).await;
        }
        let request = Request {
            method: &parts.method,
            path,
            query: parts.uri.query(),
            headers: &parts.headers,
            body: &body,
        };
        let reply = match protocol::read(&request, &id) {
            Ok(call) => self.aws(call, &id).await,
            Err(reply) => Ok(reply),
        };
        reply.map_or_else(
            |why| plain(StatusCode::SERVICE_UNAVAILABLE, why, &id),
            |reply| written(reply, &id),
        )
    }

    async fn aws(&self, call: Call, id: &str) -> Result<Reply, &'static str> {
        let (sender, answer) = oneshot::channel();
        self.ask(Ask::Aws(call, sender))?;
        let (call, answer) = answer.await.map_err(|_| "the sandbox has ended")?;
        Ok(protocol::write(&call, answer, id))
    }

    fn ask(&self, ask: Ask) -> Result<(), &'static str> {
        self.asks.try_send(ask).map_err(|error| match error {
            TrySendError::Full(_) => "too many requests at once",
            TrySendError::Disconnected(_) => "the sandbox has ended",
        })
    }

    async fn control(&self, method: &Method, path: &str, body: &[u8], id: &str) -> Response<Body> {
        let order = match Order::read(method, path, body) {
            Ok(order) => order,
            Err((status, why)) => return told(status, &json!({ "error": why }), id),
        };
        let (sender, answer) = oneshot::channel();
        if let Err(why) = self.ask(Ask::Control(order, sender)) {
            return told(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({ "error": why }),
                id,
            );
        }
        match answer.await {
            Ok(Ok(value)) => told(StatusCode::OK, &value, id),
            Ok(Err(why)) => told(StatusCode::BAD_REQUEST, &json!({ "error": why }), id),
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "the sandbox has ended", id),
        }
    }
}

fn written(reply: Reply, id: &str) -> Response<Body> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response(status, reply.content_type, reply.body, id);
    if let Some(value) = reply.error.and_then(|code| code.parse().ok()) {
        response.headers_mut().insert("x-amzn-errortype", value);
    }
    response
}

fn told(status: StatusCode, value: &Value, id: &str) -> Response<Body> {
    response(status, "application/json", format!("{value}\n"), id)
}

fn plain(status: StatusCode, says: &str, id: &str) -> Response<Body> {
    response(status, "text/plain; charset=utf-8", format!("{says}\n"), id)
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: String,
    id: &str,
) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(content_type),
    );
    // A page never reads it, and a browser never guesses what it is.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    if let Ok(id) = id.parse() {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
