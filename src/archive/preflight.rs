//! Looking at a bucket before evidence goes there: one verdict for each property, and what could not be read is said.
//!
//! Two verdicts stop an archive, unless the operator accepts them in words: a bucket whose objects cannot be locked, and one that strangers can
//! read. The rest is told, and stands in the record.

use super::bucket::Bucket;
use super::demands::Demands;
use super::reach::ReachError;
use crate::aws::fault::{Fault, FaultClass, tame};
use crate::model::lock::Lock;
use crate::model::refusal::Refusal;
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled, Permission, ServerSideEncryption};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Evidence can lie there; something is left open.
    Weak,
    /// Evidence should not lie there as it is.
    Bad,
    /// It could not be read, so nothing is known.
    Unknown,
}

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Weak => "weak",
            Verdict::Bad => "bad",
            Verdict::Unknown => "unknown",
        }
    }
}

/// What was found of one property of the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Property {
    /// `versioning`, `object-lock`, `public-access-block`, `public`, `encryption`, `policy`, `owner`, `replication`
    pub name: String,
    pub verdict: Verdict,
    /// What S3 said, in a sentence.
    pub found: String,
}

/// The bucket, as it was before the first object went there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preflight {
    pub properties: Vec<Property>,
    /// Its objects can be locked; none: not known.
    pub lockable: Option<bool>,
    /// Strangers can read what lies there; none: not known.
    pub public: Option<bool>,
    /// The Region that S3 names for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub region: Option<String>,
}

/// What the operator accepts in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    pub unlocked_bucket: bool,
    pub public_bucket: bool,
    pub unfinished_bundle: bool,
}

impl Accepted {
    pub fn words(self) -> Vec<String> {
        let said = [
            (self.unlocked_bucket, "unlocked-bucket"),
            (self.public_bucket, "public-bucket"),
            (self.unfinished_bundle, "unfinished-bundle"),
        ];
        said.into_iter().filter(|(yes, _)| *yes).map(|(_, word)| word.to_string()).collect()
    }
}

impl Preflight {
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|p| p.name == name)
    }

    /// Why nothing is put there; empty when it may be.
    pub fn refusals(&self, bucket: &str, lock: &Lock, accepted: Accepted) -> Vec<Refusal> {
        let mut refusals = vec![];
        let mut refuse = |rule: &str, why: String, lift: &str| {
            refusals.push(Refusal { rule: rule.into(), why, stands: format!("s3://{bucket}"), lift: lift.into() });
        };
        if self.lockable == Some(false) && !lock.is_none() {
            let why = "a lock was asked for, and this bucket cannot lock objects".to_string();
            refuse("unlocked-bucket", why, "a bucket with Object Lock; or no --retain, --retain-until, --legal-hold and --event-hold");
        } else if self.lockable == Some(false) && !accepted.unlocked_bucket {
            let why = "this bucket cannot lock objects: whoever may delete there can delete the evidence".to_string();
            refuse("unlocked-bucket", why, "a bucket with Object Lock; or --accept unlocked-bucket");
        }
        if self.public == Some(true) && !accepted.public_bucket {
            let why = format!("strangers can read this bucket: {}", self.property("public").map_or("", |p| &p.found));
            refuse("public-bucket", why, "its public access block switched on; or --accept public-bucket");
        }
        refusals
    }
}

/// What was said of a question: an answer, that there is nothing, or that it could not be asked.
enum Said<T> {
    Yes(T),
    None,
    Unread(String),
}

impl<T> Said<T> {
    /// `absent`: the codes by which S3 says that nothing is configured.
    fn of(answer: Result<T, Fault>, absent: &[&str]) -> Said<T> {
        match answer {
            Ok(t) => Said::Yes(t),
            Err(f) if f.code.as_deref().is_some_and(|c| absent.contains(&c)) => Said::None,
            Err(f) => Said::Unread(unread(&f)),
        }
    }
}

fn unread(fault: &Fault) -> String {
    let why = match fault.class {
        FaultClass::Denied => "may not be read by these credentials".to_string(),
        _ => format!("could not be read: {fault}"),
    };
    tame(&why, 300)
}

macro_rules! ask {
    ($bucket:expr, $operation:ident) => {{
        let bucket: &Bucket = $bucket;
        let request = bucket.client.$operation().bucket(&bucket.name).set_expected_bucket_owner(bucket.owner.clone());
        request.send().await.map_err(|e| Fault::of(&e, &[]))
    }};
}

impl Bucket {
    /// Reads every property. Only a bucket that cannot be reached at all is an error.
    pub async fn preflight(&self) -> Result<Preflight, ReachError> {
        let region = self.reach().await?;
        let mut p = Preflight { properties: vec![], lockable: None, public: None, region };
        self.versioning(&mut p).await;
        self.object_lock(&mut p).await;
        self.publicity(&mut p).await;
        self.encryption(&mut p).await;
        self.policy(&mut p).await;
        let (verdict, found) = match &self.owner {
            Some(owner) => (Verdict::Good, format!("account {owner}, as expected")),
            None => (Verdict::Weak, "no owner was named with --expected-bucket-owner, so none was checked".to_string()),
        };
        p.add("owner", verdict, found);
        self.replication(&mut p).await;
        Ok(p)
    }

