//! The page at `/`: what a browser gets, and how it follows what happens.
//!
//! The account's thread makes a scene now and then, and only while somebody watches. Each watcher gets what changed since
//! the last scene that it took: one that is slow takes fewer, and nothing waits for it anywhere.

use crate::{account::Account, client::Time, patch};
use futures::{Stream, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode,
    body::{Bytes, Frame},
    header::{self, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use simulator::glance::Glance;
use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Where a browser follows it, as server-sent events
/// (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
pub const EVENTS: &str = "/_sandbox/events";

/// Browsers that watch at once.
const WATCHERS: usize = 16;
/// Between two scenes at the least,
const SCENE: Duration = Duration::from_millis(100);
/// and so many times what the last one took, so that watching slows the account down by no more than a fifth.
const SHARE: u32 = 4;
/// A watcher to whom nothing was sent for so long is written to, to see whether it is there still.
const SILENCE: Duration = Duration::from_secs(15);

/// Makes the document, which loads nothing.
pub type Make = Arc<dyn Fn() -> String + Send + Sync>;
/// Told of each event of each execution.
pub type Observer = Arc<dyn Fn(&str, &Value) + Send + Sync>;
/// The scene, with what is there now; members that are null count as missing.
pub type Scene = Arc<dyn Fn(&Glance, &Time) -> Value + Send + Sync>;

/// What a browser is shown.
#[derive(Clone)]
pub struct Page {
    pub html: Make,
    pub observer: Observer,
    pub scene: Scene,
}

/// The listening thread's side.
pub struct Watch {
    html: Arc<Document>,
    scenes: Arc<watch::Sender<Arc<Value>>>,
    places: Arc<Semaphore>,
}

/// The document, made once: its picture takes longer to draw than the account to answer.
struct Document {
    made: OnceLock<Bytes>,
    make: Make,
}

impl Document {
    fn get(&self) -> Bytes {
        let made = self.made.get_or_init(|| Bytes::from((self.make)()));
        made.clone()
    }
}

/// The account's side.
pub struct Stage {
    page: Page,
    html: Arc<Document>,
    scenes: Arc<watch::Sender<Arc<Value>>>,
    next: Instant,
}

/// Both sides of a page.
pub fn open(page: Page) -> (Watch, Stage) {
    let scenes = Arc::new(watch::Sender::new(Arc::new(Value::Null)));
    let html = Arc::new(Document {
        made: OnceLock::new(),
        make: page.html.clone(),
    });
    let watch = Watch {
        html: html.clone(),
        scenes: scenes.clone(),
        places: Arc::new(Semaphore::new(WATCHERS)),
    };
    let next = Instant::now();
    let stage = Stage {
        page,
        html,
        scenes,
        next,
    };
    (watch, stage)
}

impl Stage {
    /// Follows the executions of the account, those too that there are already.
    pub fn follow(&self, account: &Account) {
        let machine = &account.cloud.stepfunctions;
        for execution in machine.executions() {
            for event in machine.history(&execution.arn) {
                (self.page.observer)(&execution.arn, &event);
            }
        }
        let observer = self.page.observer.clone();
        machine.on_event(move |execution, event| observer(execution, event));
    }

    /// Makes the document before anybody asks for it, and holds nobody up.
    pub fn prepare(&self) {
        let html = self.html.clone();
        drop(std::thread::spawn(move || drop(html.get())));
    }

    /// True when somebody waits for a scene.
    pub fn is_due(&self) -> bool {
        self.scenes.receiver_count() > 0 && Instant::now() >= self.next
    }

    /// Shows what is there.
    pub fn show(&mut self, account: &Account, time: &Time) {
        let begun = Instant::now();
        // A table that cannot be read is told by whoever asks the account.
        if let Ok(glance) = Glance::of(&account.cloud) {
            let scene = (self.page.scene)(&glance, time);
            self.scenes.send_replace(Arc::new(scene));
        }
        self.next = Instant::now() + SCENE.max(begun.elapsed() * SHARE);
    }
}

impl Watch {
    /// The document.
    pub fn document(&self) -> Response<Body> {
        let body = Full::new(self.html.get()).boxed_unsync();
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        set(headers, header::CONTENT_TYPE, "text/html; charset=utf-8");
        set(headers, header::CACHE_CONTROL, "no-store");
        // No other page may lay it under its own, where a click would go through to it.
        set(headers, header::X_FRAME_OPTIONS, "DENY");
        set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        response
    }

    /// What happens, from now on.
    pub fn events(&self) -> Response<Body> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            let says = format!("{WATCHERS} browsers watch already\n");
            let mut response = Response::new(Full::from(says).boxed_unsync());
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return response;
        };
        let body = StreamBody::new(frames(self.scenes.subscribe(), place));
        let mut response = Response::new(BodyExt::boxed_unsync(body));
        let headers = response.headers_mut();
        set(headers, header::CONTENT_TYPE, "text/event-stream");
        set(headers, header::CACHE_CONTROL, "no-store");
        set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        response
    }
}

