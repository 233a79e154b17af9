//! `unseal`: sealed originals opened by somebody who may, and told of in custody before the first byte is in clear.

use super::args::{Global, SealArgs, UnsealArgs};
use super::documents::{Proven, ProvenAt, Unsealed, UnsealedFile};
use super::error::CliError;
use super::keeping::{self, Kept};
use super::session::{Session, run_id, screen};
use crate::aws::fault::tame;
use crate::bundle::addenda::{About, AddendumKind};
use crate::bundle::documents::{Predicate, Statement};
use crate::bundle::opening::{AccessRecord, Opening, OpeningError, original_name};
use crate::bundle::secrets::{Identities, OpenError, WRAPPED_IDENTITY};
use crate::clock::{Clock as _, SystemClock, stamp};
use crate::engine::secrets::{identity_key, unwrap};
use crate::model::journal_event::JournalEvent;
use crate::model::kms_key::KmsKey;
use crate::model::outcome::Outcome;
use crate::model::path::BundlePath;
use crate::model::redaction::Redaction;
use crate::store::disk;
use std::io::{BufWriter, IntoInnerError, Read as _};
use std::path::{Path, PathBuf};

/// An encrypted identity has some hundred bytes, a value that somebody leaked not many more.
const SMALL: u64 = 1 << 20;

pub async fn unseal(global: &Global, args: UnsealArgs) -> Result<Outcome, CliError> {
    let kept = keeping::open(&args.bundle, args.case_dir.as_deref())?;
    let stated = stated(&kept)?;
    let secrets = stated.secrets.clone().ok_or_else(|| {
        CliError::new("nothing is sealed in this bundle")
            .hint("a disclosed copy has no originals: ask for its source")
            .outcome(Outcome::Usage)
    })?;
    let (identities, who, with) = match args.kms {
        true => by_kms(global, &kept, &stated).await?,
        false => by_file(&args, &kept, &stated)?,
    };
    let opening = Opening::new(&kept.bag, &identities).map_err(|e| refused(e, &secrets.recipients, secrets.kms_key.as_deref()))?;
    let wanted = chosen(&opening, &args.file)?;
    let value = args.prove.as_deref().map(leaked).transpose()?;
    let to = args.to.as_deref().map(free).transpose()?;

    let root = kept.verification.root.ok_or_else(|| CliError::new("the bundle has no root digest").outcome(Outcome::VerificationFailed))?;
    let why = args.why.as_deref().map(|w| tame(w, 500));
    let opened: Vec<BundlePath> = if value.is_some() { vec![] } else { wanted.iter().map(|r| r.sealed.path.clone()).collect() };
    let clock = SystemClock::new();
    let event = JournalEvent::Access {
        run: run_id(&clock),
        bundle: stated.bundle.clone(),
        root,
        originals: opened.len() as u64,
        with: with.clone(),
        why: why.clone(),
    };
    let record = AccessRecord { v: 1, at: stamp(clock.now()), originals: opened, with, proof: value.is_some(), why };
    let about = About { case: stated.case.clone(), bundle: stated.bundle.clone(), root, operator: who };
    let sealing = Session::local_sealing(&SealArgs::default())?;
    for missing in kept.write_down(&about, (AddendumKind::Access, &record), event, sealing.signers()).await? {
        screen(global).remark(&format!("warning: {missing}"));
    }
    match (value, to) {
        (Some(value), _) => prove(global, &opening, &stated, &value),
        (None, Some(to)) => write(global, &opening, &wanted, &stated, to),
        (None, None) => Err(CliError::new("--to DIR or --prove FILE is wanted").outcome(Outcome::Usage)),
    }
}

/// The statement, which was verified to be about this bundle.
fn stated(kept: &Kept) -> Result<Predicate, CliError> {
    let cannot =
        || CliError::new("the bundle has no statement that says for whom its secrets are sealed").outcome(Outcome::VerificationFailed);
    let path = BundlePath::parse(crate::bundle::seal::STATEMENT).map_err(|_| cannot())?;
    let bytes = kept.bag.read_small(&path, 16 << 20).map_err(|e| cannot().because(e))?;
    serde_json::from_slice::<Statement>(&bytes).map(|s| s.predicate).map_err(|e| cannot().because(e))
}

