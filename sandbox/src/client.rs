//! The desk's side of a sandbox: it asks for the time, and lets things happen.

use crate::control;
use aws_smithy_async::time::TimeSource;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Uri, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{net::TcpStream, time::timeout};

/// A sandbox is on this machine: it answers at once, or is none.
const PATIENCE: Duration = Duration::from_secs(2);
/// `pass` may play days.
const LONG: Duration = Duration::from_secs(600);
/// How often a desk looks at the sandbox's clock, which may be paused or sped up meanwhile.
const LOOK: Duration = Duration::from_millis(500);

/// Why a sandbox gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{url} is no address of a sandbox; one reads http://127.0.0.1:4566")]
    Address { url: String },
    #[error("no sandbox answers at {url}: {why}; start one with `gpu-recovery sandbox`")]
    Away { url: String, why: String },
    #[error("{0}")]
    Refused(String),
}

/// Its clock.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Time {
    /// Seconds since the Unix epoch.
    pub epoch: f64,
    /// Seconds since the sandbox was made.
    pub since_start: f64,
    /// Virtual seconds a real second.
    pub speed: f64,
    pub paused: bool,
    /// Real seconds that it has not kept up with.
    pub behind: f64,
}

/// A message that went to the operators' topic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Message {
    /// RFC 3339.
    pub at: String,
    pub subject: Option<String>,
    pub message: String,
}

/// A sandbox at an address.
#[derive(Debug, Clone)]
pub struct Client {
    url: String,
    host: String,
    authority: String,
}

impl Client {
    /// # Errors
    /// When it is no `http://` address of this machine.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let wrong = || ClientError::Address {
            url: url.to_owned(),
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let host = uri.host().unwrap_or_default();
        let here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if uri.scheme_str() != Some("http") || !here {
            return Err(wrong());
        }
        let port = uri.port_u16().unwrap_or(80);
        Ok(Self {
            url: url.to_owned(),
            host: host.trim_matches(['[', ']']).to_owned(),
            authority: format!("{host}:{port}"),
        })
    }

    /// # Errors
    /// When there is none.
    pub async fn time(&self) -> Result<Time, ClientError> {
        let answer = self.ask(Method::GET, "time", None, PATIENCE).await?;
        serde_json::from_value(answer).map_err(|error| self.away(&error))
    }

    /// What the operators were told, oldest first.
    ///
    /// # Errors
    /// When there is none.
    pub async fn messages(&self) -> Result<Vec<Message>, ClientError> {
        let mut answer = self.ask(Method::GET, "messages", None, PATIENCE).await?;
        serde_json::from_value(answer["messages"].take()).map_err(|error| self.away(&error))
    }

    /// Lets time go on as `turn` says; the answer is its clock then.
    ///
    /// # Errors
    /// When there is none, or it refuses.
    pub async fn turn(&self, turn: control::Turn) -> Result<Time, ClientError> {
        let answer = self
            .ask(Method::POST, "time", Some(json(&turn)), LONG)
            .await?;
        serde_json::from_value(answer).map_err(|error| self.away(&error))
    }

    /// Lets something happen; the answer is what has happened.
    ///
    /// # Errors
    /// When there is none, or it refuses.
    pub async fn act(&self, deed: &crate::deed::Deed) -> Result<String, ClientError> {
        let answer = self
            .ask(Method::POST, "do", Some(json(deed)), PATIENCE)
            .await?;
        Ok(answer["done"].as_str().unwrap_or_default().to_owned())
    }

    fn away(&self, why: &dyn std::error::Error) -> ClientError {
        ClientError::Away {
            url: self.url.clone(),
            why: why.to_string(),
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        patience: Duration,
    ) -> Result<Value, ClientError> {
        let asked = async {
            let port = self.authority.rsplit(':').next().unwrap_or_default();
            let port: u16 = port.parse().map_err(|error| self.away(&error))?;
            let stream = TcpStream::connect((self.host.as_str(), port)).await;
            let stream = stream.map_err(|error| self.away(&error))?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|error| self.away(&error))?;
            tokio::spawn(connection);
            let request = Request::builder()
                .method(method)
                .uri(format!("{}{path}", control::PATH))
                .header(header::HOST, &self.authority)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(Bytes::from(body.unwrap_or_default())))
                .map_err(|error| self.away(&error))?;
            let response = sender.send_request(request).await;
            let response = response.map_err(|error| self.away(&error))?;
            let well = response.status().is_success();
            let body = response.into_body().collect().await;
            let body = body.map_err(|error| self.away(&error))?.to_bytes();
            let answer: Value = serde_json::from_slice(&body).map_err(|error| self.away(&error))?;
            match (well, answer["error"].as_str()) {
                (true, _) => Ok(answer),
                (false, Some(why)) => Err(ClientError::Refused(why.to_owned())),
                (false, None) => Err(ClientError::Refused(answer.to_string())),
            }
        };
        match timeout(patience, asked).await {
            Ok(answer) => answer,
            Err(late) => Err(self.away(&late)),
        }
    }
}

fn json(order: &impl Serialize) -> String {
    // Enums of numbers and texts always have a form.
    serde_json::to_string(order).unwrap_or_default()
}

/// The clock of a sandbox, for who works with it: records and messages there bear its time.
#[derive(Debug, Clone)]
pub struct SandboxClock(Arc<Mutex<(Time, Instant)>>);

impl SandboxClock {
    /// The clock of the sandbox at this address, looked at regularly from now on; `None` when there is no sandbox. To be
    /// called within a tokio runtime.
    pub async fn of(url: &str) -> Option<Self> {
        let client = Client::new(url).ok()?;
        let time = client.time().await.ok()?;
        let clock = Self(Arc::new(Mutex::new((time, Instant::now()))));
        let kept = Arc::downgrade(&clock.0);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let Some(kept) = kept.upgrade() else {
                    return;
                };
                if let Ok(time) = client.time().await {
                    *kept.lock().unwrap_or_else(PoisonError::into_inner) = (time, Instant::now());
                }
            }
        });
        Some(clock)
    }
}

impl TimeSource for SandboxClock {
    fn now(&self) -> SystemTime {
        let (time, seen) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let speed = if time.paused { 0.0 } else { time.speed };
        let since = seen.elapsed().as_secs_f64() * speed;
        UNIX_EPOCH + Duration::from_secs_f64((time.epoch + since).max(0.0))
    }
}
