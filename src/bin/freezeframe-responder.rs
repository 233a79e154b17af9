//! The Lambda function: in its zip this file's binary is called `bootstrap`. Everything is in `freezeframe::handler`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match freezeframe::handler::serve::run().await {
        Ok(()) => ExitCode::SUCCESS,
        // Said in the log already.
        Err(_) => ExitCode::FAILURE,
    }
}
