//! Every event file of ours, and every real form in `../shared/data/eventbridge` where that lies beside the repository.

use freezeframe::intake::{Intake, SOURCES, Understood, case_of, understand};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each file outside `good/` comes to, and a part of the reason. `good/` is always understood.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("guardduty/odd/sample.json", "sample", ""),
    ("guardduty/odd/sample-newer-form.json", "ignored", "a sample finding"),
    ("guardduty/odd/archived.json", "ignored", "is archived"),
    ("guardduty/odd/role-session.json", "ignored", "freezeframe snapshot payments-export"),
    ("guardduty/odd/access-key-of-a-user.json", "ignored", "an access key"),
    ("guardduty/odd/instance.json", "ignored", "type Instance"),
    ("guardduty/odd/attack-sequence.json", "ignored", "type AttackSequence"),
    ("guardduty/odd/web-function.json", "ignored", "handles Lambda functions only"),
    ("guardduty/odd/no-severity.json", "unknown", "no severity from 1 to 10"),
    ("guardduty/odd/no-detail.json", "unknown", "no detail"),
    ("guardduty/odd/no-lambda-details.json", "unknown", "no usable functionArn"),
    ("guardduty/odd/name-instead-of-arn.json", "unknown", "no full ARN"),
    ("guardduty/hostile/arn-with-a-path.json", "unknown", "is not a Lambda function"),
    ("guardduty/hostile/arn-with-a-newline.json", "unknown", "no usable functionArn"),
    ("guardduty/hostile/arn-of-another-account.json", "unknown", "account is not the account"),
    ("guardduty/hostile/arn-of-another-region.json", "unknown", "Region is not the Region"),
    ("guardduty/hostile/arn-is-a-list.json", "unknown", "no usable functionArn"),
    ("guardduty/hostile/id-with-a-path.json", "unknown", "no usable id"),
    ("guardduty/hostile/id-without-end.json", "unknown", "no usable id"),
    ("guardduty/hostile/type-with-terminal-codes.json", "unknown", "no usable type"),
    ("guardduty/hostile/severity-overflows.json", "unknown", "no severity"),
    ("guardduty/hostile/severity-is-a-text.json", "unknown", "no severity"),
    ("guardduty/hostile/detail-is-a-text.json", "unknown", "no detail"),
    ("guardduty/hostile/look-alike-source.json", "unknown", "no source of ours"),
    ("guardduty/hostile/right-to-left.json", "unknown", "no usable functionArn"),
    ("manual/odd/misspelt-member.json", "unknown", "`playbok`"),
    ("manual/odd/no-case.json", "unknown", "neither"),
    ("manual/odd/event-without-function.json", "unknown", "names no function"),
    ("manual/odd/a-layer.json", "ignored", "names a layer"),
    ("manual/hostile/case-with-a-path.json", "unknown", "not a valid case id"),
    ("manual/hostile/case-reserved-on-windows.json", "unknown", "reserved on Windows"),
    ("manual/hostile/case-of-another-type.json", "unknown", "`case` is no text"),
    ("manual/hostile/playbook-with-a-path.json", "unknown", "no id of a playbook"),
    ("manual/hostile/function-with-a-command.json", "unknown", "is not a Lambda function"),
    ("manual/hostile/posing-as-aws.json", "unknown", "no source of ours"),
    ("manual/hostile/deep.json", "unknown", "nests too deep"),
    ("manual/hostile/cut-short.json", "unknown", "ends too early"),
    ("manual/hostile/member-with-terminal-codes.json", "unknown", "\\u{1b}[31mx"),
];

fn files_below(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, into);
        } else if path.extension().is_some_and(|e| e == "json") {
            into.push(path);
        }
    }
    into.sort();
}

fn kind(intake: &Intake) -> (&'static str, String) {
    match intake {
        Intake::Understood(u) if u.sample => ("sample", String::new()),
        Intake::Understood(_) => ("understood", String::new()),
        Intake::Ignored { why, .. } => ("ignored", why.clone()),
        Intake::Unknown { why } => ("unknown", why.clone()),
    }
}

fn understood(event: &[u8]) -> Understood {
    match understand(event) {
        Intake::Understood(u) => *u,
        other => panic!("{other:?}"),
    }
}

fn own(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/events").join(name)).unwrap()
}