/// Identities, who opens, and with what.
type Openers = (Identities, String, Vec<String>);

fn by_file(args: &UnsealArgs, kept: &Kept, stated: &Predicate) -> Result<Openers, CliError> {
    let mut files = args.identity.clone();
    if files.is_empty() {
        let dir = kept.case_dir.as_ref().and_then(|d| std::path::absolute(d).ok());
        let beside = dir.as_deref().and_then(Path::parent).map(|p| p.join(identity_key(&stated.case))).filter(|p| p.is_file());
        files.extend(beside);
    }
    let mut all: Option<Identities> = None;
    for file in &files {
        let read = Identities::read(file).map_err(|e| {
            let hint = match e {
                OpenError::OpenToOthers(_) => "chmod 600 the file, and ask yourself who may have read it",
                _ => "an identity is wanted, as `age-keygen` writes it",
            };
            CliError::new("cannot use the identity").because(e).hint(hint).outcome(Outcome::Usage)
        })?;
        match &mut all {
            None => all = Some(read),
            Some(all) => all.add(read),
        }
    }
    let all = all.ok_or_else(|| {
        let kms = "--kms has AWS KMS decrypt the bundle's own identity";
        let error = CliError::new("no identity was given, and none lies beside the case").hint("--identity FILE").outcome(Outcome::Usage);
        if stated.secrets.as_ref().is_some_and(|s| s.kms_key.is_some()) { error.hint(kms) } else { error }
    })?;
    let with = all.public().iter().map(ToString::to_string).collect();
    Ok((all, keeping::local_user(), with))
}

async fn by_kms(global: &Global, kept: &Kept, stated: &Predicate) -> Result<Openers, CliError> {
    let arn = stated.secrets.as_ref().and_then(|s| s.kms_key.as_deref());
    let key = arn
        .and_then(KmsKey::parse)
        .ok_or_else(|| CliError::new("the bundle names no KMS key that could open it").hint("--identity FILE").outcome(Outcome::Usage))?;
    let unreadable = || CliError::new(format!("cannot read {WRAPPED_IDENTITY} of the bundle"));
    let path = BundlePath::parse(WRAPPED_IDENTITY).map_err(|_| unreadable())?;
    let ciphertext = kept.bag.read_small(&path, SMALL).map_err(|e| unreadable().because(e))?;
    let session = Session::connect(global).await?;
    let identity = session.identity().await?;
    let identities = unwrap(&session.connector, &key, &ciphertext, &stated.case, &stated.bundle).await.map_err(|e| {
        CliError::new("KMS did not decrypt the bundle's identity")
            .because(e)
            .hint("kms:Decrypt on the key is needed, for the case and the bundle as encryption context")
    })?;
    Ok((identities, identity, vec![key.arn().to_string()]))
}

fn refused(e: OpeningError, recipients: &[String], kms: Option<&str>) -> CliError {
    let not_for = matches!(&e, OpeningError::Open { source: OpenError::NotFor, .. });
    let mut error = CliError::new("the originals cannot be opened").because(e);
    if not_for {
        error = error.outcome(Outcome::Refused);
        let whom: Vec<String> = recipients.iter().map(|r| tame(r, 80)).collect();
        if !whom.is_empty() {
            error = error.hint(format!("they are sealed for {}", whom.join(", ")));
        }
        if kms.is_some() {
            error = error.hint("--kms has AWS KMS decrypt the bundle's own identity");
        }
    }
    error
}

fn chosen<'o>(opening: &'o Opening<'_>, files: &[String]) -> Result<Vec<&'o Redaction>, CliError> {
    if files.is_empty() {
        return Ok(opening.redactions().iter().collect());
    }
    let find = |name: &String| {
        let named = |r: &&Redaction| r.twin.path.as_str() == name || r.sealed.path.as_str() == name || original_name(&r.twin.path) == name;
        opening.redactions().iter().find(named).ok_or_else(|| {
            CliError::new(format!("nothing is sealed under the name {}", tame(name, 200)))
                .hint("meta/redactions.jsonl lists what is")
                .outcome(Outcome::Usage)
        })
    };
    files.iter().map(find).collect()
}

