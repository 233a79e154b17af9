//! Every unit says what it is for and declares only calls that exist, are what they are said to be, and destroy nothing. A collector or an
//! action that is added to its slice is held to all of this without a line here.

use crate::licences::metadata;
use freezeframe::collect::{COLLECTORS, CollectorSpec};
use freezeframe::contain::ActionSpec;
use freezeframe::examine::{Absence, COMING, Source, TECHNIQUES};
use freezeframe::model::call::{Access, Call, Scope, Service};
use freezeframe::model::gap::GapKind;
use freezeframe::model::outcome::Outcome;
use freezeframe::plan;
use freezeframe::playbook::{self, Registry, Unit};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Units that no shipped playbook names, and why.
const NOT_SHIPPED: &[(&str, &str)] = &[];

/// Calls whose IAM action is not called like the operation, and where that was seen.
const OTHER_NAMES: &[(&str, &str)] = &[
    // The surface of the Lambda API.
    ("lambda:GetLayerVersion", "GetLayerVersionByArn: Service Authorization Reference, Lambda; it has no action of its own"),
    ("s3:GetObjectVersion", "GetObject with a version id: S3 API Reference, GetObject, Permissions"),
    ("s3:GetObjectVersionAttributes", "GetObjectAttributes with a version id: S3 API Reference, GetObjectAttributes, Permissions"),
    ("s3:ListBucketVersions", "ListObjectVersions: S3 API Reference, ListObjectVersions, Permissions"),
    // Triggers and identity.
    ("apigateway:GET", "every read of API Gateway, v1 and v2: Service Authorization Reference, API Gateway Management"),
    ("s3:GetBucketNotification", "GetBucketNotificationConfiguration: its API reference"),
    // What the credentials did.
    ("s3:ListBucket", "ListObjectsV2: S3 API Reference, ListObjectsV2, Permissions"),
    // Detections.
    ("securityhub:GetFindings", "GetFindingsV2 too: its API reference, which says that both use this action"),
    ("access-analyzer:ListFindings", "ListFindingsV2: its API reference, which says that both use this action"),
    ("access-analyzer:GetFinding", "GetFindingV2: its API reference, which says that both use this action"),
];

