//! Floor 7, the on-call face: parse, one call into the engine, one rendering. Each command is a file; `render` is the only place that
//! prints; exit codes come from `model::outcome`.

mod approve;
mod archive;
pub mod args;
mod contain;
mod control;
mod custody;
mod disclose;
mod documents;
mod error;
mod explain;
mod fetch;
mod guard;
mod keeping;
mod key;
mod list;
mod pinned;
mod plan;
mod playbook;
pub mod render;
mod restore;
mod run;
mod salvage;
pub mod schemas;
mod session;
mod show;
mod siblings;
mod summary;
mod unseal;
mod verify;
mod watch;

pub use error::CliError;

use crate::model::outcome::Outcome;
use args::{Cli, Command};
use clap::{CommandFactory as _, Parser as _};
use documents::ErrorDocument;
use render::Screen;
use std::process::ExitCode;

/// Parse the process's arguments and do what they say.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // clap prints help and version to stdout, errors to stderr.
            let _ = e.print();
            if !e.use_stderr() {
                return ExitCode::SUCCESS;
            }
            if std::env::args_os().any(|a| a == "--json") {
                Screen { json: true, quiet: false }.document(&ErrorDocument::of(&misunderstood(&e)));
            }
            return ExitCode::from(Outcome::Usage.exit_code());
        }
    };
    let screen = session::screen(&cli.global);
    init_tracing(cli.global.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            let error = CliError::new("could not start the asynchronous runtime").because(e);
            return failed(screen, &error);
        }
    };
    match runtime.block_on(dispatch(cli)) {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(error) => failed(screen, &error),
    }
}

fn failed(screen: Screen, error: &CliError) -> ExitCode {
    screen.error(error);
    screen.document(&ErrorDocument::of(error));
    ExitCode::from(error.outcome.exit_code())
}

/// clap's complaint in the form of our own, for `--json`. Its first paragraph is the error; the rest is usage.
fn misunderstood(error: &clap::Error) -> CliError {
    let text = error.to_string();
    let said = text.split("\n\n").next().unwrap_or_default();
    let said = if said.starts_with("error: ") { said.trim_start_matches("error: ") } else { "a command is missing" };
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    CliError::new(format!("the command line was not understood: {said}")).hint("try --help").outcome(Outcome::Usage)
}

async fn dispatch(cli: Cli) -> Result<Outcome, CliError> {
    let global = &cli.global;
    match cli.command {
        Command::Snapshot(args) => run::snapshot(global, args).await,
        Command::Run(args) => run::run(global, args).await,
        Command::Plan(args) => plan::plan(global, args).await,
        Command::Approve(args) => approve::approve(global, args).await,
        Command::Verify(args) => verify::verify(global, args).await,
        Command::Archive(args) => archive::archive(global, args).await,
        Command::Salvage(args) => salvage::salvage(global, args).await,
        Command::Fetch(args) => fetch::fetch(global, args).await,
        Command::List(args) => list::list(global, args).await,
        Command::Show(args) => show::show(global, args),
        Command::Custody(args) => custody::custody(global, args).await,
        Command::Unseal(args) => unseal::unseal(global, args).await,
        Command::Disclose(args) => disclose::disclose(global, args).await,
        Command::Key(command) => key::key(global, command).await,
        Command::Contain(args) => contain::contain(global, args).await,
        Command::Restore(args) => restore::restore(global, args).await,
        Command::Watch(args) => watch::watch(global, args).await,
        Command::Halt(args) => control::halt(global, args).await,
        Command::Resume(args) => control::resume(global, args).await,
        Command::Guard(command) => guard::guard(global, command),
        Command::Playbook(command) => playbook::playbook(global, command),
        Command::Explain(args) => explain::explain(global, args),
        #[cfg(feature = "drill")]
        Command::Drill(args) => drill::drill(global, args).await,
        Command::Completions { shell } => {
            let mut text = vec![];
            clap_complete::generate(shell, &mut Cli::command(), "freezeframe", &mut text);
            let _ = session::screen(global).bytes(text.as_slice());
            Ok(Outcome::Complete)
        }
    }
}

#[cfg(feature = "drill")]
mod drill;

fn init_tracing(verbose: bool) {
    use tracing_subscriber::EnvFilter;
    // The SDK logs requests at debug and trace; our own default stays far above that, because bodies hold secrets.
    let default = if verbose { "freezeframe=debug,warn" } else { "error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
