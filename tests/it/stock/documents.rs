//! What the commands printed on the emulator: the forms, and the refusals that need an account to be refused by.

use super::practice;
use crate::cli::json::valid;

#[test]
fn every_document_is_of_its_form() {
    assert!(practice().documents.len() >= 10);
    valid(&practice().documents).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn what_is_refused_says_what_to_do() {
    for (command, code, cause, hint) in [
        (
            "snapshot of a function that is not there",
            1,
            "there is no function `payments-exprot` in us-east-1 of account 123456789012",
            "--region",
        ),
        ("contain without evidence", 8, "", "freezeframe snapshot payments-export --case IR-2026-0042"),
        ("contain without a terminal", 8, "", "--yes"),
    ] {
        let (ended, document, stderr) = &practice().ended[command];
        assert_eq!((*ended, document["exit_code"].as_i64()), (code, Some(i64::from(code))), "{command}: {stderr}");
        assert!(document["caused_by"].to_string().contains(cause), "{command}: {document:#}");
        assert!(document["hints"].to_string().contains(hint), "{command}: {document:#}");
    }
    assert!(!practice().case_dir.with_file_name("IR-0").exists(), "no function, no case");
}

#[test]
fn a_dry_run_of_restore_foretells_what_is_restored() {
    let cells = |command: &str| {
        let restoration = &practice().ended[command].1["restoration"]["cells"];
        restoration.as_array().unwrap().iter().map(|c| c["cell"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(cells("restore --dry-run"), cells("restore"));
    assert_eq!(cells("restore").len(), 2);
}
