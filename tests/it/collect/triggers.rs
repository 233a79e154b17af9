//! What is particular to the collectors of triggers and identity.

use super::{Bag, is_gap, run, run_with};
use crate::support::wire::{Answer, Sent, World};
use freezeframe::model::gap::GapKind;
use freezeframe::model::item::{Item, ItemStatus};
use serde_json::{Value, json};

fn policy(statements: &Value) -> Answer {
    Answer::json(&json!({"Policy": json!({"Version": "2012-10-17", "Statement": statements}).to_string(), "RevisionId": "r"}))
}

fn admits(service: &str, source: Option<&str>) -> Value {
    let mut statement =
        json!({"Sid": "s", "Effect": "Allow", "Principal": {"Service": service}, "Action": "lambda:InvokeFunction", "Resource": "*"});
    if let Some(source) = source {
        statement["Condition"] = json!({"ArnLike": {"aws:SourceArn": source}});
    }
    statement
}

fn gone(key: &str) -> Answer {
    Answer::error(key, 404, if key.starts_with("IAM") { "NoSuchEntity" } else { "ResourceNotFoundException" })
}

fn table(bag: &Bag, subject: &str) -> Value {
    serde_json::from_slice(&bag.file(bag.item(subject), 0)).unwrap()
}

/// Every file of the bundle, searched for bytes.
fn somewhere(bag: &Bag, needle: &str) -> bool {
    fn below(dir: &std::path::Path, needle: &[u8]) -> bool {
        std::fs::read_dir(dir).unwrap().any(|e| {
            let path = e.unwrap().path();
            if path.is_dir() { below(&path, needle) } else { std::fs::read(&path).unwrap().windows(needle.len()).any(|w| w == needle) }
        })
    }
    below(bag.draft.dir(), needle.as_bytes())
}

// ── resource policies: what their statements mean ──

