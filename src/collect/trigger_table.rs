//! Who may stand behind a service principal of a resource policy, and where to look it up: one line for each service. An unknown principal is
//! never dropped; it is an unresolved trigger.

use super::cx::{Abort, CollectCx};
use super::grants::{Grant, Principal};
use crate::model::gap::GapKind;
use std::collections::BTreeSet;

/// How to find what fires the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Looked up by a collector of ours, from the source's ARN.
    Bucket,
    Topic,
    Api,
    TargetGroup,
    Rule,
    LogGroup,
    UserPool,
    IotRule,
    /// Looked up by a collector of ours in a list of the account's, whatever source the statement names.
    Secrets,
    ConfigRules,
    MailRules,
    /// Known, and not looked up: where a person finds it.
    Pointer(&'static str),
}

/// Service principals without `.amazonaws.com` and without a Region in front of it.
pub const WAYS: &[(&str, Way)] = &[
    ("s3", Way::Bucket),
    ("sns", Way::Topic),
    ("apigateway", Way::Api),
    ("elasticloadbalancing", Way::TargetGroup),
    ("events", Way::Rule),
    ("logs", Way::LogGroup),
    ("cognito-idp", Way::UserPool),
    ("iot", Way::IotRule),
    ("secretsmanager", Way::Secrets),
    ("config", Way::ConfigRules),
    ("ses", Way::MailRules),
    ("scheduler", Way::Pointer("EventBridge Scheduler calls with a role: see the schedules of this bundle")),
    ("pipes", Way::Pointer("EventBridge Pipes calls with a role: see the pipes of this bundle")),
    ("eventsv2", Way::Pointer("EventBridge v2 calls with a role: see the subscribers of this bundle")),
    ("lambda", Way::Pointer("Lambda itself: event source mappings and destinations of other functions")),
    ("edgelambda", Way::Pointer("CloudFront: see the Lambda@Edge associations of this bundle")),
    ("replicator.lambda", Way::Pointer("CloudFront: see the Lambda@Edge associations of this bundle")),
    ("cloudfront", Way::Pointer("CloudFront: an origin access control for a function URL (cloudfront list-distributions)")),
    ("states", Way::Pointer("Step Functions: the state machine named as source (states describe-state-machine)")),
    ("appsync", Way::Pointer("AppSync: the API's data sources and authorizer (appsync list-data-sources)")),
    ("cognito-sync", Way::Pointer("Cognito Sync: the identity pool's events (cognito-sync get-cognito-events)")),
    ("codepipeline", Way::Pointer("CodePipeline: invoke actions (codepipeline get-pipeline)")),
    ("codecommit", Way::Pointer("CodeCommit: repository triggers (codecommit get-repository-triggers)")),
    ("codedeploy", Way::Pointer("CodeDeploy: deployment hooks (deploy list-deployments)")),
    ("cloudformation", Way::Pointer("CloudFormation: custom resources and hooks (cloudformation describe-stack-resources)")),
    ("lambda.alarms.cloudwatch", Way::Pointer("CloudWatch: see the alarms of this bundle that call the function")),
    ("connect", Way::Pointer("Connect: contact flows (connect list-lambda-functions)")),
    ("lex", Way::Pointer("Lex: code hooks (lexv2-models describe-bot-alias)")),
    ("lexv2", Way::Pointer("Lex: code hooks (lexv2-models describe-bot-alias)")),
    ("bedrock", Way::Pointer("Bedrock: action groups of the agent named as source (bedrock-agent list-agent-action-groups)")),
    ("bedrock-agentcore", Way::Pointer("Bedrock AgentCore: gateway targets (bedrock-agentcore-control list-gateway-targets)")),
    ("vpc-lattice", Way::Pointer("VPC Lattice: target groups (vpc-lattice list-targets)")),
    ("batchoperations.s3", Way::Pointer("S3 Batch Operations: jobs (s3control list-jobs)")),
    ("s3-object-lambda", Way::Pointer("S3 Object Lambda: access points (s3control list-access-points-for-object-lambda)")),
    ("firehose", Way::Pointer("Data Firehose: record transformation (firehose describe-delivery-stream)")),
    ("backup", Way::Pointer("AWS Backup: restore testing and hooks")),
    ("mediatailor", Way::Pointer("MediaTailor: channels and ad decision servers")),
    ("ssm", Way::Pointer("Systems Manager: automation and maintenance windows (ssm describe-maintenance-windows)")),
    ("guardduty", Way::Pointer("GuardDuty")),
    ("transfer", Way::Pointer("Transfer Family: custom identity provider and workflows (transfer describe-server)")),
    ("rds", Way::Pointer("RDS or Aurora: calls from the database")),
    ("wisdom", Way::Pointer("Connect Wisdom")),
];

