//! `explain`: what the responder would do with an event, without asking AWS.

use super::args::{ExplainArgs, Global};
use super::error::CliError;
use super::session::screen;
use crate::handler::explain;
use crate::model::outcome::Outcome;
use std::io::Read as _;

pub fn explain(global: &Global, args: ExplainArgs) -> Result<Outcome, CliError> {
    let mut bytes = vec![];
    let limit = crate::intake::MAX_EVENT as u64 + 1;
    let read = if args.event.as_os_str() == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(&args.event).and_then(|f| f.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|e| CliError::new(format!("cannot read the event {}", args.event.display())).because(e).outcome(Outcome::Usage))?;
    let explanation = explain::explain(&bytes);
    let screen = screen(global);
    screen.document(&explanation);
    for line in explanation.lines() {
        screen.text(&line);
    }
    Ok(Outcome::Complete)
}
