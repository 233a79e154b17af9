//! What is particular to the actions on a function's surface: scaling, resource policies, mappings, URLs, provisioned concurrency, signing.

use super::rig::{Rig, never, nobody, permit};
use crate::support::cells::surface::{ALIAS_MAPPING, ENFORCING, OWN_MAPPING, RESPONDER, Surface, WARNING, bucket_grant, policy_of};
use crate::support::cells::{FUNCTION, World, params_of, target};
use freezeframe::contain::{ACTIONS, find};
use freezeframe::engine::log::{IntentLog, MemLog};
use freezeframe::engine::{Accept, Back, ContainReport, OnFailure, Stand, Step};
use freezeframe::model::outcome::Outcome;
use freezeframe::model::params::Params;
use serde_json::{Value, json};

async fn accepting(rig: &Rig, log: &dyn IntentLog, action: &str, with: Value, accept: Accept) -> ContainReport {
    let params: Params = serde_json::from_value(with).unwrap();
    let steps = [Step { action: find(action).unwrap(), params: &params, accept }];
    rig.with(log, &never, &nobody, async |s| s.contain(&steps, &target(), &permit(), OnFailure::Hold, false).await).await
}

pub async fn contain(rig: &Rig, log: &dyn IntentLog, action: &str, with: Value) -> ContainReport {
    accepting(rig, log, action, with, Accept::ExactOnly).await
}

pub fn world(change: impl FnOnce(&mut Surface)) -> World {
    let mut world = World::shared_role();
    change(&mut world.functions.get_mut(FUNCTION).unwrap().surface);
    world
}

fn surface(rig: &Rig) -> Surface {
    rig.aws.world().functions[FUNCTION].surface.clone()
}

pub fn policy(rig: &Rig, qualifier: &str) -> Value {
    serde_json::from_str(&surface(rig).policies[qualifier]).unwrap()
}

fn cells(report: &ContainReport) -> Vec<(&str, Stand)> {
    report.cells.iter().map(|c| (c.cell.0.as_str(), c.stand)).collect()
}

/// What was refused, in its words.
#[track_caller]
fn refusal(report: &ContainReport) -> &str {
    assert_eq!((report.outcome(), report.actions.len(), report.cells.len()), (Outcome::Refused, 1, 0), "{report:?}");
    assert!(report.actions[0].refused);
    &report.actions[0].error.what
}

#[tokio::test]
async fn where_there_is_nothing_to_contain_that_is_said_and_nothing_is_wrong() {
    let bare = || world(|s| *s = Surface::bare());
    for (action, words) in [
        ("scale-to-zero", "no version of payments-export runs on managed instances"),
        ("pause-event-source-mappings", "payments-export has no event source mapping"),
        ("close-function-urls", "payments-export has no function URL"),
        ("release-provisioned-concurrency", "payments-export has no provisioned concurrency"),
    ] {
        let (rig, log) = (Rig::new(bare()), MemLog::default());
        let report = contain(&rig, &log, action, json!({})).await;
        assert_eq!((report.outcome(), report.cells.len(), report.actions.len()), (Outcome::Complete, 0, 0), "{report:?}");
        assert!(report.remarks[0].words.contains(words) && report.remarks[0].action == action, "{report:?}");
        assert!(report.rows().iter().any(|(what, how)| what == action && how.contains(words)), "it is printed");
        assert_eq!((rig.aws.world(), log.events().len()), (bare(), 0));
    }
}

