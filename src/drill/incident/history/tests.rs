use super::*;
use crate::drill::incident::{function::Suspect, identity, logs::Written, triggers::Triggers};

/// An incident as [`super::super::seed`] would return it, without an emulator.
pub(crate) fn incident() -> Incident {
    let account = "123456789012".to_owned();
    let function = "arn:aws:lambda:us-east-1:123456789012:function:payments-export".to_owned();
    let policy = |name: &str| identity::Managed {
        arn: format!("arn:aws:iam::{account}:policy/{name}"),
        name: name.into(),
        versions: vec![json!({"n": 1}), json!({"n": 2})],
    };
    Incident {
        seeded_at: now(),
        role: identity::Role {
            arn: format!("arn:aws:iam::{account}:role/service-role/{}", names::ROLE),
            id: "AROAEXAMPLEROLEID0001".into(),
            trust: json!({}),
            inline: (names::INLINE_POLICY.into(), json!({})),
            managed: vec![policy(names::LOGS_POLICY), policy(names::BROAD_POLICY)],
        },
        layer_version_arn: "arn:aws:lambda:us-east-1:123456789012:layer:payments-common:1".into(),
        function: Suspect {
            arn: function,
            clean_sha256: "clean".into(),
            bad_sha256: "bad".into(),
            environment: std::collections::HashMap::new(),
            url: "https://example.lambda-url.us-east-1.on.aws/".into(),
        },
        triggers: Triggers {
            queue_url: String::new(),
            queue_arn: "arn:aws:sqs:us-east-1:123456789012:q".into(),
            mapping_id: String::new(),
            rule_arn: String::new(),
        },
        logs: Written { streams: Vec::new(), events: 0 },
        bucket: "payments-exports-123456789012".into(),
        history_events: 0,
        region: "us-east-1".into(),
        account,
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap()
}

fn records() -> Vec<Value> {
    let (document, count) = document(&incident(), now());
    let events = document["events"].as_array().unwrap();
    assert_eq!(events.len(), count);
    events.iter().map(|entry| entry["event"].clone()).collect()
}

#[test]
fn every_event_has_the_form_of_a_record() {
    let mut ids = std::collections::BTreeSet::new();
    for record in records() {
        for member in [
            "eventVersion",
            "eventSource",
            "eventName",
            "awsRegion",
            "sourceIPAddress",
            "userAgent",
            "requestID",
            "eventID",
            "eventType",
            "recipientAccountId",
            "eventCategory",
        ] {
            assert!(record[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {record}");
        }
        for member in ["requestParameters", "responseElements"] {
            assert!(record.get(member).is_some_and(|v| v.is_null() || v.is_object()), "{member}: {record}");
        }
        assert!(record["readOnly"].is_boolean() && record["managementEvent"] == true);
        assert!(ids.insert(record["eventID"].to_string()), "twice: {}", record["eventID"]);
        let id = record["eventID"].as_str().unwrap();
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
        let at = DateTime::parse_from_rfc3339(record["eventTime"].as_str().unwrap()).unwrap().to_utc();
        assert!(at < now() && at > now() - Duration::days(90), "{at}");
    }
}

#[test]
fn the_history_needs_pages_and_has_what_a_reader_must_cope_with() {
    let all = records();
    assert!(all.iter().filter(|r| r["awsRegion"] == "us-east-1").count() > 100);
    let names: std::collections::BTreeSet<&str> = all.iter().map(|r| r["eventName"].as_str().unwrap()).collect();
    for suffixed in ["CreateFunction20150331", "UpdateFunctionCode20150331v2", "AddPermission20150331v2", "PublishVersion20150331"] {
        assert!(names.contains(suffixed), "{suffixed}");
    }
    assert!(all.iter().any(|r| r["errorCode"] == "AccessDenied" && r["errorMessage"].as_str().unwrap().contains("iam:ListUsers")));
    assert!(all.iter().any(|r| r["errorMessage"].as_str().is_some_and(|m| m.contains("lambda:ListFunctions on"))));
    assert!(all.iter().any(|r| r["awsRegion"] != "us-east-1"));

    let session = |r: &&Value| r["userIdentity"]["accessKeyId"] == names::STOLEN_KEY_ID;
    let stolen: Vec<&Value> = all.iter().filter(session).collect();
    let foreign = stolen.iter().filter(|r| r["sourceIPAddress"] == names::THIEF_ADDRESS);
    assert!(stolen.len() > foreign.clone().count() && foreign.count() > 5, "used from inside and from outside");
    for record in stolen {
        let identity = &record["userIdentity"];
        assert_eq!(identity["principalId"], "AROAEXAMPLEROLEID0001:payments-export");
        assert_eq!(identity["arn"], "arn:aws:sts::123456789012:assumed-role/payments-export-role/payments-export");
        assert_eq!(identity["inScopeOf"]["issuerType"], "AWS::Lambda::Function");
        assert!(identity["sessionContext"]["attributes"]["creationDate"].is_string());
    }

    let issued: Vec<&Value> = all.iter().filter(|r| r["userIdentity"]["invokedBy"] == "lambda.amazonaws.com").collect();
    assert!(issued.len() > 10);
    for record in issued {
        let token = record["responseElements"]["credentials"]["sessionToken"].as_str().unwrap();
        assert!(token.contains(names::TOKEN_MARKER));
    }
}

/// The Python server, over a socket, with the history that a drill really gets.
#[test]
fn the_cloudtrail_server_keeps_its_promises() {
    let Some(python) = crate::drill::emulator::install::any_python() else {
        panic!("no python3: the drill and this test need one");
    };
    let dir = tempfile::tempdir().unwrap();
    let check = ("cloudtrail_check.py", include_str!("../../emulator/cloudtrail_check.py"));
    for (name, text) in crate::drill::emulator::SOURCES.iter().chain([&check]) {
        crate::drill::emulator::write(&dir.path().join(name), text.as_bytes(), 0o644).unwrap();
    }
    // Dated relative to the real present: the server forgets what is older than ninety days.
    let present = DateTime::<Utc>::from(std::time::SystemTime::now());
    let (document, _) = document(&incident(), present);
    let file = dir.path().join("events.json");
    crate::drill::emulator::write(&file, document.to_string().as_bytes(), 0o644).unwrap();
    let mut run = std::process::Command::new(python);
    run.current_dir(dir.path()).arg("cloudtrail_check.py").arg(&file).args([names::FUNCTION, "us-east-1"]);
    let done = run.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let seen: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(seen["pages"].as_u64().unwrap() >= 3 && seen["throttled"].as_u64().unwrap() >= 1, "{seen}");
}
