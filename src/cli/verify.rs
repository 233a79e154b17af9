//! `verify`: every check, every finding, a verdict.

use super::archive;
use super::args::{Global, VerifyArgs};
use super::error::CliError;
use super::render::Screen;
use super::session::{Session, screen};
use crate::aws::fault::tame;
use crate::bundle::keys::PublicKey;
use crate::bundle::verify::{DemandedKey, Level, Verdict, Verification, verify_with as check};
use crate::model::digest::Sha256;
use crate::model::outcome::Outcome;
use owo_colors::OwoColorize as _;
use std::path::Path;

pub async fn verify(global: &Global, args: VerifyArgs) -> Result<Outcome, CliError> {
    let keys = args.key.iter().map(|k| demanded(k)).collect::<Result<Vec<_>, _>>()?;
    let verification = match archive::place(&args.bundle)? {
        Some(place) => {
            let session = Session::connect(global).await?;
            let bucket = archive::bucket(&session, &place, &args.bucket);
            crate::archive::verify(&bucket, &place, keys).await.map_err(|e| archive::unread(e, &place))?
        }
        None => local(&args, &keys)?,
    };
    let screen = screen(global);
    screen.document(&verification);
    show(screen, &verification);
    Ok(verification.outcome())
}

fn local(args: &VerifyArgs, keys: &[DemandedKey]) -> Result<Verification, CliError> {
    check(&args.bundle, keys).map_err(|e| {
        let (hint, outcome) = (e.hint(), e.outcome());
        CliError::new(format!("cannot verify {}", args.bundle.display())).because(e).hint(hint).outcome(outcome)
    })
}

/// A fingerprint, or a file that holds a public key.
fn demanded(text: &str) -> Result<DemandedKey, CliError> {
    if let Some(fingerprint) = Sha256::from_hex(text.strip_prefix("SHA256:").unwrap_or(text)) {
        return Ok(DemandedKey::Fingerprint(fingerprint));
    }
    let read = PublicKey::read(Path::new(text)).map(DemandedKey::Key);
    read.map_err(|e| {
        super::key::cannot(format!("cannot tell which key is demanded by {}", tame(text, 200)), e)
            .hint("a fingerprint has 64 hexadecimal digits: freezeframe key show")
            .outcome(Outcome::Usage)
    })
}

pub fn show(screen: Screen, v: &Verification) {
    for check in &v.checks {
        let mark = match (check.errors, check.warnings) {
            (0, 0) => "ok  ".green().to_string(),
            (0, _) => "warn".yellow().to_string(),
            _ => "FAIL".red().bold().to_string(),
        };
        screen.text(&format!("{mark} {:16} {}", check.id, check.title));
    }
    for finding in &v.findings {
        let level = match finding.level {
            Level::Error => "error".red().bold().to_string(),
            Level::Warn => "warning".yellow().to_string(),
            Level::Info => "note".cyan().to_string(),
        };
        let path = finding.path.as_deref().map(|p| format!(" {p}:")).unwrap_or_default();
        screen.text(&format!("{level} [{}]{path} {}", finding.check, finding.message));
        if !finding.remedy.is_empty() {
            screen.text(&format!("      {}", finding.remedy));
        }
    }
    let c = &v.counts;
    screen.text(&format!(
        "{} files, {} bytes, {} items, {} gaps, {} exchanges, {} journal lines",
        c.files, c.bytes, c.items, c.gaps, c.exchanges, c.journal_lines
    ));
    if let Some(root) = v.root {
        screen.text(&format!("root {root}"));
    }
    let sentence = v.verdict.sentence();
    screen.text(&match v.verdict {
        Verdict::Whole => sentence.green().bold().to_string(),
        Verdict::Unfinished => sentence.yellow().bold().to_string(),
        Verdict::Broken => sentence.red().bold().to_string(),
    });
}
