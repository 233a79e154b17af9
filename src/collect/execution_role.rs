//! The execution role: who may become it, and everything it may do. Every version of every managed policy is read, not only the one in force:
//! there are at most five, so whoever widens and narrows a policy again cycles the proof out.

use super::cx::at_once;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use aws_sdk_iam::operation::list_attached_role_policies::ListAttachedRolePoliciesOutput;
use aws_sdk_iam::operation::list_instance_profiles_for_role::ListInstanceProfilesForRoleOutput;
use aws_sdk_iam::operation::list_policy_versions::ListPolicyVersionsOutput;
use aws_sdk_iam::operation::list_role_policies::ListRolePoliciesOutput;
use aws_sdk_iam::operation::list_role_tags::ListRoleTagsOutput;
use futures_util::FutureExt;

pub struct ExecutionRole;

const GET_ROLE: Call = Call::read(Service::Iam, "GetRole", "iam:GetRole", Scope::Role);
const LIST_INLINE: Call = Call::read(Service::Iam, "ListRolePolicies", "iam:ListRolePolicies", Scope::Role);
const GET_INLINE: Call = Call::read(Service::Iam, "GetRolePolicy", "iam:GetRolePolicy", Scope::Role);
const LIST_ATTACHED: Call = Call::read(Service::Iam, "ListAttachedRolePolicies", "iam:ListAttachedRolePolicies", Scope::Role);
const LIST_PROFILES: Call = Call::read(Service::Iam, "ListInstanceProfilesForRole", "iam:ListInstanceProfilesForRole", Scope::Role);
const LIST_TAGS: Call = Call::read(Service::Iam, "ListRoleTags", "iam:ListRoleTags", Scope::Role);
const GET_POLICY: Call = Call::read(Service::Iam, "GetPolicy", "iam:GetPolicy", Scope::Policy);
const LIST_VERSIONS: Call = Call::read(Service::Iam, "ListPolicyVersions", "iam:ListPolicyVersions", Scope::Policy);
const GET_VERSION: Call = Call::read(Service::Iam, "GetPolicyVersion", "iam:GetPolicyVersion", Scope::Policy);

static SPEC: CollectorSpec = CollectorSpec {
    id: "execution-role",
    title: "Execution role",
    answers: "What may the function's credentials do, who may take the role, and what could it do before?",
    group: Group::Identity,
    volatility: Volatility::V2,
    calls: &[GET_ROLE, LIST_INLINE, GET_INLINE, LIST_ATTACHED, LIST_PROFILES, LIST_TAGS, GET_POLICY, LIST_VERSIONS, GET_VERSION],
    params: &[],
};

#[async_trait]
impl Collector for ExecutionRole {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let fact = match cx.function_or_told().await? {
            Ok(fact) => fact,
            Err(fault) => return cx.gap_from(&fault, "execution role").map(drop),
        };
        let Some(role) = fact.role_name() else {
            return cx.gap_without_role("execution role").map(drop);
        };
        tokio::try_join!(role_and_boundary(cx, role), inline(cx, role), attached(cx, role), profiles(cx, role), tags(cx, role))?;
        Ok(())
    }
}

async fn role_and_boundary(cx: &CollectCx<'_>, role: &str) -> Result<(), Abort> {
    let question = Question::new(&GET_ROLE, format!("role {role}: trust policy, boundary, tags, last use"));
    let Some(out) = cx.ask(question, cx.aws().iam().get_role().role_name(role).send()).await?.got() else { return Ok(()) };
    match out.role().and_then(|r| r.permissions_boundary()).and_then(|b| b.permissions_boundary_arn()) {
        Some(arn) => managed(cx, "permissions boundary", arn.to_string()).await,
        None => cx.not_applicable("permissions boundary", "the role has none").map(drop),
    }
}

/// A role that also sits on an instance: its credentials are used by more than the function.
async fn profiles(cx: &CollectCx<'_>, role: &str) -> Result<(), Abort> {
    let call = || cx.aws().iam().list_instance_profiles_for_role().role_name(role);
    cx.ask_pages(
        Question::new(&LIST_PROFILES, format!("instance profiles that hold role {role}")),
        Bound::default(),
        |marker| call().set_marker(marker).send(),
        |out: &ListInstanceProfilesForRoleOutput| out.marker().filter(|_| out.is_truncated()).map(str::to_string),
        |out| out.instance_profiles().len(),
    )
    .await?;
    Ok(())
}

