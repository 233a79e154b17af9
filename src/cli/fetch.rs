//! `fetch`: an archived bundle to a disk, checked on the way.

use super::args::{FetchArgs, Global};
use super::error::CliError;
use super::session::{Session, screen};
use super::{archive, verify};
use crate::archive::{FetchError, fetch as get};
use crate::model::outcome::Outcome;

pub async fn fetch(global: &Global, args: FetchArgs) -> Result<Outcome, CliError> {
    let session = Session::connect(global).await?;
    let bucket = archive::bucket(&session, &args.from, &args.bucket);
    let fetched = get(&bucket, &args.from, &args.to).await.map_err(|e| match e {
        FetchError::Remote(e) => archive::unread(e, &args.from),
        there @ FetchError::There { .. } => CliError::new("nothing was fetched")
            .because(there)
            .hint("nothing is overwritten: name another directory with --to")
            .outcome(Outcome::Usage),
        failed => CliError::new(format!("cannot fetch {}", args.from)).because(failed),
    })?;
    let screen = screen(global);
    screen.document(&fetched);
    verify::show(screen, &fetched.verification);
    screen.text(&format!("  {}", fetched.path.display()));
    Ok(fetched.verification.outcome())
}