/// A directory of the person's own: nothing is put beside what lies there already.
fn free(to: &Path) -> Result<PathBuf, CliError> {
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(CliError::new(format!("{} exists already", to.display())).hint("name a new directory").outcome(Outcome::Usage));
    }
    Ok(to.to_path_buf())
}

fn leaked(file: &Path) -> Result<Vec<u8>, CliError> {
    let mut value = vec![];
    let read = match file.to_str() {
        Some("-") => std::io::stdin().take(SMALL + 1).read_to_end(&mut value),
        _ => std::fs::File::open(file).and_then(|f| f.take(SMALL + 1).read_to_end(&mut value)),
    };
    read.map_err(|e| CliError::new("cannot read the value").because(e).outcome(Outcome::Usage))?;
    if value.ends_with(b"\n") {
        value.pop();
    }
    match value.len() as u64 {
        0 => Err(CliError::new("the value is empty").outcome(Outcome::Usage)),
        n if n > SMALL => Err(CliError::new("the value is longer than a megabyte").outcome(Outcome::Usage)),
        _ => Ok(value),
    }
}

fn prove(global: &Global, opening: &Opening<'_>, stated: &Predicate, value: &[u8]) -> Result<Outcome, CliError> {
    let found = opening.where_is(value).map_err(|e| CliError::new("the redactions could not all be looked at").because(e))?;
    let screen = screen(global);
    for (path, field) in &found {
        screen.text(&format!("the value is {} of {}", tame(&field.at, 300), path.as_str()));
    }
    if found.is_empty() {
        screen.text("the value is none of those that are redacted in this bundle");
    }
    let places = found.into_iter().map(|(path, field)| ProvenAt { path, at: field.at, rule: field.rule }).collect::<Vec<_>>();
    let outcome = if places.is_empty() { Outcome::Failed } else { Outcome::Complete };
    screen.document(&Proven { v: 1, bundle: stated.bundle.clone(), places });
    Ok(outcome)
}

fn write(global: &Global, opening: &Opening<'_>, wanted: &[&Redaction], stated: &Predicate, to: PathBuf) -> Result<Outcome, CliError> {
    let failed = |what: &str| format!("cannot write {what} below {}", to.display());
    disk::make_dirs(&to).map_err(|e| CliError::new(failed("the directory")).because(e))?;
    let screen = screen(global);
    let (mut files, mut outcome) = (vec![], Outcome::Complete);
    for redaction in wanted {
        let name = original_name(&redaction.twin.path);
        let path = BundlePath::parse(name).map_err(|e| CliError::new("the bundle names a file that cannot be").because(e))?;
        let at = path.under(&to);
        let created = disk::make_dirs(at.parent().unwrap_or(&to)).and_then(|()| disk::create_new(&at));
        let file = created.map_err(|e| CliError::new(failed(name)).because(e))?;
        let mut out = BufWriter::new(file);
        let opened = opening.open(redaction, &mut out).map_err(|e| CliError::new(format!("cannot open {name}")).because(e))?;
        let kept = out.into_inner().map_err(IntoInnerError::into_error).and_then(|file| file.sync_all());
        kept.map_err(|e| CliError::new(failed(name)).because(e))?;
        let agrees =
            opening.twin_agrees(redaction).map_err(|e| CliError::new(format!("cannot compare {name} with its twin")).because(e))?;
        let good = opened.is_the_original && agrees;
        let said = match (opened.is_the_original, agrees) {
            (true, true) => "agrees with its redacted twin",
            (true, false) => "IS NOT WHAT ITS TWIN SHOWS",
            (false, _) => "IS NOT WHAT THE BUNDLE STATES",
        };
        screen.text(&format!("{name}  {} bytes  sha256 {}  {said}", opened.bytes, opened.sha256));
        if !good {
            outcome = Outcome::VerificationFailed;
        }
        files.push(UnsealedFile {
            path,
            bytes: opened.bytes,
            sha256: opened.sha256,
            is_the_original: opened.is_the_original,
            agrees_with_twin: agrees,
        });
    }
    screen.remark(&format!("{} originals lie in clear in {}: guard them, and delete them when you are done", files.len(), to.display()));
    screen.document(&Unsealed { v: 1, bundle: stated.bundle.clone(), to, files });
    Ok(outcome)
}
