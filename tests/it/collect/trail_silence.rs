//! What a trail's bucket does not show: no file at all, or no more of the listing. Neither is proof that nothing happened, or of who did it.

use super::credentials::{BOTH, IN_ONE_REGION, LIST, bucket, digest_key, gzip, listing, log_file, log_key, table};
use super::{is_gap, run_with};
use crate::support::wire::{Answer, Sent, World};
use freezeframe::model::digest::Sha256;
use freezeframe::model::gap::GapKind;
use serde_json::json;

#[tokio::test]
async fn a_listing_that_breaks_off_accuses_nobody_of_removing_what_it_did_not_show() {
    let logs = [gzip(&log_file(&[])), gzip(&log_file(&[]))];
    let named = |n: usize| json!({"s3Object": log_key(n), "hashAlgorithm": "SHA-256", "hashValue": Sha256::of(&log_file(&[])).to_string()});
    let digest =
        json!({"digestS3Bucket": "trail-archive", "digestS3Object": digest_key(9), "logFiles": (1..=5).map(named).collect::<Vec<_>>()});
    let files = [(log_key(1), logs[0].clone()), (log_key(3), logs[1].clone())];
    let world = bucket(&files, &[(digest_key(9), gzip(digest.to_string().as_bytes()), "")]);
    // The second page is refused, on which the fourth and the fifth may stand; the second file is removed.
    let Answer::Http { body, .. } = listing(&files.map(|f| f.0), &[]) else { panic!() };
    let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>page-two</NextContinuationToken>";
    let first = String::from_utf8(body).unwrap().replace("<IsTruncated>false</IsTruncated>", more);
    let of_logs = |s: &Sent| s.uri.contains("CloudTrail%2Fus-east-1");
    let world = world.when(LIST, of_logs, [Answer::new(200, "application/xml", first), Answer::error(LIST, 403, "AccessDenied")]);
    let bag = run_with(&["trail-archive"], world, IN_ONE_REGION).await;
    assert_eq!(bag.gaps().iter().map(|g| g.1).collect::<Vec<_>>(), [GapKind::Denied]);
    let found = table(&bag, "integrity of the trail");
    assert_eq!((&found["agree"], &found["missing"]), (&json!(2), &json!([log_key(2)])), "{found:#}");
    assert_eq!(found["notListed"], json!([log_key(4), log_key(5)]));
}

#[tokio::test]
async fn a_bucket_without_files_is_no_proof_that_nothing_happened() {
    // It lists an organisation, whether or not it delivers for this account; or the trail was stopped.
    let organisation = World::default().on(LIST, [listing(&[], &[])]).when(
        LIST,
        |s| s.uri.contains("delimiter"),
        [listing(&[], &["AWSLogs/o-a1b2c3d4e5/"])],
    );
    for world in [organisation, bucket(&[], &[])] {
        let bag = run_with(BOTH, world, r#"{"trail": "s3://trail-archive", "from": "trail"}"#).await;
        for region in [bag.region.as_str(), "us-east-1"] {
            let gap = bag.items.iter().find(|i| i.subject == format!("log files of {region}")).unwrap();
            assert!(is_gap(gap, GapKind::NotAcquirable) && gap.collector == "trail-archive", "{gap:?}");
            assert!(gap.detail.as_deref().unwrap().contains("none for this account in the window"), "{gap:?}");
        }
        let whose: Vec<_> = bag.gaps().into_iter().map(|g| (g.0, g.1)).collect();
        for collector in BOTH {
            assert!(whose.contains(&(collector, GapKind::NotAcquirable)), "{collector}: {whose:?}");
        }
        let document = table(&bag, "keys issued to the function");
        assert_eq!((&document["complete"], &document["lastExpiryIsExact"]), (&json!(false), &json!(false)));
    }
}
