//! The account's thread: requests one by one, and virtual time between them.
//!
//! The runtime's clock is paused: it stands still while this thread waits for a request, and while it sleeps it jumps from
//! one timer to the next, in their order. So a second of virtual time is played exactly as in a drill, however fast it
//! passes.

use crate::{
    Furniture,
    account::{Account, AccountError},
    client::Time,
    control::{Order, Turn},
    http::{self, Ask},
    journal::{Done, Entry, Journal, JournalError, Past},
    operations::{SERVICES, reads},
    pace::Pace,
    page::{self, Page, Stage},
    protocol::Call,
    services,
};
use serde_json::{Value, json};
use simulator::{
    clock::{epoch_seconds, in_virtual_time, rfc3339_seconds},
    scenario,
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    task::yield_now,
    time::{sleep, sleep_until},
};

/// Requests that wait at the most; a further one is refused.
const WAITING: usize = 256;
/// Virtual time goes on this often.
const QUANTUM: Duration = Duration::from_millis(10);
/// What is ready at one point of virtual time is done within so many turns of the runtime.
const TURNS: usize = 64;
/// How often a kept sandbox notes its time.
const NOTE: Duration = Duration::from_secs(1);
/// Time that is passed at once passes in pieces of this, so that Ctrl-C is seen.
const PIECE: Duration = Duration::from_secs(30);
/// A step goes no further than this.
const STEP: Duration = Duration::from_secs(3600);

/// A sandbox that is to run.
pub struct Sandbox {
    /// What it holds: `None` takes up what is kept, or else what `furniture` says.
    pub wanted: Option<Furniture>,
    pub furniture: Furniture,
    /// 0 picks a free one.
    pub port: u16,
    /// Virtual seconds a real second.
    pub speed: f64,
    pub paused: bool,
    /// Where it is kept.
    pub state: Option<PathBuf>,
    /// What a browser is shown.
    pub page: Page,
}

/// What is known when it answers.
pub struct Ready {
    pub port: u16,
    pub cluster: String,
    pub topic: String,
    pub state_machine: String,
    pub nodes: u32,
    pub job: &'static str,
    /// Virtual time since it was made.
    pub since_start: Duration,
}

/// What happens in it, told to its terminal: virtual time since it was made, execution, history event.
pub type Observer = scenario::Observer;

/// Why there is no sandbox, or no more.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("port {0} is taken; name another with --port, or let one be picked with --port 0")]
    PortTaken(u16),
    #[error("port {0} cannot be listened on: {1}")]
    NoPort(u16, io::Error),
    #[error("no runtime: {0}")]
    Runtime(#[from] io::Error),
}

