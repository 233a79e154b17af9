//! `list`: what lies where cases are kept.

use super::archive;
use super::args::{Global, ListArgs};
use super::error::CliError;
use super::session::{Session, screen};
use crate::aws::fault::tame;
use crate::clock::{Clock, SystemClock};
use crate::engine::listing::{ListedBundle, Listing, Standing, list as read};
use crate::model::outcome::Outcome;
use crate::store::Store;
use crate::store::dir::DirStore;
use crate::store::s3::S3Store;
use owo_colors::OwoColorize as _;
use std::sync::Arc;

pub async fn list(global: &Global, args: ListArgs) -> Result<Outcome, CliError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let failed = |e| CliError::new(format!("cannot list {}", args.place.display())).because(e);
    let listing = match archive::place(&args.place)? {
        Some(place) => {
            let session = Session::connect(global).await?;
            archive::bucket(&session, &place, &args.bucket).reach().await.map_err(|e| archive::unread(e.into(), &place))?;
            let region = args.bucket.bucket_region.as_deref();
            let there = region.map_or_else(|| session.connector.clone(), |region| session.connector.in_region(region));
            let store: Arc<dyn Store> =
                Arc::new(S3Store::new(there.s3_plain(), clock.clone(), &place.bucket, place.prefix()).map_err(failed)?);
            read(store, None, clock).await.map_err(failed)?
        }
        None if !args.place.is_dir() => {
            return Err(CliError::new(format!("there is no directory {}", args.place.display()))
                .hint("give the directory that holds the cases, or s3://bucket/prefix")
                .outcome(Outcome::Usage));
        }
        None => {
            let store: Arc<dyn Store> = Arc::new(DirStore::open(&args.place).map_err(failed)?);
            read(store, Some(&args.place), clock).await.map_err(failed)?
        }
    };
    let screen = screen(global);
    screen.document(&listing);
    for line in lines(&listing) {
        screen.text(&line);
    }
    Ok(Outcome::Complete)
}

fn lines(listing: &Listing) -> Vec<String> {
    let mut out = vec![];
    for case in &listing.cases {
        let standing = match case.standing {
            Standing::Contained => format!("CONTAINED ({} cells held)", case.held.len()).red().bold().to_string(),
            other => other.as_str().to_string(),
        };
        out.push(format!("{} {standing}", case.case.bold()));
        out.extend(case.bundles.iter().map(bundle));
        out.extend(case.held.iter().map(|cell| format!("    holds {cell}")));
        out.extend(case.unread.iter().map(|what| format!("    not read: {what}")));
    }
    if out.is_empty() {
        out.push(format!("no cases in {}", listing.place));
    }
    out
}

fn bundle(b: &ListedBundle) -> String {
    let gaps = match b.gaps {
        Some(0) => "no gaps".to_string(),
        Some(n) => format!("{n} GAPS"),
        None => "gaps unknown".to_string(),
    };
    let kind = b.kind.map_or("", |k| match k {
        crate::bundle::documents::BundleKind::Acquisition => "evidence",
        crate::bundle::documents::BundleKind::Containment => "containment",
        crate::bundle::documents::BundleKind::Restore => "restore",
        crate::bundle::documents::BundleKind::Disclosure => "disclosure",
    });
    let short = b.shortfalls.filter(|n| *n > 0).map(|n| format!("; {n} THINGS NOT AS ASKED")).unwrap_or_default();
    let to: String = b.archived_to.iter().map(|to| format!("\n      archived at {}", tame(to, 400))).collect();
    format!("  {:10} {kind:11} {gaps:14} {}{}{short}{to}", b.state.as_str(), tame(&b.name, 240), if b.zip { ".zip" } else { "" })
}
