//! The tape: an interceptor that keeps every attempt of every call byte for byte, as the HTTP layer delivered it, before any SDK code
//! parsed it. Bodies are teed frame by frame while somebody reads them, so a large download never sits in memory.
//!
//! Which hooks, and why, was settled against live sockets (`architecture.md` §5): `read_before_deserialization` sees an unread stream in
//! production; only `modify_before_deserialization` may put a teeing body in its place. Dropped futures (timeouts, Ctrl-C) run no
//! further hook, therefore an attempt is finished by whichever comes first: the end of its body, the end of the attempt without a
//! response, or the drop of its state.

use super::cbor;
use super::record::{Recorder, UnitScope};
use crate::clock::{self, Clock};
use crate::model::causes::with_causes;
use crate::model::digest::{Hasher, Sha256};
use crate::model::exchange::{BodyEnd, Exchange, Header};
use crate::model::id::ExchangeId;
use crate::model::path::BundlePath;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::io::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// An answer larger than this is no API answer but an attack on our disk; downloads set their own bound.
pub const API_BODY_LIMIT: u64 = 64 << 20;

/// What the asker wants to know about, and say of, the exchanges made inside [`listen`].
#[derive(Debug)]
struct Ear {
    heard: Mutex<Vec<Exchange>>,
    wanted: Option<BundlePath>,
    withhold_query: bool,
    discard_body: Option<&'static str>,
    limit: u64,
}

tokio::task_local! {
    static EAR: Arc<Ear>;
}

/// How the exchanges made while listening are kept.
#[derive(Clone, Debug)]
pub struct Listening {
    /// The name that a whole body should have in the bundle.
    pub wanted: Option<BundlePath>,
    /// The address's query is a signature: keep its digest only.
    pub withhold_query: bool,
    /// The bodies of answers (2xx) are hashed and not kept, for this reason. A refusal's body is kept: it is the proof of the refusal.
    pub discard_body: Option<&'static str>,
    pub limit: u64,
}

impl Default for Listening {
    fn default() -> Self {
        Listening { wanted: None, withhold_query: false, discard_body: None, limit: API_BODY_LIMIT }
    }
}

