//! Sources of other services that the resource policies admit, where one cheap read tells what fires the function: user pools, IoT rules, and
//! the account's secrets, Config rules and mail rules. No secret's value is ever asked for.

use super::cx::at_once;
use super::raw_list::Members;
use super::trigger_table::{self, Source, Way};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};

pub struct NamedSources;

const POOL: Call = Call::read(Service::Cognito, "DescribeUserPool", "cognito-idp:DescribeUserPool", Scope::Any);
const RULE: Call = Call::read(Service::Iot, "GetTopicRule", "iot:GetTopicRule", Scope::Any);
const SECRETS: Call = Call::read(Service::Secretsmanager, "ListSecrets", "secretsmanager:ListSecrets", Scope::Any);
const CONFIG: Call = Call::read(Service::Config, "DescribeConfigRules", "config:DescribeConfigRules", Scope::Any);
const MAIL: Call = Call::read(Service::Ses, "DescribeActiveReceiptRuleSet", "ses:DescribeActiveReceiptRuleSet", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "named-sources",
    title: "Sources of other services",
    answers: "Which user pools, IoT rules, secrets, Config rules and mail rules fire the function?",
    group: Group::Triggers,
    volatility: Volatility::V2,
    calls: &[POOL, RULE, SECRETS, CONFIG, MAIL],
    params: &[],
};

#[async_trait]
impl Collector for NamedSources {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let pools = trigger_table::sources(cx, Way::UserPool, "user pools").await?;
        let rules = trigger_table::sources(cx, Way::IotRule, "IoT rules").await?;
        let (secrets, config, mail) = (
            trigger_table::admitted(cx, Way::Secrets).await?,
            trigger_table::admitted(cx, Way::ConfigRules).await?,
            trigger_table::admitted(cx, Way::MailRules).await?,
        );
        if pools.is_empty() && rules.is_empty() && !secrets && !config && !mail {
            let why = "no statement that was read names a user pool, an IoT rule, Secrets Manager, Config or SES";
            return cx.not_applicable("sources of other services", why).map(drop);
        }
        let by_name = pools.into_iter().map(|s| pool(cx, s).boxed()).chain(rules.into_iter().map(|s| topic_rule(cx, s).boxed()));
        let mut whole = vec![];
        whole.extend(secrets.then(|| rotated(cx).boxed()));
        whole.extend(config.then(|| config_rules(cx).boxed()));
        whole.extend(mail.then(|| mail_rules(cx).boxed()));
        at_once(by_name.chain(whole)).await
    }
}

async fn pool(cx: &CollectCx<'_>, source: Source) -> Result<(), Abort> {
    let elsewhere = cx.aws_in(&source.region);
    let id = source.resource.strip_prefix("userpool/").unwrap_or(&source.resource);
    let target = "AWSCognitoIdentityProviderService.DescribeUserPool";
    let call = RawCall::json(Service::Cognito, "DescribeUserPool", JsonVersion::V1_1, target, &json!({"UserPoolId": id}));
    let question = Question::new(&POOL, format!("user pool {} with its Lambda triggers", source.arn));
    cx.ask_json(question, elsewhere.as_ref().unwrap_or(cx.aws()), call).await?;
    Ok(())
}

async fn topic_rule(cx: &CollectCx<'_>, source: Source) -> Result<(), Abort> {
    let elsewhere = cx.aws_in(&source.region);
    let name = source.resource.strip_prefix("rule/").unwrap_or(&source.resource);
    let call = RawCall::rest(Service::Iot, "GetTopicRule", "GET", &["rules", name], &[], None);
    let question = Question::new(&RULE, format!("IoT rule {}", source.arn)).sensitivity(Sensitivity::S2);
    cx.ask_json(question, elsewhere.as_ref().unwrap_or(cx.aws()), call).await?;
    Ok(())
}

/// The list says of each secret which function rotates it, and never its value.
async fn rotated(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let page = |token: Option<String>| {
        list(Service::Secretsmanager, "ListSecrets", "secretsmanager.ListSecrets", json!({"MaxResults": 100}), token)
    };
    let question = Question::new(&SECRETS, "secrets of the account in this Region, with the function that rotates each");
    cx.ask_json_list(question, cx.aws(), Members { list: "SecretList", next: "NextToken" }, page, |_| {}).await?;
    Ok(())
}

async fn config_rules(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let page =
        |token: Option<String>| list(Service::Config, "DescribeConfigRules", "StarlingDoveService.DescribeConfigRules", json!({}), token);
    let question = Question::new(&CONFIG, "rules of AWS Config in this Region, with the function that each asks");
    cx.ask_json_list(question, cx.aws(), Members { list: "ConfigRules", next: "NextToken" }, page, |_| {}).await?;
    Ok(())
}

async fn mail_rules(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let call = RawCall::query(Service::Ses, "DescribeActiveReceiptRuleSet", "2010-12-01", &[]);
    // Recipients are people's addresses.
    let question = Question::new(&MAIL, "receipt rules of SES in force in this Region").sensitivity(Sensitivity::S2);
    cx.ask(question, cx.aws().raw(call)).await?;
    Ok(())
}

fn list(service: Service, operation: &'static str, target: &str, mut body: Value, token: Option<String>) -> RawCall {
    if let Some(token) = token {
        body["NextToken"] = token.into();
    }
    RawCall::json(service, operation, JsonVersion::V1_1, target, &body)
}
