//! The CloudFormation stack that deployed the function (by SAM, CDK and others too), as its tags name it: what the function was meant to be, where
//! its code came from, who deployed last. And a warning: the next deployment writes over whatever containment has set.
//!
//! What it never does: start drift detection. That is a job that somebody starts, not a read.

use super::cx::at_once;
use super::tags::TAGS;
use super::trigger_table::is_region;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::Aws;
use crate::aws::raw::RawCall;
use crate::aws::xml;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use futures_util::FutureExt;

pub struct Deployment;

const STACK: Call = Call::read(Service::Cloudformation, "DescribeStacks", "cloudformation:DescribeStacks", Scope::Any);
/// Not DescribeStackResources: that one ends at a hundred, without a word.
const RESOURCES: Call = Call::read(Service::Cloudformation, "ListStackResources", "cloudformation:ListStackResources", Scope::Any);
const TEMPLATE: Call = Call::read(Service::Cloudformation, "GetTemplate", "cloudformation:GetTemplate", Scope::Any);
const EVENTS: Call = Call::read(Service::Cloudformation, "DescribeStackEvents", "cloudformation:DescribeStackEvents", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "deployment",
    title: "Deployment",
    answers: "What was the function meant to be, who deployed it, and would a deployment write over what we set?",
    group: Group::Config,
    volatility: Volatility::V2,
    calls: &[STACK, RESOURCES, TEMPLATE, EVENTS],
    params: &[Param {
        name: "max-pages",
        kind: ParamKind::Count,
        default: "20",
        doc: "Read so many pages of the stack's events, the newest; what is older is a gap",
    }],
};

const VERSION: &str = "2010-05-15";
const WHAT: &str = "the stack that deployed the function";

#[async_trait]
impl Collector for Deployment {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let tags = match cx.tags().await? {
            Ok(tags) => tags,
            Err(fault) => return cx.gap_from_lookup(&TAGS, &fault, WHAT).map(drop),
        };
        // Nobody but CloudFormation can set tags that begin with `aws:` (AWS General Reference, tag naming limits).
        let said = ["aws:cloudformation:stack-id", "aws:cloudformation:stack-name"].iter().find_map(|key| tags.get(*key));
        let Some(said) = said else {
            return cx.not_applicable(WHAT, "no tag names one: it was not deployed through CloudFormation").map(drop);
        };
        let Some(stack) = Stack::of(cx, said) else {
            return cx.gap(GapKind::Unsupported, WHAT, "the tag that names it holds no name of a stack of this account").map(drop);
        };
        let elsewhere = cx.aws_in(&stack.region);
        let aws = elsewhere.as_ref().unwrap_or(cx.aws());
        at_once([
            describe(cx, aws, &stack).boxed(),
            resources(cx, aws, &stack).boxed(),
            template(cx, aws, &stack, "Original", "as it was handed in").boxed(),
            template(cx, aws, &stack, "Processed", "as CloudFormation carried it out").boxed(),
            events(cx, aws, &stack).boxed(),
        ])
        .await
    }
}

struct Stack {
    /// ARN, or a name: what every call takes as `StackName`.
    name: String,
    region: String,
}

impl Stack {
    fn of(cx: &CollectCx<'_>, said: &str) -> Option<Stack> {
        let name = |text: &str| {
            (1..=128).contains(&text.len())
                && text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if name(said) {
            return Some(Stack { name: said.to_string(), region: cx.target().region.clone() });
        }
        let parts: Vec<&str> = said.split(':').collect();
        let ["arn", partition, "cloudformation", region, account, resource] = parts.as_slice() else { return None };
        let ["stack", called, id] = resource.split('/').collect::<Vec<_>>()[..] else { return None };
        let plain = name(called) && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let ours = *partition == cx.target().partition && *account == cx.target().account && is_region(region);
        (plain && ours).then(|| Stack { name: said.to_string(), region: region.to_string() })
    }
}

fn call(operation: &'static str, stack: &Stack, more: &[(&str, &str)]) -> RawCall {
    let mut parameters = vec![("StackName", stack.name.as_str())];
    parameters.extend_from_slice(more);
    RawCall::query(Service::Cloudformation, operation, VERSION, &parameters)
}

async fn describe(cx: &CollectCx<'_>, aws: &Aws, stack: &Stack) -> Result<(), Abort> {
    // Parameters may hold what should have been a secret.
    let question = Question::new(&STACK, format!("stack {}", stack.name)).sensitivity(Sensitivity::S3).region(aws.region());
    cx.ask(question, aws.raw(call("DescribeStacks", stack, &[]))).await.map(drop)
}

async fn template(cx: &CollectCx<'_>, aws: &Aws, stack: &Stack, stage: &str, words: &str) -> Result<(), Abort> {
    let question = Question::new(&TEMPLATE, format!("template of stack {}, {words}", stack.name));
    let question = question.sensitivity(Sensitivity::S3).region(aws.region());
    cx.ask(question, aws.raw(call("GetTemplate", stack, &[("TemplateStage", stage)]))).await.map(drop)
}

async fn resources(cx: &CollectCx<'_>, aws: &Aws, stack: &Stack) -> Result<(), Abort> {
    let question = Question::new(&RESOURCES, format!("resources of stack {}", stack.name));
    pages(cx, aws, stack, question, "StackResourceSummaries", Bound::default()).await
}

async fn events(cx: &CollectCx<'_>, aws: &Aws, stack: &Stack) -> Result<(), Abort> {
    let bound = Bound { pages: u32::try_from(cx.count("max-pages")).unwrap_or(u32::MAX), ..Bound::default() };
    // Properties of resources stand in them, environments among those.
    let question = Question::new(&EVENTS, format!("events of stack {}, newest first", stack.name)).sensitivity(Sensitivity::S3);
    pages(cx, aws, stack, question, "StackEvents", bound).await
}

async fn pages(cx: &CollectCx<'_>, aws: &Aws, stack: &Stack, question: Question<'_>, list: &str, bound: Bound) -> Result<(), Abort> {
    let operation = question.call.operation;
    cx.ask_pages(
        question.region(aws.region()),
        bound,
        |token| {
            let more: Vec<(&str, &str)> = token.as_deref().map(|t| ("NextToken", t)).into_iter().collect();
            let call = call(operation, stack, &more);
            async move { aws.raw(call).await }
        },
        |out: &Vec<u8>| xml::first(out, "NextToken"),
        |out| xml::count_within(&out, list, "member"),
    )
    .await
    .map(drop)
}