#[tokio::test]
async fn only_what_is_named_is_touched_and_a_slip_is_refused() {
    for (action, only, cell) in [
        ("scale-to-zero", "1", "scale-to-zero/payments-export:1"),
        ("deny-invocation", "live", "deny-invocation/payments-export:live"),
        ("deny-invocation", "$LATEST", "deny-invocation/payments-export"),
        ("pause-event-source-mappings", OWN_MAPPING, "pause-event-source-mappings/0f0e0000-0000-4000-8000-000000000000"),
        ("close-function-urls", "$LATEST", "close-function-urls/payments-export"),
        ("release-provisioned-concurrency", "live", "release-provisioned-concurrency/payments-export:live"),
    ] {
        let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
        let report = contain(&rig, &log, action, json!({"only": only})).await;
        assert_eq!(cells(&report), [(cell, Stand::Contained)]);
        assert_eq!(rig.aws.landed().len(), 1);

        let rig = Rig::new(World::shared_role());
        let report = contain(&rig, &log, action, json!({"only": "lives"})).await;
        assert!(refusal(&report).contains("`lives`; there are: "), "{report:?}");
        assert!(rig.aws.landed().is_empty());
    }
}

#[tokio::test]
async fn a_version_that_was_never_scaled_is_unset_again() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    let report = contain(&rig, &log, "scale-to-zero", json!({})).await;
    let before: Vec<&Value> = report.cells.iter().filter_map(|c| c.before.as_ref()).collect();
    assert_eq!(before, [&json!({"min": 3, "max": 40}), &json!({})]);
    assert!(surface(&rig).scaling.values().all(|s| *s == Some(json!({"MinExecutionEnvironments": 0, "MaxExecutionEnvironments": 0}))));
    rig.restore(&log).await;
    assert_eq!(rig.aws.world(), World::shared_role(), "no configuration is not one of zeros");

    // `$LATEST` that was never published has nothing that runs.
    let (rig, log) = (Rig::new(world(|s| drop(s.scaling.remove("$LATEST.PUBLISHED")))), MemLog::default());
    let report = contain(&rig, &log, "scale-to-zero", json!({})).await;
    assert_eq!(cells(&report), [("scale-to-zero/payments-export:1", Stand::Contained)]);
}

#[tokio::test]
async fn a_deny_is_added_to_the_document_and_every_grant_stays() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    let report = contain(&rig, &log, "deny-invocation", json!({})).await;
    assert_eq!(report.outcome(), Outcome::Complete, "{report:?}");
    let arn = target().arn();
    let deny = |resource: Value| {
        json!({"Sid": "FreezeframeDenyInvocation", "Effect": "Deny", "Principal": "*",
               "Action": ["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"], "Resource": resource})
    };
    let own = policy(&rig, "");
    assert_eq!(own["Statement"], json!([bucket_grant("", "s3"), deny(json!([arn, format!("{arn}:*")]))]));
    assert_eq!(own["Id"], "a+b 100%25 é & <x>");
    for qualifier in ["live", "1"] {
        let made = policy(&rig, qualifier);
        assert_eq!(made, json!({"Version": "2012-10-17", "Statement": [deny(json!(format!("{arn}:{qualifier}")))]}));
    }
    rig.restore(&log).await;
    assert_eq!(rig.aws.world(), World::shared_role(), "byte for byte");
    assert_eq!(rig.aws.landed().iter().filter(|o| *o == "DeleteResourcePolicy").count(), 2);
}

#[tokio::test]
async fn lambda_may_write_our_document_in_its_own_way() {
    // Blanks and order of members are Lambda's affair once the document is ours: it holds, and it goes back.
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    contain(&rig, &log, "deny-invocation", json!({})).await;
    rig.aws.change(|w| {
        for text in w.functions.get_mut(FUNCTION).unwrap().surface.policies.values_mut() {
            *text = serde_json::to_string_pretty(&serde_json::from_str::<Value>(text).unwrap()).unwrap();
        }
    });
    let again = contain(&rig, &log, "deny-invocation", json!({})).await;
    assert!(again.cells.iter().all(|c| c.stand == Stand::AlreadyContained), "{again:?}");
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), World::shared_role());
}

