//! The Lambda function around the handler: configuration, connection, store, and the loop that Lambda's runtime drives.

use super::act::{Cause, Engine, Guard};
use super::config::{Config, Place};
use super::straight::Straight;
use super::{Delivery, Handler, HandlerError};
use crate::archive::{self, Accepted, Bucket, Verdict};
use crate::aws::{ConnectOptions, Connector};
use crate::clock::{Clock, SystemClock};
use crate::engine::sealing::kms::KmsSigner;
use crate::engine::sealing::{Sealing, Tsa};
use crate::model::causes::with_causes;
use crate::model::lock::Lock;
use crate::plan::guard::{self, Ourselves, Policy};
use crate::playbook::MAX_BYTES;
use crate::store::Store;
use crate::store::dir::DirStore;
use crate::store::s3::S3Store;
use chrono::DateTime;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use serde_json::value::RawValue;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

/// The responder: configure, connect, and serve invocations until Lambda ends the process.
pub async fn run() -> Result<(), Cause> {
    let begun = async {
        let config = Config::from_env()?;
        log_to_stdout(&config.log);
        handler(config).await
    };
    match begun.await {
        Ok(handler) => serve(handler).await,
        Err(error) => {
            log_to_stdout("error");
            tracing::error!(error = %with_causes(&*error), "could not start");
            Err(error)
        }
    }
}

/// Everything that a process needs once: made at the cold start, where a fault is seen.
pub async fn handler(config: Config) -> Result<Handler, Cause> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let connector = Connector::load(&ConnectOptions::default(), clock.clone()).await?;
    let there = config.store_region.as_deref().map_or_else(|| connector.clone(), |region| connector.in_region(region));
    let store: Arc<dyn Store> = match &config.store {
        Place::Dir(dir) => Arc::new(DirStore::open(dir)?),
        Place::S3 { bucket, prefix } => {
            look_at(&there, &clock, bucket, &config).await?;
            Arc::new(S3Store::new(there.s3_plain(), clock.clone(), bucket, prefix)?.keeping(config.keep.clone()))
        }
    };
    tracing::info!(store = %store.describe(), mode = %config.settings.mode, playbook = %config.settings.playbook, "ready");
    let buckets = match &config.store {
        Place::S3 { bucket, .. } => vec![bucket.clone()],
        Place::Dir(_) => vec![],
    };
    let ourselves = Ourselves { buckets, ..Ourselves::from_vars(|name| std::env::var(name).ok()) };
    let policy = config.guard.as_deref().map(policy).transpose()?;
    let guard = Guard { policy, ourselves, mode: config.settings.mode };
    let sealing = sealing(&config, &connector).await?;
    let straight = Straight::of(&config, &there, &clock);
    if config.secrets.order.recipients.is_empty() && config.secrets.kms.is_none() {
        tracing::warn!(
            "secrets are sealed for an identity that lies beside the case in the store: FREEZEFRAME_RECIPIENTS names who may open them"
        );
    }
    let engine = Engine::new(connector, clock.clone(), store.clone(), guard).signing(sealing).secrets_for(config.secrets);
    let engine = Arc::new(engine.straight(straight));
    Ok(Handler::new(config.settings, config.scratch, store, engine, clock)?)
}

/// The same look at the bucket as before an archive, at the start, where somebody sees it. A bucket without locks is refused where locks are
/// configured; where none are, it is said in the log.
async fn look_at(there: &Connector, clock: &Arc<dyn Clock>, bucket: &str, config: &Config) -> Result<(), Cause> {
    let place = archive::Place::parse(&format!("s3://{bucket}")).ok_or("the store's bucket has no name of a bucket")?;
    let seen = Bucket::new(there.s3_archive(), clock.clone(), &place, config.keep.owner.clone()).preflight().await?;
    for p in &seen.properties {
        match p.verdict {
            Verdict::Good => tracing::info!(property = p.name, found = p.found, "the store's bucket"),
            verdict => tracing::warn!(property = p.name, found = p.found, verdict = verdict.as_str(), "the store's bucket"),
        }
    }
    let locks = config.keep.retain.is_some() || config.keep.legal_hold;
    let lock = Lock { legal_hold: locks, ..Lock::default() };
    let accepted = Accepted { unlocked_bucket: config.accepted.unlocked_bucket || !locks, ..config.accepted };
    match seen.refusals(bucket, &lock, accepted).first() {
        Some(r) => Err(format!("{}; what would lift it: {}", r.why, r.lift).into()),
        None => Ok(()),
    }
}

/// A key file that cannot be used is refused. A KMS key may be out of reach for a minute, and the process outlives that: evidence is taken all
/// the same, and says that this key was to sign it.
async fn sealing(config: &Config, connector: &Connector) -> Result<Sealing, Cause> {
    let mut sealing = Sealing::default();
    if let Some(path) = &config.sign_key {
        sealing.with_local(path)?;
    }
    if let Some(key) = &config.kms_key {
        match KmsSigner::connect(connector, key).await {
            Ok(signer) => sealing.with(Arc::new(signer)),
            Err(e) => {
                tracing::error!(key = key.arn(), error = %with_causes(&e), "bundles will not be signed with the KMS key");
                sealing.without(key, &e);
            }
        }
    }
    if let Some(address) = &config.tsa {
        sealing.stamped_by(Tsa::new(connector, address));
    }
    if !sealing.signs() {
        tracing::warn!("bundles are not signed: FREEZEFRAME_KMS_KEY names a key");
    }
    Ok(sealing)
}

/// A policy that cannot be read is said at the start, where somebody sees it.
fn policy(file: &Path) -> Result<Arc<Policy>, Cause> {
    let cannot = |e: std::io::Error| format!("cannot read the guard policy {}: {e}", file.display());
    let mut text = String::new();
    std::fs::File::open(file).map_err(cannot)?.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(cannot)?;
    Ok(Arc::new(guard::read(&file.display().to_string(), &text)?))
}

/// Serve invocations until Lambda ends the process.
pub async fn serve(handler: Handler) -> Result<(), Cause> {
    let handler = &handler;
    let one = async |event: LambdaEvent<Box<RawValue>>| -> Result<Value, Diagnostic> {
        let delivery = Delivery {
            id: event.context.request_id.clone(),
            deadline: i64::try_from(event.context.deadline).ok().filter(|ms| *ms > 0).and_then(DateTime::from_timestamp_millis),
        };
        let said = |error: &HandlerError| {
            tracing::error!(error = %with_causes(error), "the event could not be dealt with");
            Diagnostic { error_type: "HandlerError".into(), error_message: with_causes(error) }
        };
        // Raw: the event goes into evidence byte for byte, spacing and spelling of numbers included.
        let reply = handler.handle(event.payload.get().as_bytes(), &delivery).await.map_err(|e| said(&e))?;
        tracing::info!(did = %reply.did, case = reply.case.as_deref(), run = reply.run.as_ref().map(tracing::field::display), gaps = reply.gaps, "answered");
        serde_json::to_value(&reply).map_err(|e| Diagnostic { error_type: "WriteReply".into(), error_message: e.to_string() })
    };
    lambda_runtime::run(service_fn(one)).await
}

/// Log lines as JSON on stdout, which Lambda sends to CloudWatch Logs. Ours alone: the SDK's would hold bodies, and bodies hold secrets.
fn log_to_stdout(level: &str) {
    let filter = tracing_subscriber::EnvFilter::new(format!("off,freezeframe={level}"));
    let _ = tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stdout).try_init();
}
