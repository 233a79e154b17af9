//! Every finding that `verify` has words for is provoked by one of the hand-made bundles. Which there are is read out of its source: each
//! sentence in it must have been said, as a message or a remedy, or stand in `UNSAID` with the reason. A new finding without a bundle fails here.

use super::fixtures;
use crate::support::tools::repository;
use freezeframe::bundle::verify::{CHECKS, Level, verify_with};
use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt::Write as _;

/// Files whose words are no findings of a bundle that lies here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("addenda.rs", "what lies beside a bundle: each way to spoil it stands in tests/it/archive/addenda.rs"),
    ("stored.rs", "what S3 says of an archived bundle: provoked in tests/it/archive"),
    ("verified.rs", "a verification that is not enough to contain on: an error, and no finding"),
    ("verification.rs", "the sentences of the verdicts"),
];

const SOURCES: &[&str] =
    &["src/bundle/verify", "src/bundle/zip_reader", "src/bundle/zip_reader.rs", "src/bundle/source.rs", "src/bundle/timestamp.rs"];

/// Sentences that no bundle here can bring about, and why.
const UNSAID: &[(&str, &str)] = &[
    ("the bundle has no file", "asked for by `show`, not by `verify`"),
    ("bytes that are read of such a file", "asked for by `show`, not by `verify`"),
    ("cannot list", "a directory that may not be listed: the tests may be run by root"),
    ("the rest was not read", "more than 200,000 files: 50 MB of fixture to say one sentence"),
    ("it is longer than any twin", "a twin of more than 64 MiB"),
    ("it is no longer the plain file", "somebody replaces a file while it is read"),
    ("it grew while it was read", "somebody appends to a file while it is read"),
    ("cannot read the zip's", "the disk fails"),
    ("cannot write the request", "said when stamping"),
    ("eight octets at most", "a proof, said to nobody"),
    ("its time is none", "a time before 1970 or beyond the year 9999, which DER cannot say"),
];

/// The texts between double quotes, outside of comments and tests, as the program has them.
fn literals(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let mut all = vec![];
    let mut rest = code;
    while let Some(at) = rest.find(['"', '\'', '/']) {
        let (head, tail) = rest.split_at(at);
        if tail.starts_with("//") {
            rest = tail.find('\n').map_or("", |n| &tail[n..]);
        } else if let Some(text) = tail.strip_prefix('"') {
            let mut out = String::new();
            let mut chars = text.char_indices();
            let mut end = text.len();
            while let Some((n, c)) = chars.next() {
                match c {
                    '"' => {
                        end = n + 1;
                        break;
                    }
                    '\\' => match chars.next() {
                        Some((_, '\n')) => {
                            while chars.clone().next().is_some_and(|(_, c)| c.is_whitespace()) {
                                chars.next();
                            }
                        }
                        Some((_, c)) => out.push(c),
                        None => {}
                    },
                    c => out.push(c),
                }
            }
            if !head.ends_with('b') {
                all.push(out);
            }
            rest = &text[end..];
        } else {
            // A character: its quotes must not open a text.
            let quoted = ["'\"'", "'\\\\'", "'/'", "'\\''"].into_iter().find(|q| tail.starts_with(q));
            rest = &tail[quoted.map_or(1, str::len)..];
        }
    }
    all
}

/// The fixed words of a format string, in order.
fn words(literal: &str) -> Vec<String> {
    let (mut out, mut now, mut depth) = (vec![], String::new(), 0);
    for c in literal.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            c if depth == 0 => {
                now.push(c);
                continue;
            }
            _ => {}
        }
        out.push(std::mem::take(&mut now));
    }
    out.push(now);
    out.retain(|w| !w.is_empty());
    out
}

fn says(text: &str, words: &[String]) -> bool {
    let mut rest = text;
    words.iter().all(|w| match rest.find(w.as_str()) {
        Some(at) => {
            rest = &rest[at + w.len()..];
            true
        }
        None => false,
    })
}

#[test]
fn every_finding_has_a_bundle_a_level_and_a_remedy() {
    let (mut said, mut fired) = (BTreeSet::new(), BTreeSet::new());
    for check in CHECKS {
        said.insert(check.title().to_string());
    }
    for fixture in fixtures::all() {
        let at = tempfile::tempdir().unwrap();
        match verify_with(&fixture.write(at.path()), &fixture.keys) {
            Ok(v) => {
                for f in v.findings {
                    assert!(f.remedy.ends_with('.') && f.remedy.len() > 20, "{}: no remedy: {f:?}", fixture.name);
                    assert!(CHECKS.iter().any(|c| c.id() == f.check) && !f.message.is_empty(), "{}: {f:?}", fixture.name);
                    if f.level != Level::Info {
                        fired.insert(f.check);
                    }
                    said.insert(f.message);
                    said.insert(f.remedy);
                }
            }
            Err(e) => {
                let mut text = e.to_string();
                let mut cause = e.source();
                while let Some(c) = cause {
                    write!(text, ": {c}").unwrap();
                    cause = c.source();
                }
                said.insert(text);
                said.insert(e.hint().to_string());
            }
        }
    }
    for nowhere in ["/nowhere/at/all", "/dev/null"] {
        let e = verify_with(std::path::Path::new(nowhere), &[]).unwrap_err();
        said.insert(format!("{e}: {}", e.source().unwrap()));
        said.insert(e.hint().to_string());
    }
    let silent: Vec<&str> = CHECKS.iter().map(|c| c.id()).filter(|id| !fired.contains(id)).collect();
    assert!(silent.is_empty(), "no bundle makes these checks speak: {silent:?}");

    let mut files = vec![];
    for source in SOURCES {
        let at = repository(source);
        if at.is_dir() {
            files.extend(std::fs::read_dir(at).unwrap().map(|e| e.unwrap().path()));
        } else {
            files.push(at);
        }
    }
    files.sort();
    let (mut unsaid, mut excused, mut heard) = (vec![], BTreeSet::new(), 0);
    for file in files.iter().filter(|f| !ELSEWHERE.iter().any(|(name, _)| f.ends_with(name))) {
        for literal in literals(&std::fs::read_to_string(file).unwrap()) {
            let words = words(&literal);
            // A sentence, and no name of a file, a label, or a word between two values.
            if words.iter().map(String::len).sum::<usize>() < 14 || !literal.contains(' ') {
                continue;
            }
            if said.iter().any(|s| says(s, &words)) {
                heard += 1;
            } else if let Some((excuse, _)) = UNSAID.iter().find(|(u, _)| literal.contains(u)) {
                excused.insert(*excuse);
            } else {
                unsaid.push(format!("{}: {literal}", file.file_name().unwrap().to_string_lossy()));
            }
        }
    }
    println!("{heard} sentences were provoked, {} are excused", excused.len());
    assert!(unsaid.is_empty(), "no bundle provokes\n{}", unsaid.join("\n"));
    let stale: Vec<&str> = UNSAID.iter().map(|u| u.0).filter(|u| !excused.contains(u)).collect();
    assert!(stale.is_empty(), "said after all, or no longer there: {stale:?}");
}
