//! What strangers and refusals bring into answers: a bundle stays whole, and our session token is not in it, whatever they say.

use super::units::healthy_json;
use super::{Bag, run};
use crate::bundle::checker::both;
use crate::support::wire::{Answer, World};
use serde_json::json;
use std::path::Path;

const TOKEN: &str = "FwoGZXIvYXdzEHoaDDhQOHb0not-a-real-token";

/// Whether `text` stands in a file below `dir` that is not sealed.
fn in_clear(dir: &Path, text: &str) -> bool {
    std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|at| !at.ends_with("data/sealed")).any(|at| {
        if at.is_dir() { in_clear(&at, text) } else { std::fs::read(at).unwrap().windows(text.len()).any(|w| w == text.as_bytes()) }
    })
}

/// Both readers call the sealed bundle whole, and there is no `secret` in clear.
fn is_whole_without(bag: &Bag, secret: &str) {
    let sealed = bag.draft.seal(vec![], true).unwrap();
    assert!(!in_clear(sealed.dir(), secret), "{secret} lies in clear");
    for (ours, theirs) in both(&[(sealed.dir().to_path_buf(), vec![])]).into_iter().flatten() {
        assert_eq!((&ours, ours.code), (&theirs, 0));
    }
}

#[tokio::test]
async fn a_description_that_two_readers_read_differently_breaks_no_bundle() {
    for text in [r#"{"sessionToken":"hunter2","n":1e999}"#, r#"{"$serde_json::private::RawValue":1,"sessionToken":"hunter2"}"#] {
        let mut body = healthy_json("Lambda.GetFunction");
        body["Configuration"]["Description"] = json!(text);
        let bag = run(&["configuration"], World::default().on("Lambda.GetFunction", [Answer::json(&body)])).await;
        assert!(bag.exchanges(bag.of("configuration")[0])[0].sealed.is_some());
        is_whole_without(&bag, "hunter2");
    }
}

#[tokio::test]
async fn a_refusal_that_echoes_what_we_signed_shows_our_token_nowhere() {
    let told = format!("GET\n/2015-03-31\n\nhost:lambda\nx-amz-date:20261120T123456Z\nx-amz-security-token:{TOKEN}\n");
    let message =
        format!("The request signature we calculated does not match. The Canonical String for this request should have been\n'{told}'");
    let refused = Answer::new(403, "application/json", json!({ "message": message }).to_string());
    let refused = refused.header("x-amzn-errortype", "InvalidSignatureException");
    let bag = run(&["resource-policy"], World::default().on("Lambda.GetPolicy", [refused])).await;
    let gaps: Vec<_> = bag.items.iter().filter(|i| i.status.gap().is_some()).collect();
    assert!(!gaps.is_empty() && gaps.iter().any(|i| i.detail.as_ref().is_some_and(|d| d.contains("does not match"))), "{gaps:?}");
    for item in &bag.items {
        assert!(!format!("{item:?}").contains("x-amz-security-token") && !format!("{item:?}").contains(&TOKEN[..8]), "{item:?}");
    }
    is_whole_without(&bag, TOKEN);
}