#[tokio::test]
async fn a_document_without_room_for_the_deny_is_refused_before_anything_is_written() {
    let full = policy_of(&[json!({"Sid": "x".repeat(20_300), "Effect": "Allow"})]);
    assert!(full.len() < 20_480);
    let start = world(|s| drop(s.policies.insert(String::new(), full)));
    let (rig, log) = (Rig::new(start.clone()), MemLog::default());
    let report = contain(&rig, &log, "deny-invocation", json!({"only": "$LATEST"})).await;
    assert!(matches!(report.cells[0].stand, Stand::Untouched | Stand::Refused), "{report:?}");
    let what = &report.cells[0].error.as_ref().unwrap().what;
    assert!(what.contains("Lambda takes 20480"), "{what}");
    assert_eq!((rig.aws.world(), log.events().len()), (start, 0));
}

#[tokio::test]
async fn a_public_policy_that_aws_does_not_take_back_is_told() {
    // Refused while containing: nothing is changed.
    let start = world(|s| s.public = Some("s3.amazonaws.com"));
    let (rig, log) = (Rig::new(start.clone()), MemLog::default());
    let report = contain(&rig, &log, "deny-invocation", json!({"only": "$LATEST"})).await;
    let what = &report.cells[0].error.as_ref().unwrap().what;
    assert!(what.contains("the policy that is there is public") && what.contains("PublicPolicyException"), "{what}");
    assert_eq!(rig.aws.world(), start);

    // Refused while restoring (the text is the former document's alone): the deny stays, and a person is told what to decide.
    let (rig, log) = (Rig::new(world(|s| s.public = Some("{ \"Version\""))), MemLog::default());
    contain(&rig, &log, "deny-invocation", json!({"only": "$LATEST"})).await;
    let report = rig.restore(&log).await;
    assert_eq!(report.outcome(), Outcome::Stuck);
    let what = &report.cells[0].error.as_ref().unwrap().what;
    for words in ["does not take the former policy", "because it is public", "case journal", "Allow public policies"] {
        assert!(what.contains(words), "{what}");
    }
    assert_eq!(policy(&rig, "")["Statement"][1]["Effect"], "Deny");
    rig.aws.change(|w| w.functions.get_mut(FUNCTION).unwrap().surface.public = None);
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), World::shared_role());
}

#[tokio::test]
async fn updates_are_denied_to_all_but_the_one_at_work() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    let report = contain(&rig, &log, "deny-invocation", json!({"deny-updates-except": RESPONDER})).await;
    assert_eq!(report.outcome(), Outcome::Complete, "{report:?}");
    let deny = &policy(&rig, "")["Statement"][2];
    assert_eq!((&deny["Sid"], &deny["Effect"]), (&json!("FreezeframeDenyUpdates"), &json!("Deny")));
    assert_eq!(deny["Condition"], json!({"ArnNotEquals": {"aws:PrincipalArn": RESPONDER}}));
    let actions = deny["Action"].as_array().unwrap();
    assert!(actions.contains(&json!("lambda:UpdateFunctionCode")) && !actions.contains(&json!("lambda:*")));
    rig.restore(&log).await;
    assert_eq!(rig.aws.world(), World::shared_role());

    let rig = Rig::new(World::shared_role());
    let other = "arn:aws:iam::123456789012:role/ir/somebody";
    let report = contain(&rig, &log, "deny-invocation", json!({"deny-updates-except": other})).await;
    assert!(refusal(&report).contains("assumed-role/responder/tester is at work"), "{report:?}");
}

#[tokio::test]
async fn two_cases_can_deny_different_things() {
    let rig = Rig::new(World::shared_role());
    let (first, second) = (MemLog::default(), MemLog::default());
    contain(&rig, &first, "deny-invocation", json!({"only": "$LATEST"})).await;
    let with = json!({"only": "$LATEST", "deny-updates-except": RESPONDER});
    assert_eq!(contain(&rig, &second, "deny-invocation", with).await.cells[0].stand, Stand::Contained);
    assert_eq!(policy(&rig, "")["Statement"].as_array().unwrap().len(), 3);
    assert_eq!(rig.restore(&second).await.outcome(), Outcome::Complete);
    assert_eq!(policy(&rig, "")["Statement"].as_array().unwrap().len(), 2, "the first case's deny still stands");
    assert_eq!(rig.restore(&first).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), World::shared_role());
}

