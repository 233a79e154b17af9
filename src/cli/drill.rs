//! `drill`: practise on a local emulator.

use super::args::{DrillArgs, Global};
use super::documents::Drilled;
use super::error::CliError;
use super::session::screen;
use crate::clock::SystemClock;
use crate::drill::emulator::kept::{self, Stopped};
use crate::drill::story::{self, DrillError, Options};
use crate::model::outcome::Outcome;
use std::path::PathBuf;
use std::sync::Arc;

/// Where emulator and practice cases lie: below cargo's target directory when run by cargo, else below the working directory.
fn root() -> PathBuf {
    match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(dir) => PathBuf::from(dir).join("target").join("drill"),
        None => PathBuf::from("freezeframe-drill"),
    }
}

pub async fn drill(global: &Global, args: DrillArgs) -> Result<Outcome, CliError> {
    let screen = screen(global);
    let root = root();
    let kept_error = |e| CliError::new("the emulator that was kept could not be stopped").because(e);
    let stopped = kept::stop(&root).await.map_err(kept_error)?;
    if args.stop {
        let told = match stopped {
            Stopped::NoneKept => "no emulator had been kept",
            Stopped::Ended => "the emulator that was kept has ended",
            Stopped::WasGone => "the emulator that was kept had ended before",
        };
        screen.text(told);
        screen.document(&Drilled { v: 1, stopped: Some(told), checks: 0, failures: vec![], bundles: vec![] });
        return Ok(Outcome::Complete);
    }
    let program = std::env::current_exe().map_err(|e| CliError::new("cannot find the program that is running").because(e))?;
    let options = Options { root: &root, program: &program, keep: args.keep, say: &|line| screen.text(line) };
    let told = story::play(options, Arc::new(SystemClock::new())).await.map_err(face)?;
    screen.document(&Drilled { v: 1, stopped: None, checks: told.checks, failures: told.failures.clone(), bundles: told.bundles.clone() });
    if let Some(bundle) = told.bundles.first() {
        screen.text(&format!("\nthe evidence:     {}", bundle.display()));
        screen.text("check without us: unzip it and paste the commands of meta/VERIFY.txt");
    }
    if let Some(kept) = &told.kept {
        screen.text(&format!("\nemulator and function are running at {}. In another terminal:\n", kept.endpoint));
        for line in &kept.exports {
            screen.text(&format!("  {line}"));
        }
        screen.text(&format!("\n  freezeframe snapshot payments-export --case {}\n  freezeframe contain payments-export --case {}\n  aws lambda get-function-concurrency --function-name payments-export\n  freezeframe restore {}\n  freezeframe drill --stop", kept.case, kept.case, kept.case));
    }
    if told.failures.is_empty() {
        return Ok(Outcome::Complete);
    }
    // Said here and not returned: stdout has its one document already.
    let error = CliError::new(format!("{} of {} claims were not seen to hold", told.failures.len(), told.checks)).more(told.failures);
    screen.error(&error);
    Ok(error.outcome)
}

fn face(error: DrillError) -> CliError {
    let hints = match &error {
        DrillError::Emulator(e) => e.hints(),
        _ => vec![],
    };
    let mut face = CliError::new("the drill could not be played to its end").because(error);
    face.hints.extend(hints);
    face
}
