//! The on-call command line. Everything is in the library: see `freezeframe::cli`.

fn main() -> std::process::ExitCode {
    freezeframe::cli::main()
}