#[tokio::test]
async fn where_lambda_knows_no_documents_single_grants_are_taken_out_and_come_back_in_their_order() {
    let deputy = json!({"Sid": "deputy", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}, "Action": "lambda:GetFunction",
                        "Resource": target().arn()});
    let start = world(|s| {
        s.documents = false;
        s.policies =
            [(String::new(), policy_of(&[deputy.clone(), bucket_grant("", "a"), bucket_grant("", "b"), bucket_grant("", "c")]))].into();
    });
    let (rig, log) = (Rig::new(start.clone()), MemLog::default());
    let report = contain(&rig, &log, "deny-invocation", json!({})).await;
    assert_eq!(report.cells.len(), 3, "{report:?}");
    assert!(report.remarks[0].words.contains("Lambda knows no policy documents here"), "{report:?}");
    assert_eq!(policy(&rig, "")["Statement"], json!([deputy]), "who may not invoke keeps what was granted");
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), start);
}

#[tokio::test]
async fn a_statement_that_cannot_be_made_again_is_left_unless_that_is_accepted() {
    let mut dead = bucket_grant("", "dead");
    dead["Principal"] = json!({"AWS": "AROAEXAMPLEOFADELETEDROLE"});
    let start = world(|s| s.policies = [(String::new(), policy_of(&[dead, bucket_grant("", "s3")]))].into());
    let with = json!({"how": "statements"});
    for accept in [Accept::ExactOnly, Accept::Approximate] {
        let (rig, log) = (Rig::new(start.clone()), MemLog::default());
        let report = accepting(&rig, &log, "deny-invocation", with.clone(), accept).await;
        assert_eq!(
            cells(&report),
            [("deny-invocation/payments-export/s3", Stand::Contained), ("deny-invocation/payments-export/dead", Stand::Refused)]
        );
        rig.restore(&log).await;
        assert_eq!(rig.aws.world(), start);
    }
    let (rig, log) = (Rig::new(start), MemLog::default());
    let report = accepting(&rig, &log, "deny-invocation", with, Accept::Irreversible).await;
    assert!(report.cells.iter().all(|c| c.stand == Stand::Contained), "{report:?}");
    let report = rig.restore(&log).await;
    let stuck: Vec<_> = report.cells.iter().filter(|c| c.back == Back::Stuck).collect();
    assert_eq!(stuck.len(), 1);
    assert!(stuck[0].error.as_ref().unwrap().what.contains("its text stands in the case journal"), "{stuck:?}");
}

#[tokio::test]
async fn a_name_that_is_gone_is_not_one_without_policy() {
    for (start, with) in [(World::shared_role(), json!({"only": "live"})), (World::own_role_with_reservation(), json!({"only": "live"}))] {
        let (rig, log) = (Rig::new(start.clone()), MemLog::default());
        assert_eq!(contain(&rig, &log, "deny-invocation", with).await.outcome(), Outcome::Complete);
        rig.aws.change(|w| w.functions.get_mut(FUNCTION).unwrap().surface.aliases.clear());
        let report = rig.restore(&log).await;
        assert!(
            report.cells.iter().all(|c| c.back == Back::Over) && report.outcome() == Outcome::Complete,
            "its policy went with it: {report:?}"
        );
    }
}

#[tokio::test]
async fn a_mapping_that_was_off_stays_off() {
    let start = world(|s| s.mappings.get_mut(ALIAS_MAPPING).unwrap().state = "Disabled".into());
    let (rig, log) = (Rig::new(start.clone()), MemLog::default());
    let report = contain(&rig, &log, "pause-event-source-mappings", json!({})).await;
    let stands: Vec<Stand> = report.cells.iter().map(|c| c.stand).collect();
    assert_eq!(stands, [Stand::Contained, Stand::AlreadyContained], "each mapping once, though the alias's is listed twice");
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    assert_eq!((rig.aws.world(), rig.aws.landed().len()), (start, 2));
}

