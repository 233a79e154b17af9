//! Windows that end in the past, or reach further back than a service keeps what it knows: what was not looked for is not told as none.

use super::credentials::{LOOKUP, issue, page, quiet, searches, table};
use super::units::{healthy_json, retrieving};
use super::{Bag, is_gap, run, run_with};
use crate::support::wire::{Answer, World};
use freezeframe::model::gap::GapKind;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_search_that_ends_in_the_past_certifies_no_end_of_the_keys_that_live_now() {
    let mut issued = issue("i1", "ASIADRILLEXPORT00001", "payments-export");
    issued["eventTime"] = json!("2026-11-15T06:00:00Z");
    issued["responseElements"]["credentials"]["expiration"] = json!("Nov 15, 2026, 6:00:00 PM");
    let searched = |until: &str| {
        let world = quiet().when(LOOKUP, searches("ResourceName"), [page(&[issued.clone()], None)]);
        let params = json!({"since": "2026-11-10T12:00:00Z", "until": until}).to_string();
        async move { table(&run_with(&["credential-activity"], world, &params).await, "keys issued to the function") }
    };
    let document = searched("2026-11-18T12:00:00Z").await;
    assert_eq!((&document["complete"], &document["to"]), (&json!(true), &json!("2026-11-18T12:00:00.000Z")), "as far as it was searched");
    assert_eq!(document["lastExpiry"], "2026-11-15T18:00:00.000Z", "of those that were seen");
    assert_eq!((&document["lastExpiryIsExact"], &document["noneLivesPast"]), (&json!(false), &Value::Null), "{document:#}");
    // CloudTrail shows no younger events than these.
    let document = searched("2026-11-20T11:50:00Z").await;
    assert_eq!((&document["lastExpiryIsExact"], &document["noneLivesPast"]), (&json!(true), &json!("2026-11-15T18:00:00.000Z")));
    // A search that is not whole tells as little.
    let refused = Answer::error(LOOKUP, 400, "AccessDeniedException");
    let world = quiet().when(LOOKUP, searches("ResourceName"), [page(&[issued], None)]).when(LOOKUP, searches("Username"), [refused]);
    let document = table(&run(&["credential-activity"], world).await, "keys issued to the function");
    assert_eq!((&document["lastExpiryIsExact"], &document["noneLivesPast"]), (&json!(false), &Value::Null));
}

#[tokio::test]
async fn what_is_too_old_for_minutes_is_not_asked_for_by_the_minute() {
    let asked = |bag: &Bag| -> BTreeSet<(i64, i64, i64)> {
        let bodies = bag.sent("CloudWatch.GetMetricData").into_iter().map(|s| serde_json::from_str::<Value>(&s.body).unwrap());
        let of = |b: &Value, q: &Value| {
            (b["StartTime"].as_i64().unwrap(), b["EndTime"].as_i64().unwrap(), q["MetricStat"]["Period"].as_i64().unwrap())
        };
        bodies.flat_map(|b| b["MetricDataQueries"].as_array().unwrap().iter().map(|q| of(&b, q)).collect::<Vec<_>>()).collect()
    };
    let at = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp();
    let now = at("2026-11-20T12:00:00Z");
    // Twenty days ago.
    let (since, until) = ("2026-10-26T00:00:00Z", "2026-10-31T00:00:00Z");
    for collectors in [&["metrics"], &["credential-activity"]] {
        let bag = run_with(collectors, World::default(), &json!({"since": since, "until": until}).to_string()).await;
        assert_eq!(asked(&bag), BTreeSet::from([(at(since), at(until), 300)]), "{collectors:?}");
        assert_eq!(bag.gaps(), []);
    }
    // However long it takes until the question is put.
    let bag = run_with(&["credential-activity"], World::default(), "{}").await;
    let asked = asked(&bag);
    assert!(asked.len() == 3 && asked.iter().any(|a| a.2 == 60), "{asked:?}");
    for (start, _, period) in asked {
        let days = match period {
            60 => 15,
            300 => 63,
            _ => 455,
        };
        assert!(start > now - days * 86_400 + 1_800, "by {period} s, {} days ago", (now - start) as f64 / 86_400.0);
    }
}

#[tokio::test]
async fn metrics_that_are_not_kept_any_more_are_a_gap_and_nobody_is_measured_by_them() {
    let words = json!({"since": "2025-05-01T00:00:00Z", "until": "2025-06-01T00:00:00Z", "trail": "s3://trail-archive", "from": "trail"});
    let bag = run_with(&["metrics", "credential-activity", "trail-archive"], World::default(), &words.to_string()).await;
    assert!(is_gap(bag.item("metrics of the older part"), GapKind::NotAcquirable));
    assert!(is_gap(bag.item("when the function ran, by its metric"), GapKind::NotAcquirable));
    assert!(bag.sent("CloudWatch.GetMetricData").is_empty());
    let keys: Value = serde_json::from_slice(&bag.file(bag.item("keys issued to the function"), 0)).unwrap();
    assert_eq!(keys["heldAgainstInvocations"]["judged"], false, "{keys:#}");
    let older = json!({"since": "2025-05-01T00:00:00Z", "until": "2026-11-20T12:00:00Z"}).to_string();
    let bag = run_with(&["metrics"], World::default(), &older).await;
    let gap = bag.item("metrics of the older part");
    assert!(gap.detail.as_deref().unwrap().contains("from 2025-08-22T12:00:0"), "{gap:?}");
    assert!(!bag.sent("CloudWatch.GetMetricData").is_empty());
}

