//! A draft as the tape sees it: exchanges come in, bodies first.
//!
//! A call to AWS may already have changed something, so nothing that goes wrong here may fail it. What could not be kept is said in the
//! exchange's `body_end`, in the copy that lies in the bag as well as in the one that is handed back.

use super::draft::{Draft, Inner, Kept, SharedPart, State};
use super::payload::Whole;
use super::secrets::{Look, OPAQUE, looked_into};
use super::veiling::Ready;
use crate::aws::record::{Recorder, UnitScope};
use crate::model::exchange::{BodyEnd, Exchange, Header};
use crate::model::id::ExchangeId;
use crate::model::item::{FileRef, Group};
use crate::model::journal_event::JournalEvent;
use crate::model::path::BundlePath;
use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// Names that are tried for a file before it counts as unsaved. More than one is needed only when a collector took the name.
const NAMES: u32 = 9;

impl Recorder for Draft {
    fn number(&self) -> ExchangeId {
        ExchangeId(self.inner.exchange_numbers.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn open_body(&self, id: ExchangeId) -> io::Result<Box<dyn Write + Send>> {
        let mut state = self.inner.state();
        if state.closed {
            return Err(io::Error::other("the bundle is sealed"));
        }
        // The tape bounds what it lets through; here the disk is the bound.
        let part = self.inner.part(&id.to_string(), u64::MAX)?;
        let shared: SharedPart = Arc::new(Mutex::new(Some(part)));
        state.bodies.insert(id, shared.clone());
        Ok(Box::new(BodyWriter(shared)))
    }

    fn finish(&self, scope: &UnitScope, mut exchange: Exchange, wanted: Option<BundlePath>) -> Exchange {
        let shared = self.inner.state().bodies.remove(&exchange.id);
        let part = shared.and_then(|s| s.lock().unwrap_or_else(PoisonError::into_inner).take());
        // Outside of the lock on everything: this may write the last of a large body, and seal it.
        let whole = part.map(|p| p.finish()).transpose();
        let as_it_came = (exchange.body_bytes, exchange.body_sha256, exchange.response_headers.clone());
        let wanted = wanted.filter(|w| w.top() == "data" && exchange.body_end == BodyEnd::Complete && exchange.status == Some(200));
        let body = whole.and_then(|whole| self.inner.body(scope, &mut exchange, whole, wanted.as_ref()));

        let mut state = self.inner.state();
        if state.closed {
            unsaved(&mut exchange, "the bundle was sealed before this answer ended");
            return exchange;
        }
        let file = match body {
            Ok(body) => body.and_then(|body| self.inner.keep_body(&mut state, scope.group, &mut exchange, body, wanted)),
            Err(e) => {
                unsaved(&mut exchange, &format!("the body could not be written: {}", e.kind()));
                None
            }
        };
        exchange.body = file.as_ref().map(|f| f.path.clone());
        // A digest stands beside the file that it is of, or nowhere: what was sealed, withheld or not kept could be guessed by it.
        match &file {
            None if as_it_came.0 > 0 => exchange.forget_digests(),
            None => exchange.body_sha256 = None,
            Some(file) if exchange.sealed.is_some() => {
                exchange.forget_digests();
                exchange.body_sha256 = Some(file.sha256);
            }
            Some(_) => {}
        }
        let unwritten = match self.inner.write_record(&mut state, scope.group, &exchange) {
            Ok(()) => None,
            Err(e) => {
                unsaved(&mut exchange, &format!("the record of the exchange could not be written: {}", e.kind()));
                Some(scope.group)
            }
        };
        let req = JournalEvent::Req {
            exchange: exchange.id,
            unit: exchange.unit.clone(),
            operation: exchange.operation.clone(),
            status: exchange.status,
            request_id: exchange.request_id.clone(),
            sha256: file.as_ref().map(|f| f.sha256),
        };
        // A journal that failed keeps the bag from ever being sealed; here it only has to be said.
        if self.inner.journal.append(req).is_err() {
            unsaved(&mut exchange, "the journal could not be written");
        }
        state.exchanges.insert(exchange.id, Kept { exchange: exchange.clone(), file, unwritten });
        if exchange.sealed.is_some() {
            // The record speaks of what lies in clear. Whoever made the call compares what came with what AWS said would come.
            (exchange.body_bytes, exchange.body_sha256, exchange.response_headers) = as_it_came;
        }
        exchange
    }
}

impl Inner {
    /// The body, looked into, before it has a name. None where there is none.
    fn body(
        &self,
        scope: &UnitScope,
        exchange: &mut Exchange,
        whole: Option<Whole>,
        wanted: Option<&BundlePath>,
    ) -> io::Result<Option<Ready>> {
        let Some(whole) = whole.filter(|w| w.bytes > 0) else {
            if exchange.body_bytes > 0 && exchange.body_withheld.is_none() {
                unsaved(exchange, "no byte of the body was kept");
            }
            return Ok(None);
        };
        if let Some(kind) = whole.failed {
            unsaved(exchange, &format!("the rest of the body could not be written: {kind}"));
        } else if exchange.body_end == BodyEnd::Complete && (exchange.body_bytes, exchange.body_sha256) != (whole.bytes, Some(whole.sha256))
        {
            unsaved(exchange, &format!("{} bytes came and {} were kept", exchange.body_bytes, whole.bytes));
        }
        let unnamed = || BundlePath::below(scope.group.dir(), &exchange.operation, extension(&exchange.response_headers));
        let look = match OPAQUE.contains(&exchange.operation.as_str()) {
            true => Look::Opaque,
            false => looked_into(&wanted.cloned().unwrap_or_else(unnamed)),
        };
        self.ready(scope.unit, look, whole).map(Some)
    }

    /// Gives the body a name, and makes the record say what lies there.
    fn keep_body(
        &self,
        state: &mut State,
        group: Group,
        exchange: &mut Exchange,
        body: Ready,
        wanted: Option<BundlePath>,
    ) -> Option<FileRef> {
        let kept = match wanted.filter(|w| exchange.body_end == BodyEnd::Complete && state.payload.is_free(w)) {
            Some(wanted) => self.admit(state, body, &wanted),
            None => self.admit_next(state, group, exchange, body, extension(&exchange.response_headers)),
        };
        let file = kept.inspect_err(|e| unsaved(exchange, &format!("the body could not be given its name: {}", e.kind()))).ok()?;
        // From here on the record speaks of the file that lies beside it.
        (exchange.body_bytes, exchange.body_sha256) = (file.bytes, Some(file.sha256));
        exchange.sealed = state.redactions.get(&file.path).map(|r| r.sealed.path.clone());
        Some(file)
    }

    /// `<group dir>/<n>-<Operation>.<extension>`, or the next free name beside it.
    fn admit_next(&self, state: &mut State, group: Group, exchange: &Exchange, file: Ready, extension: &str) -> io::Result<FileRef> {
        let name = |again: u32| {
            let tail = if again == 1 { String::new() } else { format!("-{again}") };
            BundlePath::below(group.dir(), &format!("{:06}-{}{tail}", exchange.id.0, exchange.operation), extension)
        };
        match (1..=NAMES).map(name).find(|path| state.payload.is_free(path)) {
            Some(path) => self.admit(state, file, &path),
            None => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    /// Writes `<n>-<Operation>.http.json` in the group's directory.
    pub(super) fn write_record(&self, state: &mut State, group: Group, exchange: &Exchange) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(exchange)?;
        json.push(b'\n');
        let mut part = self.part(&format!("{}-record", exchange.id), u64::MAX)?;
        part.write_all(&json)?;
        let whole = part.finish()?;
        self.admit_next(state, group, exchange, Ready::Clear(whole), "http.json").map(drop)
    }
}

/// The first thing that went wrong is what is told.
fn unsaved(exchange: &mut Exchange, why: &str) {
    if exchange.body_end == BodyEnd::Complete {
        exchange.body_end = BodyEnd::Unsaved(why.into());
    }
}

/// A file extension from what the server calls its answer: a courtesy to the reader, never a claim about the bytes.
fn extension(headers: &[Header]) -> &'static str {
    let said = headers.iter().find(|h| h.0.eq_ignore_ascii_case("content-type")).map(|h| h.1.to_ascii_lowercase()).unwrap_or_default();
    let essence = said.split(';').next().unwrap_or_default().trim();
    match essence {
        "text/html" => "html",
        "application/zip" | "application/x-zip-compressed" => "zip",
        "application/cbor" => "cbor",
        _ if essence.contains("json") => "json",
        _ if essence.contains("xml") => "xml",
        _ if essence.starts_with("text/") => "txt",
        _ => "bin",
    }
}

/// The tape's end of a body. The draft holds the other end, and may take the part away.
struct BodyWriter(SharedPart);

impl BodyWriter {
    fn with<T>(&self, act: impl FnOnce(&mut super::payload::Part) -> io::Result<T>) -> io::Result<T> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(part) => act(part),
            None => Err(io::Error::other("the exchange has ended")),
        }
    }
}

impl Write for BodyWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.with(|part| part.write(data))
    }
    fn flush(&mut self) -> io::Result<()> {
        self.with(|part| part.flush())
    }
}