    async fn versioning(&self, p: &mut Preflight) {
        match ask!(self, get_bucket_versioning) {
            Ok(v) => match v.status() {
                Some(BucketVersioningStatus::Enabled) => {
                    p.add("versioning", Verdict::Good, "on: what is deleted or overwritten stays below")
                }
                Some(_) => p.add("versioning", Verdict::Bad, "suspended: what is overwritten is gone"),
                None => p.add("versioning", Verdict::Bad, "never switched on: what is overwritten is gone"),
            },
            Err(f) => p.add("versioning", Verdict::Unknown, unread(&f)),
        }
    }

    async fn object_lock(&self, p: &mut Preflight) {
        match Said::of(ask!(self, get_object_lock_configuration), &["ObjectLockConfigurationNotFoundError"]) {
            Said::Yes(answer) => {
                let lock = answer.object_lock_configuration();
                let on = lock.and_then(|l| l.object_lock_enabled()) == Some(&ObjectLockEnabled::Enabled);
                p.lockable = Some(on);
                let default = lock.and_then(|l| l.rule()).and_then(|r| r.default_retention());
                let span = default.and_then(|d| d.days().map(|n| format!("{n} days")).or(d.years().map(|n| format!("{n} years"))));
                match (on, default.and_then(|d| d.mode()), span) {
                    (false, ..) => p.add("object-lock", Verdict::Bad, "off: no object can be locked"),
                    (true, Some(mode), Some(span)) => {
                        let mode = tame(&mode.as_str().to_ascii_lowercase(), 40);
                        p.add("object-lock", Verdict::Good, format!("on; by default {mode} for {span}"));
                    }
                    _ => p.add("object-lock", Verdict::Good, "on; nothing is locked by default, so each archive must ask for it"),
                }
            }
            Said::None => {
                p.lockable = Some(false);
                p.add("object-lock", Verdict::Bad, "off: no object can be locked");
            }
            Said::Unread(why) => p.add("object-lock", Verdict::Unknown, why),
        }
    }

    async fn publicity(&self, p: &mut Preflight) {
        // Ignore public ACLs, restrict public policies: the two that work on what is there already.
        let (mut ignores, mut restricts) = (None, None);
        match Said::of(ask!(self, get_public_access_block), &["NoSuchPublicAccessBlockConfiguration"]) {
            Said::Yes(answer) => {
                let block = answer.public_access_block_configuration();
                let on = |f: Option<Option<bool>>| f.flatten().unwrap_or(false);
                let all = [
                    ("block public ACLs", on(block.map(|b| b.block_public_acls()))),
                    ("ignore public ACLs", on(block.map(|b| b.ignore_public_acls()))),
                    ("block public policies", on(block.map(|b| b.block_public_policy()))),
                    ("restrict public buckets", on(block.map(|b| b.restrict_public_buckets()))),
                ];
                (ignores, restricts) = (Some(all[1].1), Some(all[3].1));
                let off: Vec<&str> = all.iter().filter(|(_, on)| !on).map(|(name, _)| *name).collect();
                match off.is_empty() {
                    true => p.add("public-access-block", Verdict::Good, "all four settings are on"),
                    false => p.add("public-access-block", Verdict::Weak, format!("off: {}", off.join(", "))),
                }
            }
            Said::None => {
                (ignores, restricts) = (Some(false), Some(false));
                p.add(
                    "public-access-block",
                    Verdict::Weak,
                    "none: nothing keeps somebody from making it public (the account may have one)",
                );
            }
            Said::Unread(why) => p.add("public-access-block", Verdict::Unknown, why),
        }
        let by_policy = match Said::of(ask!(self, get_bucket_policy_status), &["NoSuchBucketPolicy"]) {
            Said::Yes(answer) => answer.policy_status().and_then(|s| s.is_public()),
            Said::None => Some(false),
            Said::Unread(_) => None,
        };
        let by_acl = match Said::of(ask!(self, get_bucket_acl), &[]) {
            Said::Yes(acl) => Some(acl.grants().iter().any(|g| {
                let all = g.grantee().and_then(|g| g.uri()).is_some_and(|u| u.ends_with("/AllUsers") || u.ends_with("/AuthenticatedUsers"));
                all && g.permission().is_some_and(|p| matches!(p, Permission::Read | Permission::FullControl | Permission::Write))
            })),
            Said::None | Said::Unread(_) => None,
        };
        // What is shut off does no harm, whatever is behind it.
        let policy = if restricts == Some(true) { Some(false) } else { by_policy };
        let acl = if ignores == Some(true) { Some(false) } else { by_acl };
        p.public = match (policy, acl) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
        match (p.public, policy) {
            (Some(false), _) => p.add("public", Verdict::Good, "neither its policy nor its ACL lets strangers in"),
            (Some(true), Some(true)) => p.add("public", Verdict::Bad, "its policy lets everybody in"),
            (Some(true), _) => p.add("public", Verdict::Bad, "its ACL lets everybody in"),
            (None, _) => p.add("public", Verdict::Unknown, "policy status or ACL may not be read by these credentials"),
        }
    }