#[tokio::test]
async fn everybody_is_an_item_of_its_own_and_known_services_point_to_where_they_are() {
    let bag = run(&["resource-policy"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    let open: Vec<_> = bag.items.iter().filter(|i| i.subject.starts_with("open to everybody: statement public of")).collect();
    assert_eq!(open.len(), 5, "the function, $LATEST, an alias, two versions");
    assert!(open.iter().all(|i| i.derived_from.len() == 1));
    let all = table(&bag, "statements of all resource policies in one table");
    assert_eq!(all.as_array().unwrap().len(), 4 * 13 + 1, "of $LATEST only the newer call tells, and it tells one");
    let machine = table(&bag, "trigger to be looked up by a person: states.amazonaws.com");
    assert!(machine["look"].as_str().unwrap().contains("describe-state-machine"));
    assert!(machine["sources"][0].as_str().unwrap().contains("stateMachine:ledger"));
}

#[tokio::test]
async fn an_unknown_principal_is_an_unresolved_trigger() {
    for (statement, kind, subject) in [
        (
            admits("brand-new.amazonaws.com", Some("arn:aws:brand-new:eu-west-1:1:x")),
            GapKind::Unsupported,
            "unresolved trigger: brand-new.amazonaws.com",
        ),
        (admits("s3.amazonaws.com", None), GapKind::NotAcquirable, "unresolved trigger: s3.amazonaws.com without one source"),
        (
            admits("sns.amazonaws.com", Some("arn:aws:sns:*:*:*")),
            GapKind::NotAcquirable,
            "unresolved trigger: sns.amazonaws.com without one source",
        ),
        (admits("evil.example\u{1b}[31m", None), GapKind::Unsupported, "unresolved trigger: evil.example [31m"),
    ] {
        let world = World::default().on("Lambda.GetPolicy", [policy(&json!([statement]))]);
        let bag = run(&["resource-policy"], world).await;
        let item = bag.item(subject);
        assert!(is_gap(item, kind), "{item:?}");
    }
    // A denial admits nobody; a document that is none is said to be none.
    let mut deny = admits("brand-new.amazonaws.com", None);
    deny["Effect"] = json!("Deny");
    let bag = run(&["resource-policy"], World::default().on("Lambda.GetPolicy", [policy(&json!([deny]))])).await;
    assert_eq!(bag.gaps(), []);
    let bag = run(&["resource-policy"], World::default().on("Lambda.GetPolicy", [Answer::json(&json!({"Policy": "<no policy>"}))])).await;
    assert_eq!(bag.gaps().len(), 4);
}

#[tokio::test]
async fn what_only_the_newer_call_shows_is_a_trigger_and_a_denial_is_seen() {
    let mut deny = admits("s3.amazonaws.com", Some("arn:aws:s3:::never-asked"));
    (deny["Effect"], deny["Sid"]) = (json!("Deny"), json!("keep-out"));
    let statements = json!([admits("sns.amazonaws.com", Some("arn:aws:sns:eu-west-1:123456789012:only-in-the-document")), deny]);
    let world = || {
        let none = gone("Lambda.GetPolicy");
        let document = json!({"Policy": json!({"Version": "2012-10-17", "Statement": statements}).to_string(), "RevisionId": "r"});
        World::default().on("Lambda.GetPolicy", [none]).on("Lambda.GetResourcePolicy", [Answer::json(&document)])
    };
    let bag = run(&["resource-policy", "sns-subscriptions", "s3-notifications"], world()).await;
    assert_eq!(bag.gaps(), []);
    assert!(bag.sent("SNS.ListSubscriptionsByTopic").iter().all(|s| s.says("only-in-the-document")));
    assert!(!bag.sent("SNS.ListSubscriptionsByTopic").is_empty() && bag.sent("S3.GetBucketNotificationConfiguration").is_empty());
    let denials: Vec<_> = bag.items.iter().filter(|i| i.subject.starts_with("denied by a resource policy: statement keep-out")).collect();
    assert_eq!(denials.len(), 5, "the function, $LATEST, an alias, two versions");
    let asked = |i: &&&Item| !i.subject.contains("of $LATEST");
    assert_eq!(denials.iter().filter(asked).count(), 4);
    assert!(denials.iter().all(|i| asked(&i) == i.subject.ends_with("which GetPolicy does not show")), "{denials:?}");
    assert_eq!(bag.sent("Lambda.GetResourcePolicy").len(), 5, "asked once for all of them");
    let all = table(&bag, "statements of all resource policies in one table");
    assert!(all.as_array().unwrap().iter().all(|g| g["shownBy"] == "GetResourcePolicy"), "{all}");
    // What cannot be read there is a gap with every search, as with the older call.
    let denied = Answer::error("Lambda.GetResourcePolicy", 403, "AccessDeniedException");
    let bag = run(&["sns-subscriptions"], World::default().on("Lambda.GetResourcePolicy", [denied])).await;
    assert!(is_gap(bag.item("SNS topics that further resource policies name"), GapKind::Denied));
}

#[tokio::test]
async fn a_policy_cannot_make_us_ask_another_host_or_the_wrong_service() {
    let statements = json!([
        admits("sns.amazonaws.com", Some("arn:aws:sns:x-1.evil.example/#:1:topic")),
        admits("sns.amazonaws.com", Some("arn:aws:sqs:eu-west-1:1:queue")),
        admits("sns.amazonaws.com", Some("arn:aws-cn:sns:eu-west-1:1:topic")),
        admits("elasticloadbalancing.amazonaws.com", Some("arn:aws:elasticloadbalancing:EU:1:targetgroup/x")),
    ]);
    let world = World::default().on("Lambda.GetPolicy", [policy(&statements)]);
    let bag = run(&["sns-subscriptions", "load-balancer-targets"], world).await;
    assert!(bag.world.sent().iter().all(|s| s.key.starts_with("Lambda.")), "{:?}", bag.world.sent());
    assert_eq!(bag.item("SNS subscriptions").status, ItemStatus::NotApplicable);
}

/// `AddPermission --principal "*" --source-arn …`: the bucket fires the function as well as if the service had been named.
#[tokio::test]
async fn sources_on_whose_behalf_everybody_may_call_are_followed_like_those_of_a_service() {
    let everybody = |principal: Value, source: &str| {
        let mut statement = admits("", Some(source));
        statement["Principal"] = principal;
        statement
    };
    let anyone = |source| everybody(json!("*"), source);
    let statements = json!([
        anyone("arn:aws:s3:::anybodys-inbox"),
        everybody(json!({"AWS": "*"}), "arn:aws:sns:eu-west-1:123456789012:anybodys-topic"),
        anyone("arn:aws:secretsmanager:eu-west-1:123456789012:secret:rotated"),
        anyone("arn:aws:states:eu-west-1:123456789012:stateMachine:ledger"),
    ]);
    let searches = ["resource-policy", "s3-notifications", "sns-subscriptions", "named-sources", "load-balancer-targets"];
    let world = |statements: &Value| World::default().on("Lambda.GetPolicy", [policy(statements)]);
    let bag = run(&searches, world(&statements)).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("notifications of bucket anybodys-inbox").status, ItemStatus::Collected);
    assert!(bag.sent("SNS.ListSubscriptionsByTopic").iter().any(|s| s.says("anybodys-topic")));
    assert_eq!((bag.sent("Secrets-Manager.ListSecrets").len(), bag.sent("Cognito-Identity-Provider.DescribeUserPool").len()), (1, 0));
    let machine = table(&bag, "trigger to be looked up by a person: states.amazonaws.com");
    assert_eq!(machine["sources"], json!(["arn:aws:states:eu-west-1:123456789012:stateMachine:ledger"]));
    // What no collector looks up, and what names no one thing, stays open.
    for (source, kind, subject) in [
        ("arn:aws:brand-new:eu-west-1:1:x", GapKind::Unsupported, "unresolved trigger: brand-new.amazonaws.com"),
        ("arn:aws:s3:::*", GapKind::NotAcquirable, "unresolved trigger: s3.amazonaws.com without one source"),
        ("*", GapKind::Unsupported, "unresolved trigger: everybody, for sources of no known form"),
    ] {
        let bag = run(&["resource-policy", "s3-notifications"], world(&json!([anyone(source)]))).await;
        assert!(is_gap(bag.item(subject), kind), "{source}");
        assert!(bag.sent("S3.GetBucketNotificationConfiguration").is_empty(), "{source}");
    }
    let mut deny = anyone("arn:aws:s3:::never-asked");
    deny["Effect"] = json!("Deny");
    let bag = run(&["resource-policy", "s3-notifications"], world(&json!([deny]))).await;
    assert_eq!((bag.gaps(), bag.sent("S3.GetBucketNotificationConfiguration").len()), (vec![], 0));
}

#[tokio::test]
async fn statements_on_latest_and_on_what_is_published_of_it_are_triggers_too() {
    let mut list: Value = serde_json::from_str(&World::healthy("Lambda.ListVersionsByFunction").text()).unwrap();
    list["Versions"][0]["CapacityProviderConfig"] = list["Versions"][2]["CapacityProviderConfig"].clone();
    let document =
        json!({"Version": "2012-10-17", "Statement": [admits("sns.amazonaws.com", Some("arn:aws:sns:eu-west-1:123456789012:on-latest"))]});
    let none = |key| [gone(key)];
    let world = World::default()
        .on("Lambda.ListVersionsByFunction", [Answer::json(&list)])
        .on("Lambda.GetPolicy", none("Lambda.GetPolicy"))
        .when(
            "Lambda.GetPolicy",
            |s| s.says("Qualifier=%24LATEST.PUBLISHED"),
            [policy(&json!([admits("s3.amazonaws.com", Some("arn:aws:s3:::on-the-published"))]))],
        )
        .on("Lambda.GetResourcePolicy", none("Lambda.GetResourcePolicy"))
        .when("Lambda.GetResourcePolicy", |s| s.uri.ends_with("%3A%24LATEST"), [Answer::json(&json!({"Policy": document.to_string()}))]);
    let bag = run(&["resource-policy", "resource-policy-document", "s3-notifications", "sns-subscriptions"], world).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("notifications of bucket on-the-published").status, ItemStatus::Collected);
    assert!(bag.sent("SNS.ListSubscriptionsByTopic").iter().any(|s| s.says("on-latest")));
    let all = table(&bag, "statements of all resource policies in one table");
    let mut whose: Vec<_> = all.as_array().unwrap().iter().map(|g| g["whose"].as_str().unwrap()).collect();
    whose.sort_unstable();
    assert_eq!(whose, ["$LATEST", "version $LATEST.PUBLISHED"]);
    assert!(bag.sent("Lambda.GetPolicy").iter().all(|s| !s.uri.ends_with("%24LATEST")), "AddPermission refuses it");
}