fn set(headers: &mut hyper::HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

/// Each time the connection takes more, what changed since it last did.
fn frames(
    scenes: watch::Receiver<Arc<Value>>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
    let nothing = Arc::new(json!({}));
    stream::unfold(
        (scenes, nothing, place),
        |(mut scenes, shown, place)| async move {
            let (text, shown) = loop {
                match timeout(SILENCE, scenes.changed()).await {
                    Ok(Ok(())) => {}
                    // The account has ended.
                    Ok(Err(_)) => return None,
                    Err(_) => break (":\n\n".to_owned(), shown),
                }
                let scene = scenes.borrow_and_update().clone();
                if let Some(change) = patch::between(&shown, &scene) {
                    break (format!("data: {change}\n\n"), scene);
                }
            };
            let frame = Frame::data(Bytes::from(text));
            Some((Ok(frame), (scenes, shown, place)))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;

    fn page() -> Page {
        Page {
            html: Arc::new(|| "<p>".to_owned()),
            observer: Arc::new(|_, _| {}),
            scene: Arc::new(|_, _| json!({})),
        }
    }

    async fn next(
        stream: &mut (impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Unpin),
    ) -> String {
        let frame = stream.next().await.unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_watcher_gets_the_last_scene_and_no_backlog() {
        let (watch, stage) = open(page());
        let place = watch.places.clone().acquire_owned().await.unwrap();
        let mut events = Box::pin(frames(watch.scenes.subscribe(), place));
        for n in 0..1000 {
            stage
                .scenes
                .send_replace(Arc::new(json!({ "n": n, "same": true })));
        }
        let first = next(&mut events).await;
        assert_eq!(first, "data: {\"n\":999,\"same\":true}\n\n");
        for n in [7, 8] {
            stage
                .scenes
                .send_replace(Arc::new(json!({ "n": n, "same": true })));
        }
        assert_eq!(next(&mut events).await, "data: {\"n\":8}\n\n");
        // What has not changed is not sent; after a while it is seen whether anybody is there.
        stage
            .scenes
            .send_replace(Arc::new(json!({ "n": 8, "same": true })));
        assert_eq!(next(&mut events).await, ":\n\n");
    }

    #[test]
    fn no_more_than_so_many_watch_and_one_that_goes_makes_room() {
        let (watch, stage) = open(page());
        assert!(!stage.is_due(), "nobody watches");
        let mut all: Vec<_> = (0..WATCHERS).map(|_| watch.events()).collect();
        assert!(
            all.iter()
                .all(|response| response.status() == StatusCode::OK)
        );
        assert!(stage.is_due());
        assert_eq!(watch.events().status(), StatusCode::SERVICE_UNAVAILABLE);
        all.pop();
        assert_eq!(watch.events().status(), StatusCode::OK);
    }
}
