//! `archive`: a bundle into a bucket, and what S3 then says of it.

use super::args::{ArchiveArgs, ArchiveOption, BucketArgs, Global, VaultArgs};
use super::error::CliError;
use super::render::Screen;
use super::session::{self, Session};
use crate::archive::{
    Accepted, ArchiveError, Archived, Asked, Bucket, Case, Order, Place, Property, ReachError, RemoteError, Vault, Verdict, archive as send,
};
use crate::aws::fault::tame;
use crate::bundle::case_journal::CaseJournal;
use crate::bundle::source::OpenError;
use crate::clock::Clock;
use crate::engine::preflight;
use crate::model::lock::{Lock, LockMode, Retention};
use crate::model::outcome::Outcome;
use crate::playbook::Playbook;
use crate::store::dir::DirStore;
use owo_colors::OwoColorize as _;
use std::path::Path;
use std::sync::Arc;

pub async fn archive(global: &Global, args: ArchiveArgs) -> Result<Outcome, CliError> {
    let screen = session::screen(global);
    if let Some(place) = place(&args.bundle)? {
        return Err(CliError::new(format!("{place} cannot be archived from where it lies"))
            .hint(format!("freezeframe fetch {place} --to DIR; a zip: aws s3 cp {place} . — then archive that"))
            .outcome(Outcome::Usage));
    }
    let session = Session::connect(global).await?;
    let asked = asked(&args.vault, &*session.clock)?;
    let identity = preflight::identify(&session.connector).await.map_err(session::connection)?;
    let order = Order {
        bundle: args.bundle.clone(),
        to: args.to.clone(),
        asked,
        accepted: accepted(&args.vault),
        run: session.run.clone(),
        operator: identity.arn.clone(),
        signers: session.sealing(&args.sign.seal()).await?.signers().clone(),
    };
    let bucket = bucket(&session, &args.to, &args.vault.bucket);
    let case = beside(&session, &args.bundle, &identity.arn).await?;
    let case = case.as_ref().map(|(store, journal)| Case { journal, store: &**store });
    let archived = send(&bucket, &order, case, &|line| screen.remark(line)).await.map_err(face)?;
    screen.document(&archived);
    show(screen, &archived);
    Ok(archived.outcome)
}

/// What is asked of S3, from what was typed.
pub fn asked(vault: &VaultArgs, clock: &dyn Clock) -> Result<Asked, CliError> {
    let usage = |what: &str, hint: &str| Err(CliError::new(what).hint(hint).outcome(Outcome::Usage));
    let until = match (vault.retain, vault.retain_until) {
        (Some(span), _) => span.from(clock.now()),
        (None, until) => until,
    };
    if until.is_some_and(|t| t <= clock.now()) {
        return usage("that retention has ended already", "S3 takes a --retain-until that is still to come");
    }
    if until.is_none() && vault.lock.is_some() {
        return usage("--lock says who may shorten a retention, and none is asked for", "add --retain 7y, or --retain-until 2033-11-20");
    }
    let retention = until.map(|until| Retention { mode: vault.lock.unwrap_or(LockMode::Governance), until });
    let lock = Lock { retention, legal_hold: vault.legal_hold, event_hold: vault.event_hold };
    Ok(Asked { lock, kms_key: vault.sse_kms_key.clone() })
}

/// The vault of a run, looked at before anything is collected; none when nothing is archived.
pub async fn vault(session: &Session, option: &ArchiveOption, playbook: &Playbook) -> Result<Option<Vault>, CliError> {
    vault_of(session, option, playbook.archives()).await
}

pub async fn vault_of(session: &Session, option: &ArchiveOption, wanted: bool) -> Result<Option<Vault>, CliError> {
    let Some(to) = &option.to else {
        if option.straight {
            return Err(CliError::new("--straight says when to archive, and not where")
                .hint("--archive s3://bucket/prefix --straight")
                .outcome(Outcome::Usage));
        }
        if wanted {
            return Err(CliError::new("the playbook has an archive phase, and no place is named for it")
                .hint("--archive s3://bucket/prefix names one")
                .outcome(Outcome::Usage));
        }
        if option.how != VaultArgs::default() {
            return Err(CliError::new("it is said how to archive, and not where")
                .hint("--archive s3://bucket/prefix")
                .outcome(Outcome::Usage));
        }
        return Ok(None);
    };
    let asked = asked(&option.how, &*session.clock)?;
    let vault = Vault { bucket: bucket(session, to, &option.how.bucket), to: to.clone(), asked, accepted: accepted(&option.how) };
    let looked = vault.preflight().await;
    looked.map_err(|e| {
        let (hints, outcome) = (e.hints(), e.outcome());
        let mut face = CliError::new(format!("nothing was done: what is sealed could not be archived at {to}")).because(e).outcome(outcome);
        face.hints.extend(hints);
        face
    })?;
    Ok(Some(vault))
}

