//! `disclose`, of a bundle that was made by hand: what lies in the place when it is done, and when it may not be done. (What is in the copy:
//! `stock::secrets`.)

use super::Terminal;
use crate::bundle::bag::{Bag, NAME};
use std::path::Path;

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return vec![] };
    let mut all: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    all.sort();
    all
}

/// What cannot be written down is not done: there is no copy that nothing tells of.
#[test]
fn nobody_gets_a_copy_that_the_case_journal_cannot_tell_of() {
    let terminal = Terminal::new();
    let (case, out) = (terminal.path().join("IR-2026-0042"), terminal.path().join("out"));
    let journal = case.join("journal");
    std::fs::create_dir_all(&journal).unwrap();
    let zip = case.join(format!("{NAME}.zip"));
    std::fs::write(&zip, Bag::good().zip().bytes()).unwrap();
    std::fs::write(journal.join("000001.jsonl"), "no line of a journal\n").unwrap();
    let words = ["disclose", zip.to_str().unwrap(), "--to", out.to_str().unwrap()];

    let ended = terminal.run(&words);
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot write into the case journal") && stderr.contains("nothing was done"), "{stderr}");
    assert_eq!((names(&out), names(&case)), (vec![], vec![format!("{NAME}.zip"), "journal".into()]), "nothing was done");

    // Nothing of it is in the way of doing it later.
    std::fs::remove_dir_all(&journal).unwrap();
    let ended = terminal.run(&words);
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(names(&out), [format!("{NAME}-disclosure.zip"), format!("{NAME}-disclosure.zip.sha256")]);
    assert_eq!(names(&case.join(format!("{NAME}.addenda/000001"))), ["disclosure.json", "statement.json"]);
}