impl Sandbox {
    /// Runs until the process is told to stop (Ctrl-C, SIGTERM). `ready` is called when it answers.
    ///
    /// # Errors
    /// When it cannot be made, taken up or kept.
    pub fn run(self, observer: Observer, ready: impl FnOnce(&Ready)) -> Result<(), SandboxError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => SandboxError::PortTaken(self.port),
            _ => SandboxError::NoPort(self.port, error),
        })?;
        let port = listener.local_addr()?.port();
        let (asks, asked) = sync_channel(WAITING);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let (watch, stage) = page::open(self.page.clone());
        let listening = thread::Builder::new().name("http".to_owned());
        let listening = listening.spawn(move || {
            http::serve(listener, asks, watch, move || {
                stopped.store(true, Ordering::Relaxed)
            })
        })?;
        // After an error nobody waits for the listening thread, which waits for a signal.
        in_virtual_time(self.drive(port, &asked, &stop, stage, observer, ready))?;
        match listening.join() {
            Ok(listened) => Ok(listened?),
            Err(_) => Err(io::Error::other("the listening thread has panicked").into()),
        }
    }

    async fn drive(
        self,
        port: u16,
        asked: &Receiver<Ask>,
        stop: &AtomicBool,
        stage: Stage,
        observer: Observer,
        ready: impl FnOnce(&Ready),
    ) -> Result<(), SandboxError> {
        let now = SystemTime::now();
        let (journal, furniture, start, past) = match &self.state {
            None => {
                let furniture = self.wanted.unwrap_or(self.furniture);
                (None, furniture, now, None)
            }
            Some(directory) => {
                let (journal, furniture, start, past) =
                    Journal::open(directory, self.wanted.as_ref(), &self.furniture, now)?;
                (Some(journal), furniture, start, Some(past))
            }
        };
        let url = format!("http://127.0.0.1:{port}");
        let account = Arc::new(Account::make(&furniture, start, &url).await?);
        let lines = account.logs.subscriber();
        let _logs = tracing::dispatcher::set_default(&lines);
        let played = account.clone();
        tokio::spawn(async move { played.play().await });
        let pace = Pace::new(self.speed, self.paused, Instant::now(), account.now());
        let mut driver = Driver {
            account: account.clone(),
            journal,
            pace,
            stage,
            noted: Instant::now(),
        };
        if let Some(past) = past {
            driver.take_up(&past, stop).await?;
        }
        let told = account.clone();
        let observe = move |execution: &str, event: &Value| observer(told.now(), execution, event);
        account.cloud.stepfunctions.on_event(observe);
        driver.stage.follow(&account);
        ready(&Ready {
            port,
            cluster: account.cloud.settings.cluster.clone(),
            topic: account.cloud.settings.topic_arn.clone(),
            state_machine: account.cloud.state_machine_arn.clone(),
            nodes: account.planned_nodes() + furniture.free,
            job: scenario::JOB,
            since_start: account.now(),
        });
        driver.stage.prepare();
        driver.pace.moved(Instant::now(), account.now());
        driver.run(asked, stop).await
    }
}

fn operations() -> Value {
    let services = SERVICES.iter();
    let services = services.map(|service| (service.name.to_owned(), json!(service.operations)));
    Value::Object(services.collect())
}

struct Driver {
    account: Arc<Account>,
    journal: Option<Journal>,
    pace: Pace,
    stage: Stage,
    noted: Instant,
}