    async fn encryption(&self, p: &mut Preflight) {
        match Said::of(ask!(self, get_bucket_encryption), &["ServerSideEncryptionConfigurationNotFoundError"]) {
            Said::Yes(answer) => {
                let rules = answer.server_side_encryption_configuration().map(|c| c.rules()).unwrap_or_default();
                let default = rules.iter().find_map(|r| r.apply_server_side_encryption_by_default());
                match default.map(|d| (d.sse_algorithm(), d.kms_master_key_id())) {
                    Some((ServerSideEncryption::AwsKms | ServerSideEncryption::AwsKmsDsse, Some(key))) => {
                        p.add("encryption", Verdict::Good, format!("with the key {}", tame(key, 200)));
                    }
                    Some((other, _)) => {
                        let found = format!("{} by default: whoever may read the bucket can decrypt", tame(other.as_str(), 40));
                        p.add("encryption", Verdict::Weak, found);
                    }
                    None => p.add("encryption", Verdict::Weak, "no default"),
                }
            }
            Said::None => p.add("encryption", Verdict::Weak, "no default of its own"),
            Said::Unread(why) => p.add("encryption", Verdict::Unknown, why),
        }
    }

    async fn policy(&self, p: &mut Preflight) {
        match Said::of(ask!(self, get_bucket_policy), &["NoSuchBucketPolicy"]) {
            Said::Yes(answer) => {
                let has = Demands::of(answer.policy().unwrap_or_default());
                let lacks: Vec<&str> = [
                    (has.tls, "plain HTTP is not denied"),
                    (has.if_absent, "overwriting is not denied (no demand for If-None-Match)"),
                    (has.no_delete, "deleting is not denied"),
                ]
                .into_iter()
                .filter(|(there, _)| !there)
                .map(|(_, what)| what)
                .collect();
                match lacks.is_empty() {
                    true => p.add("policy", Verdict::Good, "denies plain HTTP, overwriting and deleting"),
                    false => p.add("policy", Verdict::Weak, lacks.join("; ")),
                }
            }
            Said::None => p.add("policy", Verdict::Weak, "none: plain HTTP, overwriting and deleting are not denied"),
            Said::Unread(why) => p.add("policy", Verdict::Unknown, why),
        }
    }

    async fn replication(&self, p: &mut Preflight) {
        match Said::of(ask!(self, get_bucket_replication), &["ReplicationConfigurationNotFoundError"]) {
            Said::Yes(answer) => {
                let rules = answer.replication_configuration().map(|c| c.rules()).unwrap_or_default();
                let to: Vec<String> = rules.iter().filter_map(|r| r.destination()).map(|d| tame(d.bucket(), 200)).collect();
                p.add("replication", Verdict::Good, format!("copies go to {}", to.join(", ")));
            }
            Said::None => p.add("replication", Verdict::Weak, "none: this is the only copy in AWS"),
            Said::Unread(why) => p.add("replication", Verdict::Unknown, why),
        }
    }
}

impl Preflight {
    fn add(&mut self, name: &str, verdict: Verdict, found: impl Into<String>) {
        self.properties.push(Property { name: name.into(), verdict, found: found.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lock::Span;

    fn seen(lockable: Option<bool>, public: Option<bool>) -> Preflight {
        Preflight { properties: vec![], lockable, public, region: None }
    }

    #[test]
    fn what_is_bad_is_refused_and_what_is_unknown_is_not_bad() {
        let rules =
            |p: &Preflight, lock: &Lock, accepted| p.refusals("vault", lock, accepted).into_iter().map(|r| r.rule).collect::<Vec<_>>();
        let (no, some) = (Lock::default(), Lock { event_hold: Some(Span::Years(7)), ..Lock::default() });
        let all = Accepted { unlocked_bucket: true, public_bucket: true, unfinished_bundle: false };
        assert!(rules(&seen(None, None), &some, Accepted::default()).is_empty());
        assert!(rules(&seen(Some(true), Some(false)), &no, Accepted::default()).is_empty());
        assert_eq!(rules(&seen(Some(false), Some(true)), &no, Accepted::default()), ["unlocked-bucket", "public-bucket"]);
        assert!(rules(&seen(Some(false), Some(true)), &no, all).is_empty());
        assert_eq!(rules(&seen(Some(false), Some(false)), &some, all), ["unlocked-bucket"], "what was asked cannot be had");
        assert_eq!(all.words(), ["unlocked-bucket", "public-bucket"]);
    }
}
