//! The one integration binary: each further one would cost a link of the whole SDK. A file or folder below `tests/it/` is a module here, with
//! one sentence; the guard at the end fails when one is forgotten. `tests/README.md` says which to look at for what you changed.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "tests make files and print as they like; clippy.toml is about the program"
)]

/// Bundles in a bucket with Object Lock: put, locked, read back, resumed, refused; checked and listed there.
mod archive;
/// Measurements, run by name: `tests/bench/`.
#[path = "../bench/mod.rs"]
mod bench;
/// Bundles: good ones, and one broken for each finding.
mod bundle;
/// What a person or a script sees of the built program: transcripts, `--json`, help.
mod cli;
/// Every collector against a scripted wire.
mod collect;
/// The actions and the saga, against a small AWS in memory and a saga of fakes.
mod contain;
/// Documentation that cannot lie: generated tables, and paths that exist.
mod docs;
/// The whole program against a local AWS: the story, kills, gaps, interrupts, containment, secrets.
mod drill;
/// A whole run over the scripted wire: operator's words, functions that are gone, what a bundle can decide.
mod engine;
/// A file uses its own module and lower floors.
mod floors;
/// What stands before containment: each rule refused and lifted, halt, breaker, rate, and how few steps it may cost.
mod guard;
/// The automatic face: deliveries, leases, refusals, keeping; with a fake in the engine's place.
mod handler;
/// Strangers' events: what is understood, what is left alone, what is kept unread.
mod intake;
/// Every dependency's licence is on the list.
mod licences;
/// A snapshot of a second emulator, run by name.
mod localemu;
/// A 200 MB code package passes through in 80 MB of memory.
mod memory;
/// Intention: the dry run, and exactly the permissions that it needs.
mod plan;
/// The language: what is accepted, and in which words the rest is refused.
mod playbook;
/// Every unit says what it is for, and declares only calls that exist.
mod registry;
/// The committed schemas are what the types say.
mod schemas;
/// A run that signs what it seals, and what it does when a key refuses.
mod sealing;
mod secrets;
/// What other people's programs say of one main job on the emulator: unzip, sha256sum, bagit.py, boto3, the AWS CLI, VERIFY.txt.
mod stock;
/// What several of these need: the scripted wire, fake cells, other people's tools.
mod support;
/// `watch` over the scripted wire: what holds, what does not, what cannot be told, and what is recorded of it.
mod watch;
/// Tape, fence and fetch against real sockets.
mod wire_live;

/// No file below `tests/it/` is left out of this binary.
#[test]
fn no_test_file_is_forgotten() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = std::fs::read_to_string(dir.join("main.rs")).unwrap();
    let mut folders = vec![(dir, main)];
    while let Some((dir, declared)) = folders.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_string();
            let rust = path.extension().is_some_and(|e| e == "rs");
            if path.is_dir() && path.join("mod.rs").exists() {
                folders.push((path.clone(), std::fs::read_to_string(path.join("mod.rs")).unwrap()));
            } else if !rust || stem == "main" || stem == "mod" {
                continue;
            }
            let named = |line: &str| line.trim().trim_start_matches("pub ").trim_start_matches("pub(crate) ") == format!("mod {stem};");
            assert!(declared.lines().any(named), "{} is no module of the integration binary", path.display());
        }
    }
}