/// Calls granted on `*` although IAM could take a resource, and what is done instead.
const NARROWED_ELSEWHERE: &[(&str, &str)] = &[
    ("lambda:GetEventSourceMapping", "the plan names the account's mappings; `Scope` has no word for them"),
    ("lambda:UpdateEventSourceMapping", "the plan names the account's mappings; `Scope` has no word for them"),
    // The surface of the Lambda API.
    ("lambda:GetLayerVersion", "the plan names layers, of any account; which ones is known after the first call"),
    ("lambda:GetLayerVersionPolicy", "the plan names the account's layers"),
    ("lambda:GetCodeSigningConfig", "the plan names the account's code signing configurations"),
    ("lambda:GetCapacityProvider", "the plan names the account's capacity providers"),
    ("lambda:ListFunctionVersionsByCapacityProvider", "the plan names the account's capacity providers"),
    ("signer:DescribeSigningJob", "the plan names signing jobs, of any account: who signed is known after the first call"),
    ("ecr:BatchGetImage", "the plan names repositories of the Region, of any account: which one is known after the first call"),
    ("ecr:GetDownloadUrlForLayer", "the plan names repositories of the Region, of any account: which one is known after the first call"),
    ("s3:GetObjectVersion", "the plan names a bucket to be replaced: which one is known after the first call"),
    ("s3:GetObjectVersionAttributes", "the plan names a bucket to be replaced: which one is known after the first call"),
    ("s3:ListBucketVersions", "the plan names a bucket to be replaced: which one is known after the first call"),
    // Triggers and identity: what is asked about is known only when a policy or a list has named it, and may be anybody's.
    ("events:DescribeRule", "rules are found by the search"),
    ("events:ListTargetsByRule", "rules are found by the search"),
    ("events:DescribeEventBus", "buses are named by destinations"),
    ("scheduler:GetSchedule", "schedules are found by the search"),
    ("pipes:DescribePipe", "pipes are found by the search"),
    ("sns:ListSubscriptionsByTopic", "topics are named by the resource policies"),
    ("sns:GetTopicAttributes", "topics are named by destinations"),
    ("sqs:GetQueueUrl", "queues are named by destinations"),
    ("sqs:GetQueueAttributes", "queues are named by destinations"),
    ("s3:GetBucketNotification", "buckets are named by the resource policies"),
    ("s3:GetBucketPolicy", "buckets are named by destinations"),
    ("apigateway:GET", "APIs are named by the resource policies"),
    ("logs:DescribeSubscriptionFilters", "the default group, and groups that the resource policies name, beside the function's own"),
    ("kms:GetPublicKey", "the plan names the key that was given"),
    ("kms:Sign", "the plan names the key that was given"),
    ("kms:DescribeKey", "the key is named by the configuration"),
    ("kms:GetKeyPolicy", "the key is named by the configuration"),
    ("kms:ListGrants", "the key is named by the configuration"),
    ("organizations:ListParents", "the way up is found by walking it"),
    ("organizations:ListPoliciesForTarget", "the way up is found by walking it"),
    ("organizations:DescribePolicy", "policies are found by the list"),
    // End of triggers and identity.
    // Network and deployment.
    ("logs:FilterLogEvents", "flow records: the plan names the account's log groups, and nothing where the step reads none"),
    ("cloudformation:DescribeStacks", "the plan names the account's stacks; which one is known after the first call"),
    ("cloudformation:ListStackResources", "the plan names the account's stacks; which one is known after the first call"),
    ("cloudformation:GetTemplate", "the plan names the account's stacks; which one is known after the first call"),
    ("cloudformation:DescribeStackEvents", "the plan names the account's stacks; which one is known after the first call"),
    ("config:DescribeConfigurationRecorders", "the call names no recorder: that there is none is an answer"),
    ("config:DescribeConfigurationRecorderStatus", "the call names no recorder: that there is none is an answer"),
    ("elasticfilesystem:DescribeAccessPoints", "the plan names access points, of any account"),
    ("elasticfilesystem:DescribeFileSystems", "the plan names file systems, of any account"),
    ("elasticfilesystem:DescribeFileSystemPolicy", "the plan names file systems, of any account"),
    ("elasticfilesystem:DescribeMountTargets", "the plan names file systems, of any account"),
    ("route53resolver:GetResolverQueryLogConfig", "query logs are found by the list, and may be shared by another account"),
    ("route53resolver:GetResolverRule", "rules are found by the list, and may be shared by another account"),
    ("route53resolver:ListResolverRuleAssociations", "the list is of the VPC's; rules may be shared by another account"),
    ("s3files:GetAccessPoint", "the plan names file systems with their access points, of any account"),
    ("s3files:GetFileSystem", "the plan names file systems with their access points, of any account"),
    ("s3files:GetFileSystemPolicy", "the plan names file systems with their access points, of any account"),
    ("s3files:GetSynchronizationConfiguration", "the plan names file systems with their access points, of any account"),
    ("s3files:ListMountTargets", "the plan names file systems with their access points, of any account"),
    // End of network and deployment.
    // Sources that are stopped: the plan names those of the account and Region.
    ("events:DisableRule", "the plan names the account's rules; which ones is known after the search"),
    ("events:EnableRule", "the plan names the account's rules; which ones is known after the search"),
    ("events:PutRule", "the plan names the account's rules; which ones is known after the search"),
    ("events:DescribeSubscriber", "subscribers are found by the list"),
    ("events:UpdateSubscriber", "the plan names the account's subscribers; which ones is known after the list"),
    ("pipes:StopPipe", "the plan names the account's pipes; which ones is known after the list"),
    ("pipes:StartPipe", "the plan names the account's pipes; which ones is known after the list"),
    ("scheduler:UpdateSchedule", "the plan names the account's schedules; which ones is known after the list"),
    // End of sources that are stopped.
    // What the credentials did.
    ("cloudtrail:GetTrailStatus", "the plan names trails, of any account and Region: an organisation's is another account's"),
    ("cloudtrail:GetEventSelectors", "the plan names trails, of any account and Region: an organisation's is another account's"),
    ("cloudtrail:GetInsightSelectors", "the plan names trails, of any account and Region: an organisation's is another account's"),
    ("cloudtrail:GetEventConfiguration", "the plan names trails, of any account and Region: an organisation's is another account's"),
    ("cloudtrail:GetEventDataStore", "the plan names event data stores, of any account and Region"),
    ("s3:ListBucket", "the plan names the bucket that the step names, and nothing without one"),
    ("s3:GetObject", "the plan names the place that the step names, and nothing without one"),
    // Detections.
    ("guardduty:GetDetector", "the plan names the account's detectors"),
    ("securityhub:GetFindings", "both hubs of the account are meant, and there is one of each"),
    ("securityhub:GetFindingHistory", "there is one hub in an account and Region"),
    ("access-analyzer:ListFindings", "the plan names the account's analyzers"),
    ("access-analyzer:GetFinding", "the plan names the account's analyzers"),
    ("access-analyzer:GetAnalyzedResource", "the plan names the account's analyzers"),
    ("cloudwatch:DescribeAlarms", "a search over the account's alarms is granted on all of them"),
    ("events:DescribeArchive", "archives are found by the list"),
    ("events:DescribeSubscriber", "subscribers are found by the list"),
    ("cognito-idp:DescribeUserPool", "user pools are named by the resource policies"),
    ("iot:GetTopicRule", "rules are named by the resource policies"),
    ("lambda:GetRuntime", "the runtime is named by the configuration"),
    ("lambda:GetRuntimeAlias", "the runtime is named by the configuration"),
    ("lambda:GetRuntimeVersion", "the runtime is named by the configuration"),
];

