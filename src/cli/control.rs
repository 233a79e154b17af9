//! `halt` and `resume`: somebody's word that nothing more is contained, and its end. And where such words lie: the store beside the cases.

use super::args::{ControlArgs, Global, HaltArgs, ResumeArgs};
use super::documents::ControlDocument;
use super::error::CliError;
use super::session::{self, Session};
use crate::aws::fault::tame;
use crate::clock::{Clock, SystemClock};
use crate::engine::control::{BY_HAND, Brake, Control, ControlError, Stop};
use crate::engine::preflight;
use crate::model::outcome::Outcome;
use crate::model::s3_place::S3Place;
use crate::store::Store;
use crate::store::dir::DirStore;
use crate::store::s3::S3Store;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was said with `--control`, or the directory of the cases.
pub enum Place {
    Dir(PathBuf),
    S3(S3Place),
}

impl ControlArgs {
    pub fn place(&self, cases: &Path) -> Result<Place, CliError> {
        let Some(text) = &self.control else {
            let cases = if cases.as_os_str().is_empty() { Path::new(".") } else { cases };
            return Ok(Place::Dir(cases.to_path_buf()));
        };
        if !text.contains(':') && !text.is_empty() {
            return Ok(Place::Dir(text.into()));
        }
        S3Place::parse(text).map(Place::S3).ok_or_else(|| {
            CliError::new(format!("`{}` is no place for controls", tame(text, 200)))
                .hint("s3://bucket/prefix, or a directory")
                .outcome(Outcome::Usage)
        })
    }
}

fn directory(dir: &Path) -> Result<Arc<dyn Store>, CliError> {
    let store = DirStore::open(dir).map_err(|e| CliError::new(format!("cannot use the directory {}", dir.display())).because(e))?;
    Ok(Arc::new(store))
}

impl Session {
    /// Where halt, breaker, rate and spent approvals lie.
    pub fn control(&self, args: &ControlArgs, cases: &Path) -> Result<Arc<dyn Store>, CliError> {
        match args.place(cases)? {
            Place::Dir(dir) => directory(&dir),
            Place::S3(place) => {
                let there = args.control_region.as_deref().map_or_else(|| self.connector.clone(), |r| self.connector.in_region(r));
                let store = S3Store::new(there.s3_plain(), self.clock.clone(), &place.bucket, &place.prefix)
                    .map_err(|e| CliError::new(format!("cannot use {place}")).because(e).outcome(Outcome::Usage))?;
                Ok(Arc::new(store))
            }
        }
    }
}

/// The store, and who speaks: AWS says it where AWS is asked anyway; on a disk it is the machine's user.
async fn open(global: &Global, args: &ControlArgs, cases: &Path) -> Result<(Control, String), CliError> {
    if let Place::Dir(dir) = args.place(cases)? {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|v| std::env::var(v).ok().filter(|v| !v.is_empty()));
        return Ok((Control::new(directory(&dir)?, clock), user.map_or_else(|| "somebody at this machine".into(), |u| tame(&u, 100))));
    }
    let session = Session::connect(global).await?;
    let control = Control::new(session.control(args, cases)?, session.clock.clone());
    let identity = preflight::identify(&session.connector).await.map_err(session::connection)?;
    Ok((control, identity.arn))
}

fn failed(e: ControlError) -> CliError {
    CliError::new("could not reach the controls").because(e).hint("--control names the store: s3://bucket/prefix, or a directory")
}

fn told(stop: &Stop) -> String {
    format!("  {} · {} · {} ({})", stop.at, stop.by, stop.why, stop.key)
}

pub async fn halt(global: &Global, args: HaltArgs) -> Result<Outcome, CliError> {
    let screen = session::screen(global);
    let (control, by) = open(global, &args.control, &args.cases).await?;
    let key = control.stop(Brake::Halt, &by, &args.why).await.map_err(failed)?;
    let standing = control.standing().await.map_err(failed)?;
    screen.text(&format!("halted ({key}): whoever reads {} contains nothing from now on", control.describe()));
    for stop in &standing.halts {
        screen.text(&told(stop));
    }
    screen.remark("restoring stays possible; the end of it: freezeframe resume --why …");
    screen.document(&ControlDocument::of(&control, standing, vec![]));
    Ok(Outcome::Complete)
}

pub async fn resume(global: &Global, args: ResumeArgs) -> Result<Outcome, CliError> {
    let screen = session::screen(global);
    let (control, by) = open(global, &args.control, &args.cases).await?;
    let brake = if args.breaker { Brake::Breaker } else { Brake::Halt };
    let lifted = control.lift(brake, &by, &args.why).await.map_err(failed)?;
    let standing = control.standing().await.map_err(failed)?;
    for stop in &lifted {
        screen.text(&format!("lifted:{}", told(stop)));
    }
    if lifted.is_empty() {
        screen.text(&format!("there was no {} to lift in {}", brake.as_str(), control.describe()));
    }
    if !args.breaker && !standing.breakers.is_empty() {
        screen.remark("the breaker stands open all the same; once somebody has looked: freezeframe resume --breaker --why …");
    }
    let by_hand = standing.halts.iter().find(|s| s.key == BY_HAND).filter(|_| !args.breaker).cloned();
    if let Some(stop) = by_hand {
        return Err(CliError::new(format!("{}/{BY_HAND} was put there by hand: {}", control.describe(), stop.why))
            .hint("freezeframe deletes nothing in a store; whoever put it there deletes it")
            .outcome(Outcome::Refused));
    }
    screen.document(&ControlDocument::of(&control, standing, lifted));
    Ok(Outcome::Complete)
}
