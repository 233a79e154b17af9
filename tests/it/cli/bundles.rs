//! `verify` and `show`, on bundles that are whole, broken, unfinished, or none.

use super::Terminal;
use crate::bundle::bag::{Bag, CONFIG, NAME};

/// A terminal whose directory holds a good bundle as `good/` and `good.zip`.
fn terminal() -> Terminal {
    let terminal = Terminal::new();
    let bag = Bag::good();
    let dir = terminal.path().join("good");
    std::fs::create_dir(&dir).unwrap();
    bag.write_to(&dir);
    std::fs::write(terminal.path().join("good.zip"), bag.zip().bytes()).unwrap();
    terminal
}

#[test]
fn a_good_one() {
    insta::assert_snapshot!(terminal().transcript(&["verify", "good.zip"]), @"");
}

#[test]
fn one_byte_differs() {
    let terminal = terminal();
    let file = terminal.path().join("good").join(CONFIG);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[3] ^= 1;
    std::fs::write(file, bytes).unwrap();
    insta::assert_snapshot!(terminal.transcript(&["verify", "good"]), @"");
}

#[test]
fn never_sealed() {
    let terminal = terminal();
    let dir = terminal.path().join("good");
    std::fs::remove_dir_all(dir.join("seal")).unwrap();
    std::fs::create_dir(dir.join("tmp")).unwrap();
    insta::assert_snapshot!(terminal.transcript(&["verify", "good"]), @"");
}

#[test]
fn no_bundle_at_all() {
    let terminal = Terminal::new();
    std::fs::write(terminal.path().join("garbage.zip"), b"PK\x03\x04 and then something else").unwrap();
    std::fs::create_dir(terminal.path().join("empty")).unwrap();
    insta::assert_snapshot!(terminal.transcript(&["verify", "nowhere.zip"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["verify", "garbage.zip"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["verify", "empty"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["show", "nowhere.zip"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["show", "empty"]), @"");
}

#[test]
fn what_is_in_it() {
    let terminal = terminal();
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "i000003"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "i000099"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "x000099"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "../../etc/passwd"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "data/none.json"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "x000003"]), @"");
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "i000001", "--json"]), @"");
}

#[test]
fn an_items_bytes_are_the_bytes() {
    let terminal = terminal();
    let bytes = |args: &[&str]| {
        let output = terminal.run(args);
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
        output.stdout
    };
    let bag = Bag::good();
    for (named, path) in [("i000002", crate::bundle::bag::FUNCTION_ZIP), ("i000001", CONFIG), ("meta/coverage.json", "meta/coverage.json")] {
        for bundle in ["good.zip", "good"] {
            assert_eq!(bytes(&["show", bundle, named]), bag.files[path], "{bundle} {named}");
        }
    }
    assert!(NAME.contains("payments-export"));
}