#[tokio::test]
async fn that_lambda_takes_no_latest_is_an_answer_and_for_an_alias_the_same_refusal_is_a_gap() {
    let refused = |key| [Answer::error(key, 400, "InvalidParameterValueException")];
    let (mappings, document) = ("Lambda.ListEventSourceMappings", "Lambda.GetResourcePolicy");
    let searches = ["resource-policy-document", "event-source-mappings", "delivery-targets", "s3-notifications"];
    let latest = |s: &Sent| s.says("%3A%24LATEST");
    let bag = run(&searches, World::default().when(mappings, latest, refused(mappings)).when(document, latest, refused(document))).await;
    assert_eq!(bag.gaps(), []);
    for subject in ["event source mappings of $LATEST", "policy document of $LATEST"] {
        let item = bag.item(subject);
        assert!(item.status == ItemStatus::NotApplicable && item.exchanges.len() == 1, "{item:?}");
    }
    let live = |s: &Sent| s.says("%3Alive");
    let bag = run(&searches, World::default().when(mappings, live, refused(mappings)).when(document, live, refused(document))).await;
    let mut open: Vec<_> = bag.gaps().into_iter().map(|(collector, ..)| collector).collect();
    open.sort_unstable();
    assert_eq!(open, ["delivery-targets", "event-source-mappings", "resource-policy-document", "s3-notifications"]);
}