#[tokio::test]
async fn a_window_in_which_no_trace_is_kept_any_more_is_not_taken_for_a_quiet_one() {
    let words = r#"{"since": "2026-10-01T12:00:00Z", "until": "2026-10-11T12:00:00Z"}"#;
    let bag = run_with(&["traces"], World::default(), words).await;
    assert!(bag.sent("XRay.GetTraceSummaries").is_empty());
    assert!(is_gap(bag.item("traces of the older part"), GapKind::NotAcquirable));
    assert!(bag.items.iter().all(|i| i.subject != "traces in full"), "nobody knows that there was none: {:?}", bag.items);
    let words = r#"{"since": "2026-10-01T12:00:00Z", "until": "2026-10-22T12:00:00Z"}"#;
    let bag = run_with(&["traces"], retrieving([healthy_json("XRay.ListRetrievedTraces")]), words).await;
    assert_eq!(bag.sent("XRay.GetTraceSummaries").len(), 4, "one day of three weeks");
    assert!(is_gap(bag.item("traces of the older part"), GapKind::NotAcquirable));
}

#[tokio::test]
async fn a_window_that_ends_in_the_future_ends_now() {
    let words = r#"{"since": "2026-11-19T12:00:00Z", "until": "9999-12-31T00:00:00Z"}"#;
    let bag = run_with(&["traces"], retrieving([healthy_json("XRay.ListRetrievedTraces")]), words).await;
    let asked = bag.sent("XRay.GetTraceSummaries").len();
    assert!((4..=5).contains(&asked), "one day, and the seconds since: {asked}");
    let words = r#"{"trail": "s3://trail-archive", "until": "2026-11-23T00:00:00Z"}"#;
    assert_eq!(run_with(&["trail-archive"], World::default(), words).await.gaps(), [], "no day to come is silent");
    let words = r#"{"since": "2027-01-01T00:00:00Z", "until": "2027-01-02T00:00:00Z"}"#;
    let bag = run_with(&["traces"], World::default(), words).await;
    assert_eq!((bag.sent("XRay.GetTraceSummaries").len(), bag.gaps()), (0, vec![]));
}

#[tokio::test]
async fn what_the_event_history_does_not_keep_any_more_is_a_gap_and_not_searched_for() {
    let key = "CloudTrail.LookupEvents";
    let both = ["control-plane-history", "credential-activity"];
    let bag = run_with(&both, World::default(), r#"{"since": "2026-07-01T00:00:00Z", "until": "2026-08-01T00:00:00Z"}"#).await;
    assert!(bag.sent(key).is_empty());
    let gaps = bag.gaps();
    let subject = "CloudTrail events from 2026-07-01T00:00:00.000Z to 2026-08-01T00:00:00.000Z";
    assert_eq!(gaps, both.map(|collector| (collector, GapKind::NotAcquirable, subject)));
    assert!(bag.items.iter().all(|i| !i.subject.starts_with("keys issued to the function")), "of nothing there is no table");

    // Of a window that reaches further back than ninety days the rest is searched.
    let quiet = World::default().on(key, [Answer::json(&json!({"Events": []}))]);
    let bag = run_with(&both, quiet, r#"{"since": "2026-07-01T00:00:00Z", "until": "2026-11-20T12:00:00Z"}"#).await;
    let oldest = chrono::DateTime::parse_from_rfc3339("2026-08-22T12:00:00Z").unwrap().timestamp() as f64;
    for sent in bag.sent(key) {
        let body: Value = serde_json::from_str(&sent.body).unwrap();
        assert!((0.0..1_800.0).contains(&(body["StartTime"].as_f64().unwrap() - oldest)), "{body}");
    }
    let gaps = bag.gaps();
    assert!(gaps.len() == 2 && gaps.iter().all(|g| g.1 == GapKind::NotAcquirable && g.2.contains("Z to 2026-08-22T12:0")), "{gaps:?}");
    let keys: Value = serde_json::from_slice(&bag.file(bag.item("keys issued to the function"), 0)).unwrap();
    assert!(keys["complete"] == false && keys["from"].as_str().unwrap().starts_with("2026-08-22T12:0"), "{keys:#}");
    assert_eq!(keys["lastExpiryIsExact"], true, "what was issued before is dead by now");
}
