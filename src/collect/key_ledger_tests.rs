use super::*;
use serde_json::json;

const ROLE: &str = "arn:aws:iam::123456789012:role/service-role/payments-role";
const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:payments-export";
const TOKEN: &str = "TOKEN-MUST-NOT-LEAVE";

fn ledger(role: Option<&str>) -> Ledger {
    Ledger::new(Whose { function: "payments-export".into(), function_arn: FUNCTION.into(), role_arn: role.map(str::to_string) })
}

fn issue(id: &str, key: &str, session: &str, at: &str, until: &str) -> Value {
    json!({"eventID": id, "eventTime": at, "eventName": "AssumeRole", "eventSource": "sts.amazonaws.com", "awsRegion": "eu-west-1",
        "userIdentity": {"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}, "sourceIPAddress": "lambda.amazonaws.com",
        "requestParameters": {"roleArn": ROLE, "roleSessionName": session},
        "responseElements": {"credentials": {"accessKeyId": key, "sessionToken": TOKEN, "expiration": until}}})
}

fn use_of(id: &str, key: &str, name: &str, at: &str, ip: &str, agent: &str, region: &str) -> Value {
    json!({"eventID": id, "eventTime": at, "eventName": name, "eventSource": "sts.amazonaws.com", "awsRegion": region,
        "sourceIPAddress": ip, "userAgent": agent,
        "userIdentity": {"type": "AssumedRole", "accessKeyId": key, "principalId": "AROAX:payments-export",
            "sessionContext": {"sessionIssuer": {"arn": ROLE}},
            "inScopeOf": {"credentialsIssuedTo": FUNCTION, "credentialsIssuedToVersion": format!("{FUNCTION}:2")}}})
}

fn hear(ledger: &mut Ledger, records: &[Value]) {
    for r in records {
        ledger.hear("eu-west-1", &r.to_string());
    }
}

const LAMBDA: &str = "Boto3/1 exec-env/AWS_Lambda_python3.12";

#[test]
fn issue_and_use_of_a_key_meet_in_one_row_without_the_token() {
    let mut l = ledger(Some(ROLE));
    let events = [
        use_of("u2", "ASIA1", "ListBuckets", "2026-11-20T03:00:00Z", "203.0.113.9", "aws-cli/2", "us-west-2"),
        use_of("u1", "ASIA1", "GetBucketLocation", "2026-11-20T02:00:00Z", "54.240.1.1", LAMBDA, "eu-west-1"),
        issue("i1", "ASIA1", "payments-export", "2026-11-20T01:00:00Z", "Nov 20, 2026, 1:00:00 PM"),
        issue("i2", "ASIA2", "refund-report", "2026-11-20T01:30:00Z", "Nov 20, 2026, 1:30:00\u{202f}PM"),
    ];
    hear(&mut l, &events);
    hear(&mut l, &events);
    let table = l.rows();
    assert_eq!(table.iter().map(|k| k.access_key_id.as_str()).collect::<Vec<_>>(), ["ASIA2", "ASIA1"], "newest first");
    let own = &table[1];
    assert_eq!((own.uses, own.of_this_function, own.depth), (2, true, 0), "an event that two searches find counts once");
    assert_eq!(own.expires.as_deref(), Some("2026-11-20T13:00:00.000Z"));
    assert_eq!((own.first_use.as_deref(), own.last_use.as_deref()), (Some("2026-11-20T02:00:00.000Z"), Some("2026-11-20T03:00:00.000Z")));
    assert_eq!(own.ips_outside.iter().collect::<Vec<_>>(), ["203.0.113.9"]);
    assert_eq!(own.issued_to_versions.iter().collect::<Vec<_>>(), [&format!("{FUNCTION}:2")]);
    assert_eq!(own.inside.iter().collect::<Vec<_>>(), ["54.240.1.1"]);
    assert_eq!(own.regions_inside.iter().collect::<Vec<_>>(), ["eu-west-1"]);
    assert_eq!(own.calls.iter().map(|c| c.1).collect::<Vec<_>>(), [false, true], "which of them Lambda's agent made");
    assert_eq!(own.source_event.as_deref(), Some("i1"));
    let neighbour = &table[0];
    assert!(!neighbour.of_this_function);
    assert_eq!(neighbour.expires.as_deref(), Some("2026-11-20T13:30:00.000Z"));
    assert_eq!(l.to_search(9), ["ASIA1"], "the neighbour's keys are not this case's");
    assert_eq!(l.followed(9), BTreeSet::from(["ASIA1".to_string()]));
    assert!(!serde_json::to_string(&(&table, &l.handed_on)).unwrap().contains(TOKEN));
}

#[test]
fn a_session_is_the_function_s_by_scope_or_by_role_and_name_never_by_name_alone() {
    let mut l = ledger(Some(ROLE));
    let mut stranger = use_of("u1", "ASIA1", "ListBuckets", "2026-11-20T03:00:00Z", "203.0.113.9", "x", "eu-west-1");
    stranger["userIdentity"]["inScopeOf"]["credentialsIssuedTo"] = json!(format!("{FUNCTION}-2"));
    let mut namesake = use_of("u2", "ASIA2", "ListBuckets", "2026-11-20T03:00:00Z", "203.0.113.9", "x", "eu-west-1");
    namesake["userIdentity"]["inScopeOf"] = Value::Null;
    namesake["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] = json!("arn:aws:iam::123456789012:role/other");
    let mut before_scopes = use_of("u3", "ASIA3", "ListBuckets", "2026-11-20T03:00:00Z", "203.0.113.9", "x", "eu-west-1");
    before_scopes["userIdentity"]["inScopeOf"] = Value::Null;
    hear(&mut l, &[stranger, namesake, before_scopes]);
    assert_eq!(l.to_search(0), ["ASIA3"]);
}

#[test]
fn a_role_that_nobody_knows_is_learned_from_the_function_s_own_sessions() {
    let mut l = ledger(None);
    let issued = issue("i1", "ASIA1", "payments-export", "2026-11-20T01:00:00Z", "Nov 20, 2026, 1:00:00 PM");
    hear(&mut l, std::slice::from_ref(&issued));
    assert!(l.to_search(0).is_empty(), "whose role it is is not known yet");
    hear(&mut l, &[use_of("u1", "ASIA9", "ListBuckets", "2026-11-20T02:00:00Z", "54.240.1.1", LAMBDA, "eu-west-1"), issued]);
    assert_eq!(l.role_arn(), Some(ROLE));
    assert_eq!(l.to_search(0).len(), 2, "and what meant nothing before is heard again");
}

#[test]
fn what_a_key_obtains_is_followed_so_far_and_no_further() {
    let mut l = ledger(Some(ROLE));
    let obtains = |id: &str, with: &str, new: &str, error: Option<&str>| {
        let mut r = use_of(id, with, "AssumeRole", "2026-11-20T03:00:00Z", "203.0.113.9", "aws-cli/2", "eu-west-1");
        r["requestParameters"] = json!({"roleArn": "arn:aws:iam::123456789012:role/admin", "roleSessionName": "x"});
        r["responseElements"] =
            json!({"credentials": {"accessKeyId": new, "sessionToken": TOKEN, "expiration": "Nov 20, 2026, 4:00:00 PM"}});
        r["errorCode"] = json!(error);
        r
    };
    let mut second = obtains("a2", "ASIA2", "ASIA3", None);
    second["userIdentity"]["inScopeOf"] = Value::Null;
    second["userIdentity"]["principalId"] = json!("AROAADMIN:x");
    hear(&mut l, &[obtains("a1", "ASIA1", "ASIA2", None), obtains("a0", "ASIA1", "ASIA8", Some("AccessDenied")), second]);
    assert_eq!(l.to_search(0), ["ASIA1"]);
    assert_eq!(l.to_search(1), ["ASIA1", "ASIA2"]);
    assert_eq!(l.beyond(1), 1);
    l.searched("ASIA1");
    assert_eq!(l.to_search(2), ["ASIA2", "ASIA3"]);
    assert_eq!(l.handed_on.len(), 3, "a refused attempt is on the list, and begets nothing");
    assert_eq!(l.followed(1).len(), 2);
    let table = l.rows();
    let begot = table.iter().find(|k| k.access_key_id == "ASIA2").unwrap();
    assert_eq!((begot.depth, begot.obtained_with.as_deref()), (1, Some("ASIA1")));
    assert!(table.iter().all(|k| k.access_key_id != "ASIA8"));
    assert!(!serde_json::to_string(&(&table, &l.handed_on)).unwrap().contains(TOKEN));
}

#[test]
fn a_key_whose_issue_was_not_seen_is_dead_twelve_hours_after_its_session_began() {
    let mut l = ledger(Some(ROLE));
    let mut used = use_of("u1", "ASIA1", "ListBuckets", "2026-11-20T03:00:00Z", "54.240.1.1", LAMBDA, "eu-west-1");
    used["userIdentity"]["sessionContext"]["attributes"]["creationDate"] = json!("2026-11-20T02:30:00Z");
    hear(&mut l, &[used, use_of("u2", "ASIA2", "ListBuckets", "2026-11-20T04:00:00Z", "54.240.1.1", LAMBDA, "eu-west-1")]);
    let rows = l.rows();
    let row = |id: &str| rows.iter().find(|k| k.access_key_id == id).unwrap();
    assert_eq!(row("ASIA1").issued.as_deref(), Some("2026-11-20T02:30:00.000Z"));
    assert_eq!(row("ASIA1").expires_at_latest.as_deref(), Some("2026-11-20T14:30:00.000Z"));
    assert_eq!(row("ASIA2").expires_at_latest.as_deref(), Some("2026-11-20T16:00:00.000Z"), "counted from its first use");
    assert_eq!((&row("ASIA1").expires, &row("ASIA2").expires), (&None, &None), "no time is claimed that no event states");
    // The event that issued it knows better.
    hear(&mut l, &[issue("i1", "ASIA1", "payments-export", "2026-11-20T02:29:58Z", "Nov 20, 2026, 8:29:58 AM")]);
    let rows = l.rows();
    let first = rows.iter().find(|k| k.access_key_id == "ASIA1").unwrap();
    assert_eq!((first.expires.as_deref(), &first.expires_at_latest), (Some("2026-11-20T08:29:58.000Z"), &None));
}

#[test]
fn whoever_comes_of_a_call_is_named_and_a_user_s_key_lives_on() {
    let mut l = ledger(Some(ROLE));
    let mut made = use_of("c1", "ASIA1", "CreateAccessKey", "2026-11-20T03:00:00Z", "203.0.113.9", "aws-cli/2", "us-east-1");
    made["requestParameters"] = json!({"userName": "backup"});
    made["responseElements"] = json!({"accessKey": {"accessKeyId": "AKIANEW", "userName": "backup", "status": "Active"}});
    let mut taken = use_of("c2", "ASIA1", "AssumeRole", "2026-11-20T03:01:00Z", "203.0.113.9", "aws-cli/2", "eu-west-1");
    taken["responseElements"] = json!({"credentials": {"accessKeyId": "ASIA2", "sessionToken": TOKEN, "expiration": "Nov 20, 2026, 4:00:00 PM"},
        "assumedRoleUser": {"arn": "arn:aws:sts::123456789012:assumed-role/admin/x"}});
    let mut opened = use_of("c3", "ASIA1", "CreateFunctionUrlConfig", "2026-11-20T03:02:00Z", "203.0.113.9", "aws-cli/2", "eu-west-1");
    opened["requestParameters"] = json!({"functionName": "payments-export"});
    hear(&mut l, &[made, taken, opened]);
    let said: Vec<_> = l.handed_on.iter().map(|h| (h.name.as_str(), h.about.as_deref(), h.principal.as_deref())).collect();
    assert_eq!(said[0], ("CreateAccessKey", Some("backup"), Some("backup")));
    assert_eq!(said[1], ("AssumeRole", None, Some("arn:aws:sts::123456789012:assumed-role/admin/x")));
    assert_eq!(said[2], ("CreateFunctionUrlConfig", Some("payments-export"), None));
    assert_eq!(l.to_search(1), ["ASIA1", "ASIA2", "AKIANEW"], "a user's key is followed like a session's");
    let rows = l.rows();
    let user = rows.iter().find(|k| k.access_key_id == "AKIANEW").unwrap();
    assert!(user.is_long_lived() && user.expires_at_latest.is_none());
    assert!(!serde_json::to_string(&(&rows, &l.handed_on)).unwrap().contains(TOKEN));
}

#[test]
fn another_account_s_endpoint_is_noted() {
    let mut l = ledger(Some(ROLE));
    let through = |id: &str, key: &str, owner: Option<&str>| {
        let mut r = use_of(id, key, "ListBuckets", "2026-11-20T03:00:00Z", "10.0.0.7", LAMBDA, "eu-west-1");
        r["vpcEndpointId"] = json!("vpce-1");
        r["vpcEndpointAccountId"] = json!(owner);
        r
    };
    hear(
        &mut l,
        &[through("u1", "ASIA1", Some("123456789012")), through("u2", "ASIA2", Some("999999999999")), through("u3", "ASIA3", None)],
    );
    let rows = l.rows();
    let of = |id: &str| rows.iter().find(|k| k.access_key_id == id).unwrap();
    assert_eq!([of("ASIA1"), of("ASIA2"), of("ASIA3")].map(|k| k.foreign_endpoint), [false, true, false]);
    assert_eq!(of("ASIA2").vpc_endpoints.iter().collect::<Vec<_>>(), ["vpce-1 of 999999999999"]);
}

#[test]
fn strangers_records_are_bounded_and_never_lost_without_a_word() {
    let mut l = ledger(Some(ROLE));
    let long = "x".repeat(100_000);
    for n in 0..300 {
        let mut r = use_of(&format!("e{n}"), "ASIA1", &format!("Odd{n}"), "2026-11-20T03:00:00Z", &format!("ip-{n}"), &long, "eu-west-1");
        r["userIdentity"]["inScopeOf"]["credentialsIssuedToVersion"] = json!("\u{1b}[31m");
        l.hear("eu-west-1", &r.to_string());
    }
    let table = l.rows();
    assert_eq!((table[0].uses, table[0].cut), (300, true));
    assert_eq!((table[0].source_ips.len(), table[0].events.len()), (EACH, EACH));
    assert!(table[0].user_agents.iter().all(|a| a.chars().count() <= 300));
    assert!(!serde_json::to_string(&table).unwrap().contains("\\u001b"));
    for bad in ["", "null", "[]", "{}", "{\"eventID\": 7}", &"[".repeat(200_000), &" ".repeat(2 << 20)] {
        l.hear("eu-west-1", bad);
    }
    assert_eq!(l.unreadable, 7);
    // A key that no access key looks like is in the table, and in no question.
    let mut odd = use_of("odd", "ASIA\"; DROP", "ListBuckets", "never", "", "", "");
    odd["responseElements"] = json!({"credentials": []});
    hear(&mut l, &[odd]);
    assert_eq!(l.to_search(0), ["ASIA1"]);
    assert_eq!(l.rows().len(), 2);
}

#[test]
fn ends_of_credentials_as_cloudtrail_prints_them() {
    assert_eq!(expiration("Nov 1, 2026, 12:05:09 AM").as_deref(), Some("2026-11-01T00:05:09.000Z"));
    assert_eq!(expiration("Nov 21, 2026, 11:31:02\u{202f}PM").as_deref(), Some("2026-11-21T23:31:02.000Z"));
    assert_eq!(expiration("2026-11-21T23:31:02Z").as_deref(), Some("2026-11-21T23:31:02.000Z"));
    assert_eq!(expiration("tomorrow"), None);
}
