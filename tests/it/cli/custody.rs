//! `custody`, of bundles that were made by hand: what their journals tell, and where telling ends. (A whole case: `stock`.)

use super::Terminal;
use crate::bundle::bag::{Bag, NAME};
use crate::bundle::signed::signed;
use serde_json::Value;

fn told(bag: &Bag) -> (i32, Value, String) {
    let terminal = Terminal::new();
    let zip = format!("{NAME}.zip");
    std::fs::write(terminal.path().join(&zip), bag.zip().bytes()).unwrap();
    let output = terminal.run(&["custody", &zip, "--json"]);
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    (output.status.code().unwrap(), document, terminal.transcript(&["custody", &zip]))
}

#[test]
fn the_chain_is_told_and_what_is_put_together_is_counted() {
    let (code, d, text) = told(&signed(|_| {}));
    assert_eq!((code, d["verdict"].as_str(), d["signatures"].as_array().unwrap().len()), (0, Some("whole"), 2));
    let entries = d["chain"]["entries"].as_array().unwrap();
    let what: Vec<&str> = entries.iter().map(|e| e["what"].as_str().unwrap()).collect();
    assert_eq!(what.len(), 3, "{what:#?}");
    assert!(what[0].starts_with("opened the bundle for case IR-2026-0042 about arn:aws:lambda:"), "{}", what[0]);
    assert_eq!(what[1], "asked AWS 4 times and recorded 4 outcomes, 1 of them gaps");
    assert_eq!(what[2], "sealed the bundle: 4 items, 1 gaps");
    let lines: u64 = entries.iter().map(|e| e["lines"].as_u64().unwrap()).sum();
    assert_eq!(lines, 11, "no line is left out");
    assert_eq!((&entries[1]["from"], &entries[2]["from"]), (&"meta/journal/000001.jsonl:2".into(), &"meta/journal/000002.jsonl:6".into()));
    assert!(entries.iter().all(|e| e["who"] == "arn:aws:iam::123456789012:user/ana"));
    for e in entries {
        assert!(text.contains(e["from"].as_str().unwrap()), "{text}");
    }
    assert!(text.contains("signed by") && text.contains("freezeframe verify` proves"), "{text}");
}

#[test]
fn where_the_chain_breaks_telling_ends_and_says_so() {
    let mut bag = Bag::good();
    bag.edit("meta/journal/000002.jsonl", |t| t.replacen("user/ana", "user/eve", 1));
    let (code, d, text) = told(&bag);
    assert_eq!((code, d["verdict"].as_str()), (4, Some("broken")));
    // The changed line still continues the chain; the one behind it does not.
    assert!(d["chain"]["broken"].as_str().unwrap().starts_with("meta/journal/000002.jsonl: line 2:"), "{d:#}");
    assert!(text.contains("THE CHAIN BREAKS HERE") && !text.contains("sealed the bundle"), "{text}");
}

#[test]
fn what_a_journal_says_cannot_steer_the_terminal() {
    let mut parts = crate::bundle::bag::Parts::good();
    parts.journal[0][0]["operator"] = "ana\u{1b}[2J\u{202e}".into();
    let (_, _, text) = told(&parts.seal());
    assert!(text.contains("for ana") && !text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
}