#[tokio::test]
async fn policies_that_cannot_be_read_leave_a_gap_with_every_search_that_needs_them() {
    let searches =
        ["eventbridge-rules", "log-subscriptions", "s3-notifications", "sns-subscriptions", "api-gateways", "load-balancer-targets"];
    let world = World::default().on("Lambda.GetPolicy", [Answer::error("Lambda.GetPolicy", 403, "AccessDeniedException")]);
    let bag = run(&searches, world).await;
    for search in searches {
        let open: Vec<_> = bag.of(search).into_iter().filter(|i| is_gap(i, GapKind::Denied)).collect();
        assert_eq!(open.len(), 1, "{search}");
        assert!(open[0].subject.contains("that further resource policies name"), "{:?}", open[0]);
    }
    assert_eq!(bag.sent("Lambda.GetPolicy").len(), 4, "asked once for all of them");
}

// ── triggers ──

#[tokio::test]
async fn rules_are_sought_on_every_bus_under_every_name_and_where_policies_name_them() {
    let bag = run(&["eventbridge-rules"], World::default()).await;
    let searches = bag.sent("EventBridge.ListRuleNamesByTarget");
    assert_eq!(searches.len(), 2 * 5, "two buses; the function, $LATEST, an alias, two versions");
    assert_eq!(searches.iter().filter(|s| s.says(":payments-export:$LATEST\"")).count(), 2);
    assert!(searches.iter().any(|s| s.says(":payments-export:live") && s.says(r#""EventBusName":"ledger""#)));
    let mut read: Vec<_> =
        bag.of("eventbridge-rules").iter().filter(|i| i.subject.starts_with("EventBridge rule ")).map(|i| i.subject.clone()).collect();
    read.sort();
    let names: Vec<_> = read.iter().map(|s| s.split(" in ").next().unwrap()).collect();
    assert_eq!(names, ["EventBridge rule ledger-closed on bus default", "EventBridge rule ledger-closed on bus ledger"]);
    // The default bus is there even when we may not list the others.
    let world =
        World::default().on("EventBridge.ListEventBuses", [Answer::error("EventBridge.ListEventBuses", 403, "AccessDeniedException")]);
    let bag = run(&["eventbridge-rules"], world).await;
    assert_eq!(bag.sent("EventBridge.ListRuleNamesByTarget").len(), 5);
    let bag = run_with(&["eventbridge-rules"], World::default(), r#"{"max-searches": 3}"#).await;
    assert!(is_gap(bag.item("EventBridge rules of further names and buses"), GapKind::TooLarge));
    assert_eq!(bag.sent("EventBridge.ListRuleNamesByTarget").len(), 3);
}

#[tokio::test]
async fn of_schedules_and_pipes_only_those_that_may_call_the_function_are_read() {
    let bag = run(&["schedules", "pipes"], World::default()).await;
    let read: Vec<_> = bag.sent("Scheduler.GetSchedule").iter().map(|s| s.uri.clone()).collect();
    assert_eq!(read.len(), 2, "{read:?}");
    assert!(
        read.contains(&"/schedules/nightly?groupName=default".to_string())
            && read.contains(&"/schedules/universal?groupName=odd".to_string())
    );
    let read: Vec<_> = bag.sent("Pipes.DescribePipe").iter().map(|s| s.uri.clone()).collect();
    assert_eq!(read, ["/v1/pipes/orders"], "by its enrichment");
}

#[tokio::test]
async fn an_api_is_of_one_kind_or_the_other() {
    let bag = run(
        &["api-gateways"],
        World::default().on("API-Gateway.GetRestApi", [Answer::error("API-Gateway.GetRestApi", 404, "NotFoundException")]),
    )
    .await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("REST API a1b2c3d4e5 in").status, ItemStatus::NotFound);
    assert!(bag.sent("API-Gateway.GetStages").is_empty());
    assert_eq!(bag.item("stages of HTTP or WebSocket API").status, ItemStatus::Collected);
    let bag = run(&["api-gateways"], World::default()).await;
    assert!(bag.sent("API-Gateway.GetResources")[0].says("embed=methods"), "without it there are no integrations");
}

/// As the service does it: whoever does not ask for plain JSON gets HAL.
#[tokio::test]
async fn api_gateway_is_asked_for_plain_json_and_hal_is_no_empty_list() {
    const LISTS: [&str; 3] = ["API-Gateway.GetResources", "API-Gateway.GetAuthorizers", "API-Gateway.GetStages"];
    let hal = || Answer::json(&json!({"_links": {"next": {"href": "/restapis/a?position=p"}}, "_embedded": {"item": {"id": "only"}}}));
    let not_plain = |s: &Sent| s.header("accept") != Some("application/json");
    let world = LISTS.into_iter().fold(World::default(), |world, key| world.when(key, not_plain, [hal()]));
    let bag = run(&["api-gateways"], world).await;
    assert_eq!(bag.gaps(), []);
    for what in ["resources, methods and integrations", "authorizers", "stages"] {
        assert_eq!(bag.item(&format!("{what} of REST API")).status, ItemStatus::Collected, "{what}");
    }
    let signed = &bag.sent("API-Gateway.GetStages")[0];
    assert!(signed.header("authorization").is_some_and(|a| a.contains("SignedHeaders=accept;")), "{signed:?}");
    // An endpoint that answers in HAL all the same has told us nothing that we can read.
    let world = LISTS.into_iter().fold(World::default(), |world, key| world.on(key, [hal()]));
    let bag = run(&["api-gateways"], world).await;
    assert_eq!(bag.gaps().iter().map(|g| g.1).collect::<Vec<_>>(), [GapKind::Transport; 3], "{:?}", bag.gaps());
}

#[tokio::test]
async fn a_subscription_of_ours_is_read_and_nobody_else_s() {
    let bag = run(&["sns-subscriptions"], World::default()).await;
    let [sent] = bag.sent("SNS.GetSubscriptionAttributes").try_into().unwrap();
    assert!(sent.says("0a0a0a0a"));
}

#[tokio::test]
async fn log_groups_are_the_function_s_own_the_default_one_and_those_that_policies_name() {
    let bag = run(&["log-subscriptions"], World::default()).await;
    for group in ["/payments/export", "/aws/lambda/payments-export", "/payments/gateway"] {
        assert_eq!(bag.item(&format!("subscription filters of log group {group} in")).status, ItemStatus::Collected, "{group}");
    }
}

#[tokio::test]
async fn mappings_of_the_account_show_who_shares_a_source() {
    let mut body: Value = serde_json::from_str(&World::healthy("Lambda.ListEventSourceMappings").text()).unwrap();
    let mut other = body["EventSourceMappings"][0].clone();
    other["UUID"] = json!("99999999-2222-3333-4444-555555555555");
    other["FunctionArn"] = json!("arn:aws:lambda:eu-west-1:123456789012:function:hijacker");
    body["EventSourceMappings"].as_array_mut().unwrap().push(other);
    let bag = run(&["account-mappings"], World::default().on("Lambda.ListEventSourceMappings", [Answer::json(&body)])).await;
    assert!(!bag.sent("Lambda.ListEventSourceMappings")[0].says("FunctionName"));
    let table = table(&bag, "event source mappings by source");
    assert_eq!(table["arn:aws:sqs:eu-west-1:123456789012:payments"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_answer_that_is_not_in_the_service_s_form_is_no_empty_list() {
    for (collector, key) in
        [("pipes", "Pipes.ListPipes"), ("sns-subscriptions", "SNS.ListSubscriptionsByTopic"), ("schedules", "Scheduler.ListSchedules")]
    {
        let bag = run(&[collector], World::default().on(key, [Answer::new(200, "text/html", "<html><p>sign in here</html>")])).await;
        let found = bag.asked(collector, key.split('.').nth(1).unwrap());
        assert!(!found.is_empty() && found.iter().all(|i| is_gap(i, GapKind::Transport)), "{found:?}");
    }
}

// ── identity ──

#[tokio::test]
async fn the_census_counts_and_keeps_nobody_s_environment() {
    let bag = run(&["shared-role-census"], World::default()).await;
    let census = table(&bag, "functions and their roles, without their environment");
    assert_eq!((&census["functions"], &census["sharingTheRole"], &census["complete"]), (&json!(3), &json!(2), &json!(true)));
    let mut members: Vec<_> = census["census"][1].as_object().unwrap().keys().cloned().collect();
    members.sort();
    assert_eq!(members, ["arn", "lastModified", "name", "role", "sharesRole", "versions"]);
    assert!(bag.sent("Lambda.ListFunctions").iter().all(|s| s.says("FunctionVersion=ALL")));
    assert!(!somewhere(&bag, "a-neighbours-secret") && !somewhere(&bag, "NEIGHBOUR_KEY"), "a stranger's secret in the bundle");
    let item = bag.item("functions in ");
    let [exchange] = bag.exchanges(item).try_into().unwrap();
    let healthy = World::healthy("Lambda.ListFunctions").text();
    assert_eq!((exchange.body_bytes, exchange.body), (healthy.len() as u64, None));
    assert_eq!(exchange.body_sha256, None, "a digest of what is not kept lets a short secret be guessed");
    assert_eq!(exchange.body_end, freezeframe::model::exchange::BodyEnd::Complete);
    assert!(exchange.body_withheld.is_some_and(|why| why.contains("environment")));
}

/// A version keeps the role that it was published with.
#[tokio::test]
async fn a_function_whose_older_version_runs_under_the_role_shares_it() {
    let mut list: Value = serde_json::from_str(&World::healthy("Lambda.ListFunctions").text()).unwrap();
    let (ours, unrelated) = (list["Functions"][0]["Role"].clone(), list["Functions"][2].clone());
    for number in ["1", "2"] {
        let mut version = unrelated.clone();
        (version["Version"], version["Role"]) = (number.into(), ours.clone());
        (version["FunctionArn"], version["LastModified"]) = (
            format!("{}:{number}", unrelated["FunctionArn"].as_str().unwrap()).into(),
            format!("2026-09-0{number}T08:00:00.000+0000").into(),
        );
        list["Functions"].as_array_mut().unwrap().push(version);
    }
    let bag = run(&["shared-role-census"], World::default().on("Lambda.ListFunctions", [Answer::json(&list)])).await;
    let census = table(&bag, "functions and their roles, without their environment");
    assert_eq!((&census["functions"], &census["sharingTheRole"]), (&json!(3), &json!(3)), "functions are counted, not versions");
    let lines: Vec<&Value> = census["census"].as_array().unwrap().iter().filter(|l| l["name"] == "unrelated").collect();
    assert_eq!((&lines[0]["versions"], &lines[0]["sharesRole"]), (&json!(["$LATEST"]), &json!(false)));
    assert_eq!((&lines[1]["versions"], &lines[1]["sharesRole"]), (&json!(["1", "2"]), &json!(true)));
    assert_eq!((&lines[1]["arn"], &lines[1]["lastModified"]), (&unrelated["FunctionArn"], &json!("2026-09-02T08:00:00.000+0000")));
}

#[tokio::test]
async fn roles_are_compared_by_all_of_their_names_however_long_these_are() {
    let role = |n: u8| format!("arn:aws:iam::123456789012:role/{}/r{n}", "p".repeat(480));
    let mut list: Value = serde_json::from_str(&World::healthy("Lambda.ListFunctions").text()).unwrap();
    let mut function: Value = serde_json::from_str(&World::healthy("Lambda.GetFunction").text()).unwrap();
    (list["Functions"][0]["Role"], list["Functions"][1]["Role"]) = (role(1).into(), role(2).into());
    function["Configuration"]["Role"] = role(1).into();
    let world = World::default().on("Lambda.ListFunctions", [Answer::json(&list)]).on("Lambda.GetFunction", [Answer::json(&function)]);
    let census = table(&run(&["shared-role-census"], world).await, "functions and their roles, without their environment");
    let shares: Vec<_> = census["census"].as_array().unwrap().iter().map(|l| (l["role"] == role(1), &l["sharesRole"])).collect();
    assert_eq!(shares[..2], [(true, &json!(true)), (false, &json!(false))], "{census:#}");
    assert_eq!(census["sharingTheRole"], 1);
}

#[tokio::test]
async fn a_cut_answer_of_the_census_is_not_kept_either_and_further_regions_are_asked() {
    let cut = World::healthy("Lambda.ListFunctions").cut();
    let bag = run(&["shared-role-census"], World::default().on("Lambda.ListFunctions", [cut])).await;
    assert!(!somewhere(&bag, "PAYMENTS_KEY\": \"not-a-real-key\"\n    }\n   }\n  },\n  {"));
    assert!(bag.exchanges(bag.item("functions in ")).iter().all(|x| x.body.is_none() && x.body_withheld.is_some()));
    let bag = run_with(&["shared-role-census"], World::default(), r#"{"regions": "eu-west-1,us-east-1"}"#).await;
    let mut hosts: Vec<_> = bag.sent("Lambda.ListFunctions").iter().map(|s| s.host.clone()).collect();
    hosts.sort();
    assert_eq!(hosts, ["lambda.eu-west-1.amazonaws.com", "lambda.us-east-1.amazonaws.com"]);
}

#[tokio::test]
async fn iam_s_report_is_waited_for_and_no_longer_than_allowed() {
    let healthy = World::healthy("IAM.GetServiceLastAccessedDetails").text();
    let waiting = Answer::new(200, "text/xml", healthy.replace("COMPLETED", "IN_PROGRESS"));
    let done = Answer::new(200, "text/xml", healthy.clone());
    let world = World::default().on("IAM.GetServiceLastAccessedDetails", [waiting.clone(), waiting.clone(), done]);
    let bag = run(&["service-last-accessed"], world).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("services and actions that the role used last").files.len(), 3, "every answer is kept");
    assert!(bag.sent("IAM.GenerateServiceLastAccessedDetails")[0].says("Granularity=ACTION_LEVEL"));
    let bag =
        run_with(&["service-last-accessed"], World::default().on("IAM.GetServiceLastAccessedDetails", [waiting]), r#"{"patience": "10s"}"#)
            .await;
    assert_eq!(bag.gaps().iter().map(|g| g.1).collect::<Vec<_>>(), [GapKind::OutOfTime]);
    assert_eq!(bag.sent("IAM.GetServiceLastAccessedDetails").len(), 6, "every two seconds");
    let failed = Answer::new(200, "text/xml", healthy.replace("COMPLETED", "FAILED"));
    let bag = run(&["service-last-accessed"], World::default().on("IAM.GetServiceLastAccessedDetails", [failed])).await;
    assert_eq!(bag.gaps().len(), 1);
}

#[tokio::test]
async fn an_account_without_an_organisation_or_a_key_says_so_and_leaves_no_gap() {
    let none = || Answer::error("Organizations.x", 400, "AWSOrganizationsNotInUseException");
    let world = World::default().on("Organizations.ListParents", [none()]).on("Organizations.ListPoliciesForTarget", [none()]);
    let bag = run(&["organization-policies"], world).await;
    assert_eq!(bag.gaps(), []);
    assert!(
        bag.of("organization-policies")
            .iter()
            .all(|i| i.status == ItemStatus::NotApplicable && i.detail.as_deref().unwrap().contains("no organisation"))
    );
    let mut body: Value = serde_json::from_str(&World::healthy("Lambda.GetFunction").text()).unwrap();
    body["Configuration"].as_object_mut().unwrap().retain(|k, _| k != "KMSKeyArn" && k != "DeadLetterConfig");
    let world = World::default()
        .on("Lambda.GetFunction", [Answer::json(&body)])
        .on("Lambda.ListVersionsByFunction", [Answer::json(&json!({"Versions": []}))])
        .on("Lambda.ListEventSourceMappings", [Answer::json(&json!({"EventSourceMappings": []}))])
        .on("Lambda.ListFunctionEventInvokeConfigs", [gone("Lambda.ListFunctionEventInvokeConfigs")]);
    let bag = run(&["function-key", "delivery-targets"], world).await;
    assert_eq!(bag.gaps(), []);
    assert_eq!(bag.item("customer's encryption keys of the function").status, ItemStatus::NotApplicable);
    assert_eq!(bag.item("policies of queues and destinations").status, ItemStatus::NotApplicable);
}

#[tokio::test]
async fn policies_are_read_up_to_the_root_and_in_no_circle() {
    let root = Answer::json(&json!({"Parents": [{"Id": "r-ab12", "Type": "ROOT"}]}));
    let world = World::default().when("Organizations.ListParents", |s| s.says("ou-ab12"), [root]);
    let bag = run(&["organization-policies"], world).await;
    let asked: Vec<_> = bag.sent("Organizations.ListPoliciesForTarget").iter().map(|s| s.body.clone()).collect();
    assert_eq!(asked.len(), 6, "account, unit and root, each for two kinds");
    assert!(asked.iter().any(|b| b.contains("r-ab12") && b.contains("RESOURCE_CONTROL_POLICY")));
    assert_eq!(bag.sent("Organizations.DescribePolicy").len(), 1);
    // The world's own unit is its own parent.
    assert_eq!(run(&["organization-policies"], World::default()).await.sent("Organizations.ListParents").len(), 2);
}

#[tokio::test]
async fn each_destination_is_asked_by_its_own_service_and_no_message_is_received() {
    let bag = run(&["delivery-targets"], World::default()).await;
    assert_eq!(bag.gaps(), []);
    for subject in ["attributes of topic", "policy of event bus", "policy of bucket"] {
        assert_eq!(bag.item(subject).status, ItemStatus::Collected, "{subject}");
    }
    // Dead letters of $LATEST and of a version, what a mapping could not deliver, what feeds it, and where that queue lays what nobody takes.
    for queue in ["payments-export-dead", "payments-old-dead", "payments-unprocessed", "payments", "payments-redriven"] {
        let item =
            bag.items.iter().find(|i| i.subject.ends_with(&format!("attributes of queue arn:aws:sqs:eu-west-1:123456789012:{queue}")));
        assert_eq!(item.map(|i| i.status), Some(ItemStatus::Collected), "{queue}");
    }
    assert_eq!(bag.item("policy of destination arn:aws:lambda").status, ItemStatus::NotApplicable);
    assert!(bag.world.sent().iter().all(|s| !s.key.contains("Receive")));
}
