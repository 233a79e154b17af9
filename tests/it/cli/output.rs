//! Pipes that close, terminals without colour.

use super::Terminal;
use crate::bundle::bag::{Bag, Parts};
use std::io::Read as _;
use std::process::Stdio;

/// Reads so much of stdout, closes it, and says how the program ended.
fn head(terminal: &Terminal, args: &[&str], bytes: usize) -> (Option<i32>, String) {
    let mut child = terminal.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut buffer = vec![0; bytes];
    out.read_exact(&mut buffer).unwrap();
    drop(out);
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    (child.wait().unwrap().code(), complaint)
}

#[test]
fn a_closed_pipe_is_no_error() {
    let terminal = Terminal::new();
    let mut parts = Parts::good();
    // More than any pipe holds.
    parts.payload.insert("data/00-plan/trigger-event.json".into(), vec![b'x'; 1 << 20]);
    let bag: Bag = parts.seal();
    std::fs::write(terminal.path().join("good.zip"), bag.zip().bytes()).unwrap();
    assert_eq!(head(&terminal, &["show", "good.zip", "data/00-plan/trigger-event.json"], 10), (Some(0), String::new()));
    for args in [
        &["playbook", "show", "contain-first"][..],
        &["show", "good.zip"],
        &["completions", "bash"],
        &["verify", "good.zip"],
        &["--help"],
        &["playbook", "list", "--json"],
    ] {
        assert_eq!(head(&terminal, args, 1), (Some(0), String::new()), "{args:?}");
    }
}

#[test]
fn no_escape_codes_where_nobody_asked() {
    let told = |terminal: Terminal| {
        std::fs::write(terminal.path().join("good.zip"), Bag::good().zip().bytes()).unwrap();
        let mut all = vec![];
        for args in [
            &["verify", "good.zip"][..],
            &["verify", "nowhere.zip"],
            &["--help"],
            &["frobnicate"],
            &["playbook", "check", "nowhere.yaml"],
            &["restore", "IR-1"],
        ] {
            let output = terminal.run(args);
            all.extend([output.stdout, output.stderr].concat());
        }
        String::from_utf8(all).unwrap()
    };
    assert!(!told(Terminal::new()).contains('\u{1b}'), "stdout and stderr are pipes here");
    assert!(!told(Terminal::new().env("NO_COLOR", "1")).contains('\u{1b}'));
    assert!(!told(Terminal::new().env("TERM", "dumb")).contains('\u{1b}'));
    assert!(!told(Terminal::new().env("NO_COLOR", "1").env("CLICOLOR_FORCE", "")).contains('\u{1b}'));
    // The other way round, so that this test can fail: whoever forces colour gets it.
    assert!(told(Terminal::new().env("CLICOLOR_FORCE", "1")).contains("\u{1b}["));
}