pub fn accepted(vault: &VaultArgs) -> Accepted {
    let said = |word: &str| vault.accept.iter().any(|a| a == word);
    Accepted {
        unlocked_bucket: said("unlocked-bucket"),
        public_bucket: said("public-bucket"),
        unfinished_bundle: said("unfinished-bundle"),
    }
}

pub fn bucket(session: &Session, place: &Place, said: &BucketArgs) -> Bucket {
    let there = said.bucket_region.as_deref().map_or_else(|| session.connector.clone(), |region| session.connector.in_region(region));
    Bucket::new(there.s3_archive(), session.clock.clone(), place, said.expected_bucket_owner.clone())
}

/// The case that the bundle lies in, where its journal lies beside it.
async fn beside(session: &Session, bundle: &Path, operator: &str) -> Result<Option<(Arc<DirStore>, CaseJournal)>, CliError> {
    let bundle = bundle.canonicalize().unwrap_or_else(|_| bundle.to_path_buf());
    let Some(dir) = bundle.parent().filter(|d| d.join("journal").is_dir()) else { return Ok(None) };
    let unreadable = |e: Box<dyn std::error::Error + Send + Sync>| {
        CliError::new(format!("cannot read the case journal beside the bundle, in {}", dir.display())).because(e)
    };
    let store = Arc::new(DirStore::open(dir).map_err(|e| unreadable(e.into()))?);
    let journal = CaseJournal::open(store.clone(), session.clock.clone(), operator).await.map_err(|e| unreadable(e.into()))?;
    Ok(Some((store, journal)))
}

/// A place in S3, where the text is one; a mistake in one is not taken for a file's name.
pub fn place(text: &Path) -> Result<Option<Place>, CliError> {
    let Some(text) = text.to_str().filter(|t| t.to_ascii_lowercase().starts_with("s3:")) else { return Ok(None) };
    Place::parse(text).map(Some).ok_or_else(|| {
        CliError::new(format!("{} is no place in S3", tame(text, 300)))
            .hint("s3://bucket/prefix, of letters, digits, `.`, `_`, `-` and `/`")
            .outcome(Outcome::Usage)
    })
}

/// Why a place could not be read.
pub fn unread(error: RemoteError, place: &Place) -> CliError {
    let (hint, outcome) = match &error {
        RemoteError::Reach(ReachError::OtherRegion { region, .. }) => (Some(format!("--bucket-region {region}")), Outcome::Failed),
        RemoteError::Zipped { zip } => (
            Some(format!("aws s3 cp {zip} . — then freezeframe verify, or freezeframe archive, which puts it file by file")),
            Outcome::Failed,
        ),
        RemoteError::Nothing { .. } => (Some("`freezeframe list s3://bucket/prefix` says what is there".into()), Outcome::Failed),
        RemoteError::Open { source: e @ OpenError::NotABag { .. }, .. } => (Some(e.hint().replace("directory", "folder")), e.outcome()),
        RemoteError::Open { source, .. } => (Some(source.hint().into()), source.outcome()),
        _ => (None, Outcome::Failed),
    };
    let mut face = CliError::new(format!("cannot read {place}")).because(error).outcome(outcome);
    face.hints.extend(hint);
    face
}

pub fn face(error: ArchiveError) -> CliError {
    let (hints, outcome) = (error.hints(), error.outcome());
    let mut face = CliError::new("the bundle was not archived to its end").because(error).outcome(outcome);
    face.hints.extend(hints);
    face
}

/// The bucket's properties, one line each.
pub fn properties(screen: Screen, properties: &[Property]) {
    for p in properties {
        let mark = match p.verdict {
            Verdict::Good => "good   ".green().to_string(),
            Verdict::Weak => "weak   ".yellow().to_string(),
            Verdict::Bad => "BAD    ".red().bold().to_string(),
            Verdict::Unknown => "unknown".yellow().to_string(),
        };
        screen.text(&format!("{mark} {:20} {}", p.name, tame(&p.found, 300)));
    }
}

pub fn show(screen: Screen, archived: &Archived) {
    properties(screen, &archived.bucket);
    let headline = &archived.headline;
    screen.text(&if archived.shortfalls.is_empty() { headline.green().bold().to_string() } else { headline.red().bold().to_string() });
    for shortfall in &archived.shortfalls {
        screen.text(&format!("{} {}", "NOT AS ASKED".red().bold(), tame(shortfall, 400)));
    }
    for note in &archived.notes {
        screen.text(&format!("note: {}", tame(note, 400)));
    }
    for key in &archived.signed_by {
        screen.text(&format!("  the record is signed by {key}"));
    }
    screen.text(&format!(
        "  {}\n  root {}\n  record {} ({})",
        archived.place,
        archived.root,
        archived.record.as_str(),
        archived.record_sha256
    ));
    screen.remark(&format!("\ncheck it there: freezeframe verify {}", archived.place));
}