impl Driver {
    async fn run(&mut self, asked: &Receiver<Ask>, stop: &AtomicBool) -> Result<(), SandboxError> {
        while !stop.load(Ordering::Relaxed) {
            let late = self
                .pace
                .is_late(Instant::now(), self.account.now(), QUANTUM);
            let wait = match late {
                true => Duration::ZERO,
                false => QUANTUM,
            };
            // Nothing of the account runs while this thread waits here.
            let mut next = match asked.recv_timeout(wait) {
                Ok(ask) => Some(ask),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut answered = 0;
            while let Some(ask) = next {
                match ask {
                    Ask::Stop => return self.note(true),
                    Ask::Aws(call, answer) => {
                        let answered = self.answer(&call).await?;
                        drop(answer.send((call, answered)));
                    }
                    Ask::Control(order, answer) => {
                        drop(answer.send(self.obey(order, stop).await?));
                    }
                }
                answered += 1;
                next = (answered < WAITING)
                    .then(|| asked.try_recv().ok())
                    .flatten();
            }
            let now = self.account.now();
            let target = self.pace.target(Instant::now(), now);
            sleep(target.saturating_sub(now)).await;
            self.settle().await;
            self.note(false)?;
            if self.stage.is_due() {
                let time = self.time();
                self.stage.show(&self.account, &time);
            }
        }
        self.note(true)
    }

    /// Lets everything be done that is ready at this point of virtual time: what comes next then finds the same account
    /// whenever it is played.
    async fn settle(&self) {
        for _ in 0..TURNS {
            yield_now().await;
        }
    }

    async fn answer(
        &mut self,
        call: &Call,
    ) -> Result<Result<Value, simulator::wire::ApiError>, SandboxError> {
        if !reads(&call.action) {
            self.write(Done::Call {
                service: call.service.name.to_owned(),
                action: call.action.clone(),
                body: call.body.clone(),
            })?;
        }
        let answer = self.account.answer(call).await;
        self.settle().await;
        Ok(answer)
    }

    fn write(&mut self, what: Done) -> Result<(), SandboxError> {
        let (at, seen) = (self.account.now().as_nanos() as u64, self.account.seen());
        match &mut self.journal {
            Some(journal) => Ok(journal.write(&Entry { at, seen, what })?),
            None => Ok(()),
        }
    }

    fn note(&mut self, last: bool) -> Result<(), SandboxError> {
        if (last || self.noted.elapsed() >= NOTE)
            && let Some(journal) = &self.journal
        {
            journal.note_now(self.account.now())?;
            self.noted = Instant::now();
        }
        Ok(())
    }

    /// Plays a kept sandbox up to where it was left.
    async fn take_up(&self, past: &Past, stop: &AtomicBool) -> Result<(), SandboxError> {
        for (index, entry) in past.entries.iter().enumerate() {
            if !self.pass_until(Duration::from_nanos(entry.at), stop).await {
                return Ok(());
            }
            if self.account.seen() != entry.seen
                && let Some(journal) = &self.journal
            {
                return Err(journal.differs(index).into());
            }
            match &entry.what {
                // It was refused then, too, if it is.
                Done::Deed(deed) => drop(self.account.act(deed)),
                Done::Call {
                    service,
                    action,
                    body,
                } => {
                    let answer = services::answer(&self.account, service, action, body.clone());
                    drop(answer.await);
                }
            }
            self.settle().await;
        }
        self.pass_until(past.until, stop).await;
        Ok(())
    }

    /// Lets virtual time pass up to this point; false when the process is told to stop meanwhile.
    async fn pass_until(&self, until: Duration, stop: &AtomicBool) -> bool {
        loop {
            let left = until.saturating_sub(self.account.now());
            if left.is_zero() {
                self.settle().await;
                return true;
            }
            if stop.load(Ordering::Relaxed) {
                return false;
            }
            sleep(left.min(PIECE)).await;
        }
    }

    async fn obey(
        &mut self,
        order: Order,
        stop: &AtomicBool,
    ) -> Result<Result<Value, String>, SandboxError> {
        match order {
            Order::Operations => return Ok(Ok(operations())),
            Order::Messages => return Ok(Ok(self.messages())),
            Order::Time => {}
            Order::Do(deed) => {
                self.write(Done::Deed(deed.clone()))?;
                let done = self.account.act(&deed);
                self.settle().await;
                return Ok(done.map(|done| json!({ "done": done })));
            }
            Order::Turn(turn) => self.turn(turn, stop).await,
        }
        Ok(serde_json::to_value(self.time()).map_err(|error| error.to_string()))
    }

    fn time(&self) -> Time {
        Time {
            epoch: epoch_seconds(self.account.cloud.clock.now()),
            since_start: self.account.now().as_secs_f64(),
            speed: self.pace.speed(),
            paused: self.pace.is_paused(),
            behind: self.pace.behind().as_secs_f64(),
        }
    }

    /// What was published to the operators' topic, oldest first.
    fn messages(&self) -> Value {
        let published = self.account.cloud.sns.published();
        let messages = published.iter().map(|message| {
            json!({
                "at": rfc3339_seconds(message.at),
                "subject": message.subject,
                "message": message.message,
                "attributes": message.attributes,
            })
        });
        json!({ "messages": messages.collect::<Vec<_>>() })
    }

    async fn turn(&mut self, turn: Turn, stop: &AtomicBool) {
        let account = self.account.clone();
        match turn {
            Turn::Pause => self.pace.set(None, true, Instant::now(), account.now()),
            Turn::Go { speed } => self.pace.set(speed, false, Instant::now(), account.now()),
            Turn::Step => {
                let seen = account.seen();
                let end = tokio::time::Instant::now() + STEP;
                while account.seen() == seen && !stop.load(Ordering::Relaxed) {
                    tokio::select! {
                        () = account.happened.notified() => {}
                        () = sleep_until(end) => break,
                    }
                }
                self.settle().await;
                self.pace.set(None, true, Instant::now(), account.now());
            }
            Turn::Pass { seconds } => {
                let until = account.now() + Duration::from_secs_f64(seconds);
                self.pass_until(until, stop).await;
                self.pace.moved(Instant::now(), account.now());
            }
        }
    }
}