#[tokio::test]
async fn a_mapping_that_is_changing_is_waited_for_and_one_of_another_function_is_left_alone() {
    for state in ["Creating", "Enabling", "Disabling", "Updating"] {
        let rig = Rig::new(world(|s| s.mappings.get_mut(OWN_MAPPING).unwrap().state = state.into()));
        let report = contain(&rig, &MemLog::default(), "pause-event-source-mappings", json!({"only": OWN_MAPPING})).await;
        assert_eq!(report.cells[0].stand, Stand::Untouched);
        assert!(report.cells[0].error.as_ref().unwrap().what.contains("is still changing by itself after 180 seconds"), "{report:?}");
    }
    let rig = Rig::new(world(|s| s.mappings.get_mut(OWN_MAPPING).unwrap().state = "Deleting".into()));
    let report = contain(&rig, &MemLog::default(), "pause-event-source-mappings", json!({"only": OWN_MAPPING})).await;
    assert!(report.cells[0].error.as_ref().unwrap().what.contains("in the state `Deleting`"), "{report:?}");

    // Pointed elsewhere after it was paused.
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    contain(&rig, &log, "pause-event-source-mappings", json!({"only": OWN_MAPPING})).await;
    let elsewhere = format!("{}-2", target().arn());
    rig.aws.change(|w| w.functions.get_mut(FUNCTION).unwrap().surface.mappings.get_mut(OWN_MAPPING).unwrap().function_arn = elsewhere);
    let report = rig.restore(&log).await;
    assert_eq!(report.outcome(), Outcome::Stuck);
    assert!(
        report.cells[0].error.as_ref().unwrap().what.contains("feeds arn:aws:lambda:eu-west-1:123456789012:function:payments-export-2")
    );
    assert_eq!(rig.aws.landed().len(), 1, "somebody else's mapping is not switched on");
}

#[tokio::test]
async fn of_a_url_nothing_but_the_authentication_changes() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    let report = contain(&rig, &log, "close-function-urls", json!({})).await;
    assert_eq!(report.outcome(), Outcome::Complete, "{report:?}");
    let mut expected = Surface::rich().urls;
    expected.values_mut().for_each(|url| url["AuthType"] = json!("AWS_IAM"));
    assert_eq!(surface(&rig).urls, expected);
    rig.restore(&log).await;
    assert_eq!(rig.aws.world(), World::shared_role());

    // Cross-origin rules that somebody added meanwhile are drift; overruled, they go.
    contain(&rig, &log, "close-function-urls", json!({"only": "live"})).await;
    rig.aws.change(|w| {
        w.functions.get_mut(FUNCTION).unwrap().surface.urls.get_mut("live").unwrap()["Cors"] = json!({"AllowOrigins": ["*"]});
    });
    let report = rig.restore(&log).await;
    assert_eq!(report.cells[0].back, Back::Drift);
    let overrule = [report.cells[0].cell.clone()];
    let ask = freezeframe::engine::RestoreAsk { actions: ACTIONS, overrule: &overrule, ..Default::default() };
    assert_eq!(rig.restore_with(&log, &ask).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.world(), World::shared_role());
}

#[tokio::test]
async fn provisioned_concurrency_comes_back_after_the_reservation_and_queues_after_everything() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    rig.contain(&log, &ACTIONS.to_vec(), OnFailure::Hold).await;
    let contained = rig.aws.landed().len();
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    let back = rig.aws.landed().split_off(contained);
    let at = |operation: &str| back.iter().position(|o| o == operation).unwrap_or_else(|| panic!("{operation} is not in {back:?}"));
    assert!(at("DeleteFunctionConcurrency") < at("PutProvisionedConcurrencyConfig"), "{back:?}");
    assert!(at("PutProvisionedConcurrencyConfig") < at("PutResourcePolicy"), "{back:?}");
    let denies = ["DeleteResourcePolicy", "DeleteRolePolicy", "UpdateFunctionUrlConfig", "DeleteFunctionCodeSigningConfig"];
    assert!(denies.iter().all(|d| at(d) < at("UpdateEventSourceMapping")), "{back:?}");
}

