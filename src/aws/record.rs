//! Where exchanges go: the tape's side of the border to the bundle. Floor 1 knows no bundle; it knows somebody who keeps exchanges.

use crate::model::exchange::Exchange;
use crate::model::id::ExchangeId;
use crate::model::item::Group;
use crate::model::path::BundlePath;
use std::io::{self, Write};

/// Whose calls these are: stamped on every exchange.
#[derive(Clone, Copy, Debug)]
pub struct UnitScope {
    pub unit: &'static str,
    pub group: Group,
}

/// Keeps exchanges. Implemented by the draft of a bundle; by a list in tests.
///
/// The order for each attempt: `number`, then at most one `open_body`, then exactly one `finish`.
pub trait Recorder: Send + Sync + std::fmt::Debug {
    /// The next exchange's number: ordered by the moment of sending.
    fn number(&self) -> ExchangeId;

    /// A place for the body of this exchange. It is written once, front to back. An error does not fail the call (which may already have
    /// changed something in AWS); it becomes `BodyEnd::Unsaved`.
    fn open_body(&self, id: ExchangeId) -> io::Result<Box<dyn Write + Send>>;

    /// The exchange has ended, with `body_bytes`, `body_sha256` and `body_end` set and `body` unset. Gives the body its final name (`wanted`
    /// if the body is whole, the status 200 and the name still free; else one made from number and operation), writes the record beside
    /// it, journals it, and returns the record with `body` set. Never fails: what could not be saved is said in `body_end`.
    fn finish(&self, scope: &UnitScope, exchange: Exchange, wanted: Option<BundlePath>) -> Exchange;
}

/// Keeps the heads of exchanges and none of their bodies: for the few calls made before there is a bundle.
#[derive(Debug, Default)]
pub struct HeadRecorder {
    next: std::sync::atomic::AtomicU32,
    taken: std::sync::Mutex<Vec<Exchange>>,
}

impl HeadRecorder {
    pub fn taken(&self) -> Vec<Exchange> {
        let mut all = self.taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        all.sort_by_key(|x| x.id);
        all
    }
}

impl Recorder for HeadRecorder {
    fn number(&self) -> ExchangeId {
        ExchangeId(self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1)
    }
    fn open_body(&self, _: ExchangeId) -> io::Result<Box<dyn Write + Send>> {
        Ok(Box::new(io::sink()))
    }
    fn finish(&self, _: &UnitScope, exchange: Exchange, _: Option<BundlePath>) -> Exchange {
        // The body may hold a secret that a redacted twin elsewhere shows all but: by its digest it could be guessed.
        let mut kept = exchange.clone();
        if kept.body_bytes > 0 {
            kept.forget_digests();
        }
        self.taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(kept);
        exchange
    }
}