/// The way of a service principal; `None` is unknown.
pub fn way_of(principal: &str) -> Option<Way> {
    let name = principal.strip_suffix(".amazonaws.com.cn").or_else(|| principal.strip_suffix(".amazonaws.com"))?;
    let known = |name: &str| WAYS.iter().find(|(n, _)| *n == name).map(|(_, way)| *way);
    // `logs.eu-west-1`: the Region is the last label.
    known(name).or_else(|| known(name.rsplit_once('.').filter(|(_, last)| is_region(last))?.0))
}

/// The service that a source is of, as the principal that it would come as. An ARN's service has the principal's name but for these.
pub(super) fn principal_of(source: &str) -> Option<String> {
    let service = source.strip_prefix("arn:")?.split(':').nth(1).filter(|s| !s.is_empty())?;
    let name = match service {
        "execute-api" => "apigateway",
        "cloudwatch" => "lambda.alarms.cloudwatch",
        other => other,
    };
    Some(format!("{name}.amazonaws.com"))
}

/// A word that may stand in a host name for a Region: it comes from a policy, and whoever wrote that must not steer our requests elsewhere.
pub(super) fn is_region(word: &str) -> bool {
    word.len() <= 32
        && word.contains('-')
        && !word.starts_with('-')
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The source that a statement names, in parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    pub arn: String,
    /// The target's own where the ARN names none (buckets).
    pub region: String,
    pub account: String,
    pub resource: String,
}

/// A source that can be asked about: in our partition, in a well-formed Region, and one thing rather than a pattern (an API's ARN ends in
/// patterns; its id does not).
pub(super) fn source(cx: &CollectCx<'_>, way: Way, arn: &str) -> Option<Source> {
    let service = match way {
        Way::Bucket => "s3",
        Way::Topic => "sns",
        Way::Api => "execute-api",
        Way::TargetGroup => "elasticloadbalancing",
        Way::Rule => "events",
        Way::LogGroup => "logs",
        Way::UserPool => "cognito-idp",
        Way::IotRule => "iot",
        Way::Secrets | Way::ConfigRules | Way::MailRules | Way::Pointer(_) => return None,
    };
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, named, region, account, resource] = parts.as_slice() else { return None };
    let region = if region.is_empty() { cx.target().region.as_str() } else { region };
    let resource = if way == Way::Api { resource.split('/').next().unwrap_or_default() } else { resource };
    let resource = if way == Way::LogGroup {
        resource.trim_end_matches(":*").trim_end_matches(":log-stream:").strip_prefix("log-group:")?
    } else {
        resource
    };
    let plain = !resource.is_empty() && resource.len() <= 600 && !resource.contains(['*', '?', '$']);
    let ok = *partition == cx.target().partition && *named == service && is_region(region) && plain && arn.is_ascii();
    ok.then(|| Source { arn: arn.to_string(), region: region.to_string(), account: account.to_string(), resource: resource.to_string() })
}

impl Way {
    /// The source that a statement names, or does not, is not needed to find what fires the function.
    pub(super) fn needs_no_source(self) -> bool {
        matches!(self, Way::Secrets | Way::ConfigRules | Way::MailRules)
    }
}