#[tokio::test]
async fn an_alias_that_is_gone_is_not_one_without_provisioned_concurrency() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    contain(&rig, &log, "release-provisioned-concurrency", json!({})).await;
    rig.aws.change(|w| w.functions.get_mut(FUNCTION).unwrap().surface.aliases.clear());
    let report = rig.restore(&log).await;
    assert_eq!(report.outcome(), Outcome::Stuck);
    assert!(report.cells[0].error.as_ref().unwrap().what.contains("ResourceNotFoundException"), "{report:?}");
    assert!(!rig.aws.tried().contains(&"PutProvisionedConcurrencyConfig".to_string()), "what cannot be read is not written");
}

#[tokio::test]
async fn code_signing_wants_a_configuration_that_enforces() {
    let (rig, log) = (Rig::new(World::shared_role()), MemLog::default());
    for (with, words) in [
        (
            json!({}),
            "make one that enforces (aws lambda create-code-signing-config) and give its ARN: with: { config: arn:aws:lambda:eu-west-1:123456789012:",
        ),
        (json!({"config": "none"}), "no code signing configuration is named"),
        (json!({"config": WARNING}), "only warns; set its UntrustedArtifactOnDeployment to Enforce"),
        (json!({"config": ENFORCING.replace("eu-west-1", "us-east-1")}), "is no code signing configuration of 123456789012 in eu-west-1"),
        (json!({"config": target().arn()}), "is no code signing configuration of"),
    ] {
        let report = contain(&rig, &log, "enforce-code-signing", with).await;
        assert!(refusal(&report).contains(words), "{report:?}");
    }
    assert!(rig.aws.landed().is_empty() && log.events().is_empty());
    contain(&rig, &log, "enforce-code-signing", json!({"config": ENFORCING})).await;
    assert_eq!(surface(&rig).signing.as_deref(), Some(ENFORCING));
    assert_eq!(rig.restore(&log).await.outcome(), Outcome::Complete);
    assert_eq!(rig.aws.landed(), ["PutFunctionCodeSigningConfig", "DeleteFunctionCodeSigningConfig"]);
}

/// What a responder types at 4 a.m.; a change here is a change of what is in the bundles.
#[tokio::test]
async fn restore_by_hand_word_for_word() {
    let mut lines = vec![];
    for world in [World::shared_role(), World::own_role_with_reservation()] {
        let surface = [
            "scale-to-zero",
            "deny-invocation",
            "pause-event-source-mappings",
            "close-function-urls",
            "release-provisioned-concurrency",
            "enforce-code-signing",
        ];
        for action in ACTIONS.iter().filter(|a| surface.contains(&a.spec().id)) {
            let rig = Rig::new(world.clone());
            let steps = [Step { action: *action, params: &params_of(action.spec().id), accept: Accept::ExactOnly }];
            let log = MemLog::default();
            let report =
                rig.with(&log, &never, &nobody, async |s| s.contain(&steps, &target(), &permit(), OnFailure::Hold, true).await).await;
            for cell in &report.cells {
                for command in action.by_hand(&target(), &cell.cell, cell.before.as_ref().unwrap()).unwrap() {
                    let line = command.to_string();
                    assert!(line.contains(" --region eu-west-1"), "{line}");
                    lines.push(line.replace(" --region eu-west-1", ""));
                }
            }
        }
    }
    lines.dedup();
    insta::assert_snapshot!(lines.join("\n"), @r#"
aws lambda put-function-scaling-config --function-name payments-export --qualifier '$LATEST.PUBLISHED' --function-scaling-config MinExecutionEnvironments=3,MaxExecutionEnvironments=40
aws lambda put-function-scaling-config --function-name payments-export --qualifier 1
aws lambda put-resource-policy --resource-arn arn:aws:lambda:eu-west-1:123456789012:function:payments-export --policy '{ "Version":"2012-10-17",
	"Id": "a+b 100%25 é & <x>",  "Statement": [ {"Sid":"s3","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:eu-west-1:123456789012:function:payments-export","Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::exports"}}} ]}