/// Run `future` and hand back, with its output, every exchange that it finished, in order. Works because an SDK call runs its hooks on the
/// task that polls it; calls spawned elsewhere are on tape too, but not heard here.
pub async fn listen<F: Future>(how: Listening, future: F) -> (F::Output, Vec<Exchange>) {
    let ear = Arc::new(Ear {
        heard: Mutex::default(),
        wanted: how.wanted,
        withhold_query: how.withhold_query,
        discard_body: how.discard_body,
        limit: how.limit,
    });
    let output = EAR.scope(ear.clone(), future).await;
    let mut heard = std::mem::take(&mut *lock(&ear.heard));
    heard.sort_by_key(|x| x.id);
    (output, heard)
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while holding these locks leaves plain data behind that is still true; losing the record would be worse.
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Our own credentials never enter evidence. Names in lower case.
const WITHHELD: [&str; 3] = ["authorization", "x-amz-security-token", "cookie"];

fn headers(h: &Headers) -> Vec<Header> {
    h.iter().map(|(k, v)| Header(k.to_ascii_lowercase(), v.to_string())).filter(|h| !WITHHELD.contains(&h.0.as_str())).collect()
}

/// Request bodies are small documents; a larger one is an upload, of which the head is enough.
const REQUEST_BODY_LIMIT: usize = 64 << 10;

/// The interceptor. One for each unit.
#[derive(Clone, Debug)]
pub struct Tape {
    pub(super) scope: UnitScope,
    pub(super) region: String,
    pub(super) recorder: Arc<dyn Recorder>,
    pub(super) clock: Arc<dyn Clock>,
}

/// One attempt in the making, shared by the interceptor's state and the body in flight.
#[derive(Debug)]
struct Attempt {
    tape: Tape,
    ear: Option<Arc<Ear>>,
    began_ns: u64,
    /// Taken by whoever finishes the exchange.
    open: Mutex<Option<Exchange>>,
}

impl Attempt {
    fn finish(&self, bytes: u64, digest: Option<Sha256>, end: BodyEnd) {
        let Some(mut exchange) = lock(&self.open).take() else { return };
        exchange.took_ms = self.tape.clock.monotonic_ns().saturating_sub(self.began_ns) / 1_000_000;
        exchange.body_bytes = bytes;
        exchange.body_sha256 = digest;
        exchange.body_end = end;
        let wanted = self.ear.as_ref().and_then(|e| e.wanted.clone());
        let exchange = self.tape.recorder.finish(&self.tape.scope, exchange, wanted);
        if let Some(ear) = &self.ear {
            lock(&ear.heard).push(exchange);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.finish(0, None, BodyEnd::NoResponse);
    }
}

#[derive(Clone, Debug)]
struct Current(Arc<Attempt>);
impl Storable for Current {
    type Storer = StoreReplace<Self>;
}

impl Intercept for Tape {
    fn name(&self) -> &'static str {
        "freezeframe::Tape"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let ear = EAR.try_with(Arc::clone).ok();
        let withhold = ear.as_ref().is_some_and(|e| e.withhold_query);
        let (uri, uri_sha256) = match request.uri().split_once('?') {
            Some((path, _)) if withhold => (path.to_string(), Some(Sha256::of(request.uri().as_bytes()))),
            _ => (request.uri().to_string(), None),
        };
        let (service, operation) = match cfg.load::<Metadata>() {
            Some(m) => (m.service().to_string(), m.name().to_string()),
            None => (String::from("unknown"), String::from("unknown")),
        };
        let exchange = Exchange {
            id: self.recorder.number(),
            unit: self.scope.unit.to_string(),
            service,
            operation,
            region: self.region.clone(),
            attempt: cfg.load::<RequestAttempts>().map_or(1, |r| r.attempts()),
            invocation: request.headers().get("amz-sdk-invocation-id").map(str::to_string),
            method: request.method().to_string(),
            uri,
            uri_sha256,
            request_headers: headers(request.headers()),
            request_body: request.body().bytes().filter(|b| !b.is_empty()).map(|b| {
                let cbor = request.headers().get("content-type") == Some("application/cbor");
                if b.len() > REQUEST_BODY_LIMIT {
                    format!("<{} bytes>", b.len())
                } else if let Some(value) = cbor.then(|| cbor::read(b)).flatten() {
                    value.to_string()
                } else {
                    String::from_utf8_lossy(b).into_owned()
                }
            }),
            sent: clock::stamp(self.clock.now()),
            took_ms: 0,
            status: None,
            response_headers: vec![],
            request_id: None,
            server_date: None,
            body_end: BodyEnd::NoResponse,
            body_bytes: 0,
            body_sha256: None,
            body_withheld: None,
            body: None,
            sealed: None,
        };
        let attempt = Attempt { tape: self.clone(), ear, began_ns: self.clock.monotonic_ns(), open: Mutex::new(Some(exchange)) };
        // Replaces (and so drops and finishes) the state of the attempt before, should that not have ended.
        cfg.interceptor_state().store_put(Current(Arc::new(attempt)));
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Current(attempt)) = cfg.load::<Current>().cloned() else { return Ok(()) };
        let response = context.response_mut();
        let id = {
            let mut open = lock(&attempt.open);
            let Some(exchange) = open.as_mut() else { return Ok(()) };
            exchange.status = Some(response.status().as_u16());
            exchange.response_headers = headers(response.headers());
            exchange.request_id =
                ["x-amzn-requestid", "x-amz-request-id"].iter().find_map(|h| response.headers().get(h)).map(str::to_string);
            exchange.server_date = response.headers().get("date").map(str::to_string);
            let discard = attempt.ear.as_ref().and_then(|e| e.discard_body).filter(|_| response.status().is_success());
            exchange.body_withheld = discard.map(str::to_string);
            exchange.id
        };
        let inner = response.take_body();
        *response.body_mut() = SdkBody::from_body_1_x(TeeBody::new(inner, attempt, id));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Current(attempt)) = cfg.load::<Current>()
            && context.response().is_none()
        {
            attempt.finish(0, None, BodyEnd::NoResponse);
        }
        Ok(())
    }
}