#[test]
fn every_event_file_comes_to_what_is_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/events");
    let mut files = vec![];
    files_below(&root, &mut files);
    let expected: BTreeMap<&str, (&str, &str)> = EXPECTED.iter().map(|(f, k, w)| (*f, (*k, *w))).collect();
    let mut seen = 0;
    for file in &files {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_string();
        let (kind, why) = kind(&understand(&fs::read(file).unwrap()));
        let (wanted, part) = if name.contains("/good/") {
            ("understood", "")
        } else {
            seen += 1;
            *expected.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no line in EXPECTED"))
        };
        assert_eq!(kind, wanted, "{name}: {why}");
        assert!(why.contains(part), "{name}: {why}");
        assert!(why.len() < 700 && !why.chars().any(char::is_control), "{name}: {why:?}");
    }
    assert_eq!(seen, EXPECTED.len(), "a line of EXPECTED names no file");
    for source in SOURCES {
        for folder in ["good", "odd", "hostile"] {
            let dir = root.join(source.id()).join(folder);
            assert!(fs::read_dir(&dir).is_ok_and(|mut d| d.next().is_some()), "{} holds no event", dir.display());
        }
    }
}

#[test]
fn a_finding_keeps_its_case_when_it_is_emitted_again() {
    let (first, again) =
        (understood(&own("guardduty/good/c2-activity.json")), understood(&own("guardduty/good/c2-activity-seen-again.json")));
    assert_ne!(first.trigger.time, again.trigger.time);
    assert_eq!(first.trigger.finding_id, again.trigger.finding_id);
    let case = case_of(&first.trigger).unwrap();
    assert_eq!(case, case_of(&again.trigger).unwrap());
    // printf %s 7ac3f0d26e1b4b0f8d8e0c2a9b1d4e55 | sha256sum
    assert_eq!(case.as_str(), "GD-c1b3aa3405b9");
    let other = understood(&own("guardduty/good/qualified-other-partition.json")).trigger;
    assert_ne!(case, case_of(&other).unwrap());
    assert_eq!((other.severity, other.account.as_deref(), other.region.as_deref()), (79, Some("210987654321"), Some("us-gov-west-1")));
}

/// Whatever is cut off or flipped in a good event: never a panic, and never a function that does not parse.
#[test]
fn a_damaged_event_never_panics() {
    let good = own("guardduty/good/c2-activity.json");
    for at in 0..good.len() {
        let _ = understand(&good[..at]);
        for byte in [b'"', b'}', 0xff] {
            let mut damaged = good.clone();
            damaged[at] = byte;
            if let Intake::Understood(u) = understand(&damaged) {
                u.trigger.function.parse::<freezeframe::model::target::TargetSpec>().unwrap();
                case_of(&u.trigger).unwrap();
            }
        }
    }
}

/// Real forms, as AWS and others publish them. A file may hold one event, a list of them, or Panther's `cases[].event`.
#[test]
#[expect(clippy::disallowed_macros, reason = "says what was read, or that nothing was")]
fn real_events() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|a| a.join("shared/data/eventbridge")).find(|d| d.is_dir());
    let Some(dir) = shared else {
        println!("skipped: ../shared/data/eventbridge is not here, 0 real events read");
        return;
    };
    let mut files = vec![];
    files_below(&dir, &mut files);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for file in &files {
        let bytes = fs::read(file).unwrap();
        let mut events = vec![bytes.clone()];
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let inner = value.as_array().into_iter().flatten().chain(value["cases"].as_array().into_iter().flatten().map(|c| &c["event"]));
        events.extend(inner.map(|e| e.to_string().into_bytes()));
        for event in events {
            let answer = understand(&event);
            let value: serde_json::Value = serde_json::from_slice(&event).unwrap_or_default();
            let guardduty = value["source"] == "aws.guardduty" && value["detail-type"] == "GuardDuty Finding";
            if guardduty && value["detail"]["resource"]["resourceType"] == "Lambda" {
                assert!(matches!(answer, Intake::Understood(_)), "{}: {answer:?}", file.display());
                *counts.entry("GuardDuty on Lambda".into()).or_default() += 1;
            } else if guardduty {
                assert!(matches!(answer, Intake::Ignored { .. }), "{}: {answer:?}", file.display());
            }
            *counts.entry(kind(&answer).0.into()).or_default() += 1;
        }
    }
    println!("{} files: {counts:?}", files.len());
    assert!(!files.is_empty());
}
