//! `disclose`: a copy of a bundle for whoever may not have the secrets.

use super::args::{DiscloseArgs, Global};
use super::documents::DisclosedCopy;
use super::error::CliError;
use super::keeping;
use super::session::{Session, run_id, screen};
use crate::bundle::addenda::{About, AddendumKind};
use crate::bundle::disclose::{self, DiscloseError, Discloser, DisclosureRecord};
use crate::bundle::tool;
use crate::bundle::verify::{Verdict, verify};
use crate::clock::{Clock as _, SystemClock, stamp};
use crate::model::journal_event::JournalEvent;
use crate::model::outcome::Outcome;
use std::sync::Arc;

pub async fn disclose(global: &Global, args: DiscloseArgs) -> Result<Outcome, CliError> {
    let kept = keeping::open(&args.bundle, args.case_dir.as_deref())?;
    if kept.verification.verdict != Verdict::Whole {
        return Err(CliError::new("the bundle is unfinished; nothing was done")
            .hint("take the snapshot again")
            .outcome(Outcome::VerificationFailed));
    }
    let root = kept.verification.root.ok_or_else(|| CliError::new("the bundle has no root digest").outcome(Outcome::VerificationFailed))?;
    // Only a KMS key or an authority needs a connection.
    let local = args.seal.kms.kms_key.is_none() && args.seal.tsa.is_none();
    let (sealing, who) = match local {
        true => (Arc::new(Session::local_sealing(&args.seal)?), keeping::local_user()),
        false => {
            let session = Session::connect(global).await?;
            (session.sealing(&args.seal).await?, session.identity().await?)
        }
    };
    let clock = SystemClock::new();
    let by = Discloser { operator: who.clone(), tool: tool::record(), to_be: sealing.to_be() };
    let failed = |e: DiscloseError| {
        let usage = matches!(e, DiscloseError::IsCopy);
        let error = CliError::new("the copy could not be made").because(e);
        if usage { error.outcome(Outcome::Usage) } else { error }
    };
    let closed = disclose::disclose(&kept.bag, root, &args.to, by, &clock).map_err(failed)?;
    let event = JournalEvent::Disclosed {
        run: run_id(&clock),
        bundle: kept.verification.bundle.clone(),
        root,
        copy: closed.name().to_string(),
        copy_root: closed.root(),
    };
    // Written down before it is sealed: until then it is no bundle, and nobody would hand it out.
    let record = DisclosureRecord { v: 1, at: stamp(clock.now()), copy: closed.name().to_string(), copy_root: closed.root() };
    let about = About { case: closed.case().clone(), bundle: kept.verification.bundle.clone(), root, operator: who };
    let not_signed = match kept.write_down(&about, (AddendumKind::Disclosure, &record), event, sealing.signers()).await {
        Ok(missing) => missing,
        Err(e) => {
            let dir = args.to.join(closed.name());
            return Err(match closed.discard() {
                Ok(()) => e,
                Err(left) => e.hint(format!("{left}: what lies there is unsealed, and nothing tells of it; remove {}", dir.display())),
            });
        }
    };
    let unsealed = |e| CliError::new("the copy could not be sealed").because(e);
    let outcome = sealing.finish(closed, &clock).await.map_err(unsealed)?;
    let zip = outcome.sealed.zip().map_err(unsealed)?;
    let read_back = verify(&zip).map_err(|e| CliError::new("the copy cannot be read").because(e))?;
    if read_back.verdict != Verdict::Whole {
        return Err(
            CliError::new(format!("the copy {} does not verify; do not hand it out", zip.display())).outcome(Outcome::VerificationFailed)
        );
    }
    let mut missing = outcome.missing.clone();
    missing.extend(not_signed);
    outcome.sealed.discard_dir().map_err(unsealed)?;
    let screen = screen(global);
    screen.text(&format!("{}  root {}", zip.display(), outcome.sealed.root()));
    screen.remark(&format!("a copy of {}, root {root}, without its sealed originals; it verifies by itself", kept.verification.bundle));
    for missing in &missing {
        screen.remark(&format!("warning: {missing}"));
    }
    screen.document(&DisclosedCopy {
        v: 1,
        bundle: outcome.sealed.name().to_string(),
        path: zip,
        root: outcome.sealed.root(),
        source: kept.verification.bundle.clone(),
        source_root: root,
        signed_by: outcome.signed_by.clone(),
        notes: missing.clone(),
    });
    Ok(if missing.is_empty() { Outcome::Complete } else { Outcome::Gaps })
}