fn units() -> Vec<Unit> {
    let r = Registry::built_in();
    r.collectors.iter().map(|c| Unit::Collector(c)).chain(r.actions.iter().map(|a| Unit::Action(a))).collect()
}

fn kebab(id: &str) -> bool {
    id.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

struct Known {
    level: String,
    /// With `*` for what must be named.
    types: Vec<String>,
}

fn iam_actions() -> BTreeMap<String, Known> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/iam-actions.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    lines
        .map(|line| {
            let mut words = line.split(' ');
            let mut word = || words.next().unwrap().to_string();
            let (action, level, types) = (word(), word(), word());
            (action, Known { level, types: types.split(',').filter(|t| *t != "-").map(str::to_string).collect() })
        })
        .collect()
}

#[test]
fn ids_are_unique_and_kebab_case() {
    let ids: Vec<&str> = units().iter().map(|u| u.id()).collect();
    assert!(ids.len() >= 15, "{ids:?}");
    for id in &ids {
        assert!(kebab(id) && id.len() <= 40, "{id}");
        assert_ne!(*id, "all", "a playbook's word for every collector");
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
}

#[test]
fn every_unit_says_what_it_is_for() {
    fn sentence(id: &str, what: &str, text: &str) {
        assert!(text.split_whitespace().count() >= 3, "{id}: {what} says nothing: {text:?}");
        assert!(!text.ends_with('.') && text.trim() == text, "{id}: {what} is a phrase, without full stop or margin: {text:?}");
    }
    let registry = Registry::built_in();
    for CollectorSpec { id, title, answers, calls, .. } in registry.collectors {
        assert!(title.starts_with(char::is_uppercase), "{id}: {title:?}");
        assert!(answers.ends_with('?'), "{id}: a gap quotes it as the question left open: {answers:?}");
        assert!(!calls.is_empty(), "{id} declares no call");
    }
    for ActionSpec { id, title, stops, does_not_stop, side_effects, restore, calls, .. } in registry.actions {
        assert!(title.starts_with(char::is_uppercase), "{id}: {title:?}");
        for (what, text) in [("stops", stops), ("does_not_stop", does_not_stop), ("side_effects", side_effects), ("restore", restore)] {
            sentence(id, what, text);
        }
        assert!(calls.iter().any(|c| c.access == Access::Write), "{id} writes nothing");
        assert!(calls.iter().any(|c| c.access == Access::Read), "{id} reads nothing, so it cannot know the state before");
    }
}

#[test]
fn every_parameter_has_a_default_that_it_would_accept() {
    for unit in units() {
        for p in unit.params() {
            assert!(kebab(p.name), "{}: {}", unit.id(), p.name);
            assert_eq!(p.kind.objection(&p.default.into()), None, "{}: {}", unit.id(), p.name);
            assert!(p.doc.split_whitespace().count() >= 3, "{}: {} says nothing", unit.id(), p.name);
        }
    }
}

#[test]
fn collectors_read_only() {
    for collector in COLLECTORS {
        for call in collector.spec().calls {
            assert_eq!(call.access, Access::Read, "{} declares the write {call}", collector.spec().id);
        }
    }
}

#[test]
fn the_most_volatile_evidence_goes_first() {
    let order: Vec<_> = COLLECTORS.iter().map(|c| (c.spec().volatility, c.spec().id)).collect();
    for pair in order.windows(2) {
        assert!(pair[0].0 >= pair[1].0, "{:?} stands before {:?}", pair[0], pair[1]);
    }
}

fn every_call() -> Vec<(&'static str, &'static Call)> {
    let seal = freezeframe::bundle::signer::KMS_CALLS.iter().map(|c| ("seal", c));
    units().into_iter().flat_map(|u| u.calls().iter().map(move |c| (u.id(), c))).chain(seal).collect()
}

#[test]
fn every_iam_action_exists_and_is_what_it_is_said_to_be() {
    let known = iam_actions();
    assert!(known.len() > 600, "the list went missing");
    for (unit, call) in every_call() {
        let Some(action) = call.action else { continue };
        let found = known.get(action).unwrap_or_else(|| panic!("{unit}: no IAM action {action}"));
        let name = format!("{}:{}", call.service.prefix(), call.operation);
        assert!(name == action || OTHER_NAMES.iter().any(|(a, _)| *a == action), "{unit}: {name} is granted by {action}?");
        let reads = ["Read", "List"].contains(&found.level.as_str());
        assert_eq!(call.access == Access::Read, reads, "{unit}: {action} is of the level {}", found.level);
    }
}

/// The narrowest ARN form that the action supports, no narrower (it would be denied) and no wider.
#[test]
fn every_scope_is_one_that_iam_knows_for_the_action() {
    let known = iam_actions();
    for (unit, call) in every_call() {
        let Some(found) = call.action.and_then(|a| known.get(a)) else { continue };
        let has = |name: &str| found.types.iter().any(|t| t.trim_end_matches('*') == name);
        let ok = match call.scope {
            // The ARNs of a durable execution, an alias and a version begin with their function's.
            Scope::Function => has("function") || has("durable-execution") || has("function-alias"),
            Scope::Role => has("role"),
            Scope::Policy => has("policy"),
            Scope::LogGroup => has("log-group"),
            Scope::Any => found.types.is_empty() || NARROWED_ELSEWHERE.iter().any(|(a, _)| Some(*a) == call.action),
        };
        assert!(ok, "{unit}: {call} says {:?}, IAM says {:?}", call.scope, found.types);
    }
}

/// No declaration without an action but for what IAM cannot deny.
#[test]
fn what_needs_no_permission_is_known_by_name() {
    for (unit, call) in every_call().into_iter().filter(|(_, c)| c.action.is_none()) {
        let free = call.service == Service::Https || (call.service, call.operation) == (Service::Sts, "GetCallerIdentity");
        assert!(free, "{unit}: {call} declares no IAM action");
    }
}

#[test]
fn nothing_that_destroys_evidence_is_declared() {
    let never = plan::never_actions();
    let known = iam_actions();
    for action in &never {
        assert!(known.contains_key(action), "the fence refuses {action}, which does not exist");
    }
    for (unit, call) in every_call() {
        assert!(!call.action.is_some_and(|a| never.iter().any(|n| n == a)), "{unit} declares {call}");
        assert!(!never.contains(&format!("{}:{}", call.service.prefix(), call.operation)), "{unit} declares {call}");
    }
}

/// The table of techniques names collectors that exist, or says that they are still to come; and what has come is not said to be missing.
#[test]
fn every_technique_has_a_place_where_its_mark_would_lie() {
    let have: BTreeSet<&str> = COLLECTORS.iter().map(|c| c.spec().id).collect();
    let mut coming: BTreeSet<&str> = COMING.iter().copied().collect();
    for id in COMING {
        assert!(!have.contains(id), "`{id}` has come: take it out of COMING in src/examine/table.rs");
    }
    assert_eq!(TECHNIQUES.len(), 49);
    for (t, number) in TECHNIQUES.iter().zip(1..) {
        assert_eq!(t.number, number, "in order, none missing");
        assert!(!t.title.is_empty() && !t.attack.is_empty() && !t.needs.is_empty(), "{number}");
        assert!(
            t.attack.iter().all(|a| a.starts_with('T') && a[1..].chars().all(|c| c.is_ascii_digit() || c == '.')),
            "{number}: {:?}",
            t.attack
        );
        let (Absence::Conclusive(why) | Absence::Open(why)) = t.absence;
        for words in t.needs.iter().map(|n| n.mark).chain([why]) {
            assert!(words.split_whitespace().count() >= 2 && !words.ends_with('.'), "{number}: {words:?}");
        }
        for need in t.needs {
            match need.source {
                Source::Collector(id) => {
                    assert!(have.contains(id) || COMING.contains(&id), "technique {number}: there is no collector `{id}`");
                    coming.remove(id);
                }
                Source::NotYet(why) => assert!(why.split_whitespace().count() >= 3, "technique {number}: {why:?} is no reason"),
            }
        }
    }
    assert!(coming.is_empty(), "COMING names what no technique needs: {coming:?}");
}

/// Operations newer than the SDK, called over the raw path, and where each was seen.
const BEYOND_SDK: &[(&str, &str)] =
    &[("PauseDurableExecution", "botocore 1.44.5, lambda/2015-03-31"), ("ResumeDurableExecution", "botocore 1.44.5, lambda/2015-03-31")];

/// An operation that the SDK does not have would be refused by the fence under its real name, on a real incident.
#[test]
fn every_operation_exists_in_the_sdk() {
    let packages = metadata();
    for (unit, call) in every_call() {
        let name = match call.service {
            Service::Lambda => "aws-sdk-lambda",
            Service::Iam => "aws-sdk-iam",
            Service::Logs => "aws-sdk-cloudwatchlogs",
            Service::Cloudtrail => "aws-sdk-cloudtrail",
            Service::Sts => "aws-sdk-sts",
            Service::S3 => "aws-sdk-s3",
            // Signed by hand, or no operation at all.
            _ => continue,
        };
        let package = packages.iter().find(|p| p["name"] == name).unwrap_or_else(|| panic!("{name} is no dependency"));
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let mut snake = String::new();
        for c in call.operation.chars() {
            if c.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(c.to_lowercase());
        }
        let file = manifest.with_file_name("src").join("operation").join(format!("{snake}.rs"));
        let beyond = BEYOND_SDK.iter().any(|(operation, _)| *operation == call.operation);
        assert!(file.exists() != beyond, "{unit}: {name} has {} operation {}", if beyond { "an" } else { "no" }, call.operation);
    }
}

#[test]
fn every_unit_is_named_by_a_shipped_playbook() {
    let mut named = BTreeSet::new();
    for s in playbook::shipped() {
        let (playbook, _) = playbook::load(s.name).unwrap();
        named.extend(playbook.phases.iter().flat_map(|p| &p.steps).map(|s| s.unit.id()));
    }
    for unit in units() {
        let excused = NOT_SHIPPED.iter().any(|(id, _)| *id == unit.id());
        assert!(
            named.contains(unit.id()) != excused,
            "{}: name it in a shipped playbook, or say in NOT_SHIPPED why not (and only then)",
            unit.id()
        );
    }
}

#[test]
fn every_gap_and_every_outcome_has_its_sentence() {
    let sentences: Vec<&str> = GapKind::ALL.iter().map(|g| g.sentence()).chain(Outcome::ALL.iter().map(|o| o.sentence())).collect();
    assert!(sentences.iter().all(|s| !s.is_empty() && !s.ends_with('.')), "{sentences:?}");
    assert_eq!(sentences.iter().collect::<BTreeSet<_>>().len(), sentences.len(), "two mean the same: {sentences:?}");
    for gap in GapKind::ALL {
        assert_eq!(serde_json::to_value(gap).unwrap(), gap.as_str(), "one word in code and document");
    }
    // `ALL` is written by hand; the schema is made from the type.
    let schema = serde_json::to_value(schemars::schema_for!(GapKind)).unwrap();
    let words = |v: &serde_json::Value| v["enum"].as_array().map_or(0, Vec::len) + v["oneOf"].as_array().map_or(0, Vec::len);
    assert_eq!(words(&schema), GapKind::ALL.len(), "{schema}");
}