/// Forwards frames untouched; copies data to the recorder and into SHA-256.
struct TeeBody {
    inner: SdkBody,
    attempt: Arc<Attempt>,
    limit: u64,
    id: ExchangeId,
    /// Opened at the first byte, so that an empty body makes no file.
    out: Option<Box<dyn Write + Send>>,
    trouble: Option<String>,
    discard: bool,
    hasher: Hasher,
    ended: bool,
}

// `SdkBody` wants `Sync` bodies; the writer is only ever touched through `&mut self`.
struct SyncTee(Mutex<TeeBody>);

impl TeeBody {
    #[expect(clippy::new_ret_no_self, reason = "the body handed to the SDK must be Sync")]
    fn new(inner: SdkBody, attempt: Arc<Attempt>, id: ExchangeId) -> SyncTee {
        let limit = attempt.ear.as_ref().map_or(API_BODY_LIMIT, |e| e.limit);
        let discard = lock(&attempt.open).as_ref().is_some_and(|x| x.body_withheld.is_some());
        SyncTee(Mutex::new(TeeBody {
            inner,
            attempt,
            limit,
            id,
            out: None,
            trouble: None,
            discard,
            hasher: Hasher::default(),
            ended: false,
        }))
    }

    fn save(&mut self, data: &[u8]) {
        if self.trouble.is_some() || self.discard {
            return;
        }
        if self.out.is_none() {
            match self.attempt.tape.recorder.open_body(self.id) {
                Ok(out) => self.out = Some(out),
                Err(e) => {
                    self.trouble = Some(e.to_string());
                    return;
                }
            }
        }
        if let Some(Err(e)) = self.out.as_mut().map(|o| o.write_all(data)) {
            self.trouble = Some(e.to_string());
            self.out = None;
        }
    }

    fn close(&mut self, end: BodyEnd) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Some(mut out) = self.out.take()
            && let Err(e) = out.flush()
        {
            self.trouble = Some(e.to_string());
        }
        let (digest, bytes) = std::mem::take(&mut self.hasher).finish();
        let end = match self.trouble.take() {
            Some(why) => BodyEnd::Unsaved(why),
            None => end,
        };
        self.attempt.finish(bytes, Some(digest), end);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, aws_smithy_types::body::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    if self.hasher.bytes() + data.len() as u64 > self.limit {
                        let why = format!("more than the {} bytes allowed for this answer", self.limit);
                        self.close(BodyEnd::TooLarge(why.clone()));
                        return Poll::Ready(Some(Err(why.into())));
                    }
                    self.hasher.update(data);
                    self.save(data);
                }
            }
            Poll::Ready(Some(Err(e))) => self.close(BodyEnd::Failed(with_causes(e.as_ref()).chars().take(300).collect())),
            Poll::Ready(None) => self.close(BodyEnd::Complete),
            Poll::Pending => {}
        }
        polled
    }
}

impl Drop for TeeBody {
    fn drop(&mut self) {
        // A reader may stop at `is_end_stream()` without polling for the final `None`.
        let end = if Body::is_end_stream(&self.inner) { BodyEnd::Complete } else { BodyEnd::Dropped };
        self.close(end);
    }
}

impl Body for SyncTee {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.get_mut().0.get_mut().unwrap_or_else(PoisonError::into_inner).poll(cx)
    }
    fn is_end_stream(&self) -> bool {
        lock(&self.0).inner.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&lock(&self.0).inner)
    }
}
