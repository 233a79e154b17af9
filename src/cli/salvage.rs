//! `salvage`: what a run that died had carried to S3 is sealed there, by whoever calls this.

use super::archive;
use super::args::{Global, SalvageArgs};
use super::error::CliError;
use super::session::{self, Session};
use crate::archive::{Place, Vault};
use crate::engine::preflight;
use crate::engine::salvage::{SalvageError, SalvageOrder, salvage as seal_it};
use crate::model::id::CaseId;
use crate::model::outcome::Outcome;
use owo_colors::OwoColorize as _;

pub async fn salvage(global: &Global, args: SalvageArgs) -> Result<Outcome, CliError> {
    let screen = session::screen(global);
    let (to, case) = of(&args.from)?;
    let session = Session::connect(global).await?;
    let sealing = session.sealing(&args.seal).await?;
    let identity = preflight::identify(&session.connector).await.map_err(session::connection)?;
    let vault = Vault {
        bucket: archive::bucket(&session, &args.from, &args.vault.bucket),
        to,
        asked: archive::asked(&args.vault, &*session.clock)?,
        accepted: archive::accepted(&args.vault),
    };
    let order = SalvageOrder {
        place: args.from.clone(),
        case_dir: args.cases.join(case.as_str()),
        case,
        run: session.run.clone(),
        operator: identity.arn,
        is_dead: args.run_is_dead,
    };
    let salvaged = seal_it(&order, &vault, &sealing, &session.clock, &screen.progress()).await.map_err(face)?;
    screen.document(&salvaged);
    for note in &salvaged.notes {
        screen.text(&format!("{} {note}", "NOT AS ASKED".red().bold()));
    }
    screen.text(&salvaged.headline.bold().to_string());
    screen.text(&format!("  {}", salvaged.path.display()));
    archive::show(screen, &salvaged.archive);
    Ok(salvaged.outcome)
}

/// The vault that a bundle's place lies in, and the case.
fn of(bundle: &Place) -> Result<(Place, CaseId), CliError> {
    let mut folders: Vec<&str> = bundle.prefix().split('/').collect();
    let (_, case) = (folders.pop(), folders.pop().and_then(|case| case.parse().ok()));
    let to = Place::parse(&format!("s3://{}/{}", bundle.bucket, folders.join("/")));
    to.zip(case).ok_or_else(|| {
        CliError::new(format!("{bundle} is not the place of a bundle"))
            .hint("s3://bucket/prefix/case/bundle; `freezeframe list s3://bucket/prefix` says what is there")
            .outcome(Outcome::Usage)
    })
}

fn face(error: SalvageError) -> CliError {
    let (hints, outcome) = (error.hints(), error.outcome());
    let mut face = CliError::new("the bundle was not salvaged").because(error).outcome(outcome);
    face.hints.extend(hints);
    face
}