async fn tags(cx: &CollectCx<'_>, role: &str) -> Result<(), Abort> {
    let call = || cx.aws().iam().list_role_tags().role_name(role);
    cx.ask_pages(
        Question::new(&LIST_TAGS, format!("tags of role {role}")),
        Bound::default(),
        |marker| call().set_marker(marker).send(),
        |out: &ListRoleTagsOutput| out.marker().filter(|_| out.is_truncated()).map(str::to_string),
        |out| out.tags().len(),
    )
    .await?;
    Ok(())
}

async fn inline(cx: &CollectCx<'_>, role: &str) -> Result<(), Abort> {
    let mut names = vec![];
    let call = || cx.aws().iam().list_role_policies().role_name(role);
    cx.ask_pages(
        Question::new(&LIST_INLINE, format!("names of the inline policies of role {role}")),
        Bound::default(),
        |marker| call().set_marker(marker).send(),
        |out: &ListRolePoliciesOutput| out.marker().filter(|_| out.is_truncated()).map(str::to_string),
        |out| {
            names.extend_from_slice(out.policy_names());
            out.policy_names().len()
        },
    )
    .await?;
    at_once(names.into_iter().map(|name| inline_document(cx, role, name).boxed())).await
}

async fn inline_document(cx: &CollectCx<'_>, role: &str, name: String) -> Result<(), Abort> {
    let question = Question::new(&GET_INLINE, format!("inline policy {name} of role {role}"));
    cx.ask(question, cx.aws().iam().get_role_policy().role_name(role).policy_name(name).send()).await?;
    Ok(())
}

async fn attached(cx: &CollectCx<'_>, role: &str) -> Result<(), Abort> {
    let mut arns = vec![];
    let call = || cx.aws().iam().list_attached_role_policies().role_name(role);
    cx.ask_pages(
        Question::new(&LIST_ATTACHED, format!("managed policies attached to role {role}")),
        Bound::default(),
        |marker| call().set_marker(marker).send(),
        |out: &ListAttachedRolePoliciesOutput| out.marker().filter(|_| out.is_truncated()).map(str::to_string),
        |out| {
            arns.extend(out.attached_policies().iter().filter_map(|p| p.policy_arn().map(str::to_string)));
            out.attached_policies().len()
        },
    )
    .await?;
    at_once(arns.into_iter().map(|arn| managed(cx, "managed policy", arn).boxed())).await
}

/// A managed policy: what it is, which versions it has, and what each of them says.
async fn managed(cx: &CollectCx<'_>, what: &str, arn: String) -> Result<(), Abort> {
    tokio::try_join!(about(cx, what, &arn), versions(cx, what, &arn))?;
    Ok(())
}

async fn about(cx: &CollectCx<'_>, what: &str, arn: &str) -> Result<(), Abort> {
    let question = Question::new(&GET_POLICY, format!("{what} {arn}: attachments, default version, tags"));
    cx.ask(question, cx.aws().iam().get_policy().policy_arn(arn).send()).await?;
    Ok(())
}

async fn versions(cx: &CollectCx<'_>, what: &str, arn: &str) -> Result<(), Abort> {
    let mut ids = vec![];
    let call = || cx.aws().iam().list_policy_versions().policy_arn(arn);
    cx.ask_pages(
        Question::new(&LIST_VERSIONS, format!("versions of {what} {arn}")),
        Bound::default(),
        |marker| call().set_marker(marker).send(),
        |out: &ListPolicyVersionsOutput| out.marker().filter(|_| out.is_truncated()).map(str::to_string),
        |out| {
            ids.extend(out.versions().iter().filter_map(|v| v.version_id().map(str::to_string)));
            out.versions().len()
        },
    )
    .await?;
    at_once(ids.into_iter().map(|id| version(cx, what, arn, id).boxed())).await
}

async fn version(cx: &CollectCx<'_>, what: &str, arn: &str, id: String) -> Result<(), Abort> {
    let question = Question::new(&GET_VERSION, format!("version {id} of {what} {arn}"));
    cx.ask(question, cx.aws().iam().get_policy_version().policy_arn(arn).version_id(id).send()).await?;
    Ok(())
}