'
if why=$(aws lambda get-resource-policy --resource-arn arn:aws:lambda:eu-west-1:123456789012:function:payments-export:live 2>&1 >/dev/null); then aws lambda delete-resource-policy --resource-arn arn:aws:lambda:eu-west-1:123456789012:function:payments-export:live; else case $why in *NoSuch*|*NotFound*) ;; *) printf '%s\n' "$why" >&2; false ;; esac; fi
if why=$(aws lambda get-resource-policy --resource-arn arn:aws:lambda:eu-west-1:123456789012:function:payments-export:1 2>&1 >/dev/null); then aws lambda delete-resource-policy --resource-arn arn:aws:lambda:eu-west-1:123456789012:function:payments-export:1; else case $why in *NoSuch*|*NotFound*) ;; *) printf '%s\n' "$why" >&2; false ;; esac; fi
aws lambda update-event-source-mapping --uuid 0f0e0000-0000-4000-8000-000000000000 --enabled
aws lambda update-event-source-mapping --uuid 1f0e0000-0000-4000-8000-000000000001 --enabled
aws lambda update-function-url-config --function-name payments-export --auth-type NONE --invoke-mode RESPONSE_STREAM --cors '{"AllowCredentials":true,"AllowHeaders":["x-a"],"AllowMethods":["GET","POST"],"AllowOrigins":["https://pay.example"],"ExposeHeaders":["x-b"],"MaxAge":600}'
aws lambda update-function-url-config --function-name payments-export --qualifier live --auth-type NONE --invoke-mode BUFFERED --cors '{}'
aws lambda put-provisioned-concurrency-config --function-name payments-export --qualifier live --provisioned-concurrent-executions 5
aws lambda delete-function-code-signing-config --function-name payments-export
aws lambda put-function-scaling-config --function-name payments-export --qualifier 1 --function-scaling-config MaxExecutionEnvironments=7
if [ "$(aws lambda get-policy --function-name payments-export --query 'contains(Policy, '\''"Sid":"s3"'\'')' --output text)" != True ]; then aws lambda add-permission --function-name payments-export --statement-id s3 --action lambda:InvokeFunction --principal s3.amazonaws.com --source-arn arn:aws:s3:::exports; fi
if [ "$(aws lambda get-policy --function-name payments-export --qualifier live --query 'contains(Policy, '\''"Sid":"s3-live"'\'')' --output text)" != True ]; then aws lambda add-permission --function-name payments-export --qualifier live --statement-id s3-live --action lambda:InvokeFunction --principal s3.amazonaws.com --source-arn arn:aws:s3:::exports; fi
aws lambda update-event-source-mapping --uuid 0f0e0000-0000-4000-8000-000000000000 --enabled
aws lambda update-function-url-config --function-name payments-export --auth-type NONE --invoke-mode RESPONSE_STREAM --cors '{"AllowCredentials":true,"AllowHeaders":["x-a"],"AllowMethods":["GET","POST"],"AllowOrigins":["https://pay.example"],"ExposeHeaders":["x-b"],"MaxAge":600}'
aws lambda put-provisioned-concurrency-config --function-name payments-export --qualifier live --provisioned-concurrent-executions 5
aws lambda put-function-code-signing-config --function-name payments-export --code-signing-config-arn arn:aws:lambda:eu-west-1:123456789012:code-signing-config:csc-0000000000000000f
"#);
}