/// Whether a statement that was read admits `way`. What could not be read leaves its gap with the ways that are looked up by source.
pub(super) async fn admitted(cx: &CollectCx<'_>, way: Way) -> Result<bool, Abort> {
    let policies = cx.policies().await?;
    Ok(policies.grants.iter().any(|g| admits(g, way)))
}

/// Everybody is every service too, and then the sources tell which one is meant.
fn admits(grant: &Grant, way: Way) -> bool {
    let meant = || grant.sources.iter().filter_map(|arn| principal_of(arn)).any(|s| way_of(&s) == Some(way));
    let admitted = |p: &Principal| match p {
        Principal::Service(s) => way_of(s) == Some(way),
        Principal::Everybody => meant(),
        Principal::Aws(_) | Principal::Other(_) => false,
    };
    grant.allow && grant.principals.iter().any(admitted)
}

/// Sources that one run asks about for each way. A policy of 20 KiB cannot name many more.
const MAX_SOURCES: usize = 100;

/// What the statements that admit `way` name as sources. What could not be read or is too much leaves a gap; none at all is said in words.
pub(super) async fn sources(cx: &CollectCx<'_>, way: Way, what: &str) -> Result<Vec<Source>, Abort> {
    let policies = cx.policies().await?;
    let found: BTreeSet<Source> =
        policies.grants.iter().filter(|g| admits(g, way)).flat_map(|g| &g.sources).filter_map(|arn| source(cx, way, arn)).collect();
    if let Some((kind, why)) = &policies.unfinished {
        cx.gap(*kind, &format!("{what} that further resource policies name"), &format!("not every resource policy could be read: {why}"))?;
    }
    if found.len() > MAX_SOURCES {
        cx.gap(
            GapKind::TooLarge,
            &format!("further {what}"),
            &format!("the policies name {} sources; the first {MAX_SOURCES} were asked about", found.len()),
        )?;
    }
    Ok(found.into_iter().take(MAX_SOURCES).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_with_and_without_a_region() {
        assert_eq!(way_of("s3.amazonaws.com"), Some(Way::Bucket));
        assert_eq!(way_of("logs.eu-west-1.amazonaws.com"), Some(Way::LogGroup));
        assert_eq!(way_of("logs.cn-north-1.amazonaws.com.cn"), Some(Way::LogGroup));
        assert!(matches!(way_of("lambda.alarms.cloudwatch.amazonaws.com"), Some(Way::Pointer(_))));
        for unknown in ["evil.amazonaws.com", "s3.example.com", "s3.evil.amazonaws.com", "", "amazonaws.com"] {
            assert_eq!(way_of(unknown), None, "{unknown}");
        }
        let mut names: Vec<_> = WAYS.iter().map(|(n, _)| *n).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), WAYS.len(), "one line for each");
    }

    #[test]
    fn a_source_tells_its_service() {
        for (source, way) in [
            ("arn:aws:s3:::inbox", Some(Way::Bucket)),
            ("arn:aws:execute-api:eu-west-1:1:a/*/GET/x", Some(Way::Api)),
            ("arn:aws:secretsmanager:eu-west-1:1:secret:x", Some(Way::Secrets)),
            ("arn:aws:brand-new:eu-west-1:1:x", None),
        ] {
            assert_eq!(principal_of(source).as_deref().and_then(way_of), way, "{source}");
        }
        let alarm = principal_of("arn:aws:cloudwatch:eu-west-1:1:alarm:x").unwrap();
        assert!(matches!(way_of(&alarm), Some(Way::Pointer(_))));
        for none in ["", "*", "arn:aws", "arn:aws::eu-west-1:1:x", "s3:::inbox"] {
            assert_eq!(principal_of(none), None, "{none}");
        }
    }

    #[test]
    fn a_policy_cannot_steer_requests_to_another_host() {
        for bad in ["eu-west-1.evil.example/", "evil.example", "a b", "EU-WEST-1", "", "-x", "x"] {
            assert!(!is_region(bad), "{bad}");
        }
        assert!(is_region("us-gov-west-1"));
    }
}
