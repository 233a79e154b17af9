//! The outlook: the function's life as the forecast needs it, read in one go, everything at once. Every answer that does not come is a reason
//! in words, never an error: containment must not wait for a forecast.
//!
//! What it never does: write, receive a message, keep another function's environment.

use crate::aws::Aws;
use crate::aws::connect::Connector;
use crate::aws::fault::{Fault, tame};
use crate::aws::raw::{JsonVersion, RawCall};
use crate::aws::record::{Recorder, UnitScope};
use crate::aws::tape::{self, Listening};
use crate::clock::{self, Clock};
use crate::contain::role::decode;
use crate::model::call::Service;
use crate::model::item::Group;
use crate::model::target::Target;
use crate::plan::forecast::{Configuration, FORECAST, Fact, Mapping, Outlook, Queue, Traffic};
use aws_sdk_lambda::types::{ExecutionStatus, FunctionVersion};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Pages of any list: what is longer is too long for a forecast, and said so.
const PAGES: usize = 40;
/// Of the list of all versions of all functions, fifty on each.
const VERSION_PAGES: usize = 100;
/// Queues that are asked for their depth.
const QUEUES: usize = 25;

struct Ask<'a> {
    aws: Aws,
    target: &'a Target,
    clock: &'a dyn Clock,
}

/// Read it. `role`: the role's name, where it is known already.
pub async fn look(connector: &Connector, recorder: Arc<dyn Recorder>, target: &Target, clock: &dyn Clock) -> Outlook {
    let connector = if connector.region() == target.region { connector.clone() } else { connector.in_region(&target.region) };
    let ask = Ask { aws: connector.unit(UnitScope { unit: "forecast", group: Group::Contain }, FORECAST, recorder), target, clock };
    let ((configuration, role), traffic, failure_destinations, mappings, provisioned, autoscaled) =
        tokio::join!(ask.configuration(), ask.traffic(), ask.failure_destinations(), ask.mappings(), ask.provisioned(), ask.autoscaled(),);
    let durable = configuration.as_ref().map_or(true, |c| c.durable);
    let (durable_running, role_users, role_trusts) = tokio::join!(
        async { if durable { ask.durable_running().await } else { Ok(0) } },
        async { role_users(&ask, role.as_deref()).await },
        async { ask.role_trusts(role.as_deref()).await },
    );
    Outlook {
        at: clock::stamp(clock.now()),
        configuration,
        traffic,
        failure_destinations,
        mappings,
        durable_running,
        role_users,
        role_trusts,
        provisioned,
        autoscaled,
    }
}

impl Ask<'_> {
    async fn call<O, E, F>(&self, service: Service, operation: &'static str, future: F) -> Fact<O>
    where
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.aws.pace().turn(service, operation, self.aws.region()).await;
        // Their answers hold environment values, a signed address, and what other functions keep secret.
        let secret = service == Service::Lambda && matches!(operation, "GetFunction" | "ListFunctions");
        let discard_body = secret.then_some("it holds environment values; the forecast needs none");
        let (answer, exchanges) = tape::listen(Listening { discard_body, ..Listening::default() }, future).await;
        answer.map_err(|e| format!("{}:{operation}: {}", service.prefix(), tame(&Fault::of(&e, &exchanges).to_string(), 200)))
    }

    async fn json(&self, service: Service, operation: &'static str, target: &str, body: Value) -> Fact<Value> {
        let version = if service == Service::Autoscaling { JsonVersion::V1_1 } else { JsonVersion::V1_0 };
        let bytes = self.call(service, operation, self.aws.raw(RawCall::json(service, operation, version, target, &body))).await?;
        serde_json::from_slice(&bytes).map_err(|_| format!("{}:{operation} answered in no form that is known", service.prefix()))
    }

    /// Configuration, and the role's ARN.
    async fn configuration(&self) -> (Fact<Configuration>, Option<String>) {
        let call = self.aws.lambda().get_function().function_name(&self.target.function).send();
        let found = match self.call(Service::Lambda, "GetFunction", call).await {
            Ok(found) => found,
            Err(why) => return (Err(why), None),
        };
        let Some(c) = found.configuration() else { return (Err("AWS stated no configuration".into()), None) };
        let tag = |name: &str| found.tags().and_then(|t| t.get(name)).map(|v| tame(v, 150));
        let deployed_by = tag("aws:cloudformation:stack-name")
            .map(|s| format!("CloudFormation (stack {s})"))
            .or_else(|| tag("serverless:stage").map(|_| "the Serverless Framework".to_string()))
            .or_else(|| tag("terraform").or_else(|| tag("managed-by")).map(|v| format!("`{v}`, as its tags say")));
        let configuration = Configuration {
            timeout_s: c.timeout().and_then(|t| u64::try_from(t).ok()).unwrap_or(900),
            managed_instances: c.capacity_provider_config().is_some(),
            dead_letter: c.dead_letter_config().and_then(|d| d.target_arn()).filter(|a| !a.is_empty()).map(|a| tame(a, 300)),
            durable: c.durable_config().is_some(),
            deployed_by,
            edge: c.master_arn().is_some(),
        };
        (Ok(configuration), c.role().map(str::to_string))
    }

    /// Four counters of the last hour.
    async fn traffic(&self) -> Fact<Traffic> {
        let now = self.clock.now().timestamp();
        let query = |id: &str, metric: &str, stat: &str| {
            let metric = json!({"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": [{"Name": "FunctionName", "Value": self.target.function}]});
            json!({"Id": id, "MetricStat": {"Metric": metric, "Stat": stat, "Period": 3600}})
        };
        let body = json!({
            "StartTime": now - 3600, "EndTime": now + 60,
            "MetricDataQueries": [
                query("invocations", "Invocations", "Sum"), query("asynchronous", "AsyncEventsReceived", "Sum"),
                query("url", "UrlRequestCount", "Sum"), query("age", "IteratorAge", "Maximum"),
            ],
        });
        let found = self.json(Service::Cloudwatch, "GetMetricData", "GraniteServiceVersion20100801.GetMetricData", body).await?;
        let results = found["MetricDataResults"].as_array().cloned().unwrap_or_default();
        if results.iter().any(|r| matches!(r["StatusCode"].as_str(), Some("Forbidden" | "InternalError"))) {
            return Err("CloudWatch did not read all of its own series".into());
        }
        // The hour touches two periods.
        let values = |id: &str| -> Vec<f64> {
            let of = results.iter().filter(|r| r["Id"] == id);
            of.flat_map(|r| r["Values"].as_array().cloned().unwrap_or_default()).filter_map(|v| v.as_f64()).collect()
        };
        let sum = |id| whole(values(id).iter().sum());
        Ok(Traffic {
            invocations: sum("invocations"),
            asynchronous: sum("asynchronous"),
            url_requests: sum("url"),
            iterator_age_ms: whole(values("age").into_iter().fold(0.0, f64::max)),
        })
    }

    async fn failure_destinations(&self) -> Fact<Vec<(String, String)>> {
        let mut out = vec![];
        let mut marker: Option<String> = None;
        for _ in 0..PAGES {
            let call = self.aws.lambda().list_function_event_invoke_configs().function_name(&self.target.function).set_marker(marker);
            let page = self.call(Service::Lambda, "ListFunctionEventInvokeConfigs", call.send()).await?;
            for config in page.function_event_invoke_configs() {
                let to = config.destination_config().and_then(|d| d.on_failure()).and_then(|f| f.destination()).filter(|d| !d.is_empty());
                let whose = config.function_arn().and_then(|a| a.splitn(8, ':').nth(7)).unwrap_or("$LATEST");
                out.extend(to.map(|to| (tame(whose, 130), tame(to, 300))));
            }
            marker = page.next_marker().filter(|m| !m.is_empty()).map(str::to_string);
            if marker.is_none() {
                return Ok(out);
            }
        }
        Err("the list of asynchronous configurations has no end".into())
    }

    async fn mappings(&self) -> Fact<Vec<Mapping>> {
        let mut out = vec![];
        let mut marker: Option<String> = None;
        for _ in 0..PAGES {
            let call = self.aws.lambda().list_event_source_mappings().function_name(&self.target.function).set_marker(marker);
            let page = self.call(Service::Lambda, "ListEventSourceMappings", call.send()).await?;
            for mapping in page.event_source_mappings() {
                let source = mapping.event_source_arn().map_or_else(|| "a self-managed source".to_string(), |a| tame(a, 300));
                let enabled = !matches!(mapping.state(), Some("Disabled" | "Disabling"));
                let queue = match source.split(':').nth(2) {
                    Some("sqs") if out.len() < QUEUES => Some(self.queue(&source).await),
                    Some("sqs") => Some(Err(format!("only {QUEUES} queues are asked"))),
                    _ => None,
                };
                out.push(Mapping { source, enabled, queue });
            }
            marker = page.next_marker().filter(|m| !m.is_empty()).map(str::to_string);
            if marker.is_none() {
                return Ok(out);
            }
        }
        Err("the list of event source mappings has no end".into())
    }

    async fn queue(&self, arn: &str) -> Fact<Queue> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", _, "sqs", region, account, name] = parts.as_slice() else { return Err("its ARN is none of a queue".into()) };
        if *region != self.target.region {
            return Err("it lies in another Region".into());
        }
        let url = self
            .json(Service::Sqs, "GetQueueUrl", "AmazonSQS.GetQueueUrl", json!({"QueueName": name, "QueueOwnerAWSAccountId": account}))
            .await?;
        let body = json!({"QueueUrl": url["QueueUrl"], "AttributeNames": ["All"]});
        let found = self.json(Service::Sqs, "GetQueueAttributes", "AmazonSQS.GetQueueAttributes", body).await?;
        let number = |name: &str| found["Attributes"][name].as_str().and_then(|n| n.parse().ok()).unwrap_or_default();
        let redrive: Value = found["Attributes"]["RedrivePolicy"].as_str().and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default();
        // A number to some, its digits to others.
        let max = &redrive["maxReceiveCount"];
        Ok(Queue {
            waiting: number("ApproximateNumberOfMessages"),
            in_flight: number("ApproximateNumberOfMessagesNotVisible"),
            visibility_s: number("VisibilityTimeout"),
            retention_s: number("MessageRetentionPeriod"),
            max_receives: max.as_u64().or_else(|| max.as_str()?.parse().ok()),
        })
    }

    async fn provisioned(&self) -> Fact<Vec<(String, u64)>> {
        let mut out = vec![];
        let mut marker: Option<String> = None;
        for _ in 0..PAGES {
            let call = self.aws.lambda().list_provisioned_concurrency_configs().function_name(&self.target.function).set_marker(marker);
            let page = self.call(Service::Lambda, "ListProvisionedConcurrencyConfigs", call.send()).await?;
            for config in page.provisioned_concurrency_configs() {
                let whose = config.function_arn().and_then(|a| a.splitn(8, ':').nth(7)).unwrap_or("the function");
                let n = config.requested_provisioned_concurrent_executions().and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
                out.push((tame(whose, 130), n));
            }
            marker = page.next_marker().filter(|m| !m.is_empty()).map(str::to_string);
            if marker.is_none() {
                return Ok(out);
            }
        }
        Err("the list of provisioned concurrency has no end".into())
    }

    async fn autoscaled(&self) -> Fact<Vec<String>> {
        let body = json!({"ServiceNamespace": "lambda", "ScalableDimension": "lambda:function:ProvisionedConcurrency"});
        let target = "AnyScaleFrontendService.DescribeScalableTargets";
        let found = self.json(Service::Autoscaling, "DescribeScalableTargets", target, body).await?;
        let ours = format!("function:{}:", self.target.function);
        let ids = found["ScalableTargets"].as_array().cloned().unwrap_or_default();
        Ok(ids.iter().filter_map(|t| t["ResourceId"].as_str()).filter(|id| id.starts_with(&ours)).map(|id| tame(id, 200)).collect())
    }

    async fn durable_running(&self) -> Fact<u64> {
        let mut n = 0u64;
        let mut marker: Option<String> = None;
        for _ in 0..PAGES {
            let call = self.aws.lambda().list_durable_executions_by_function().function_name(&self.target.function);
            let call = call.statuses(ExecutionStatus::Running).max_items(1000).set_marker(marker);
            let page = self.call(Service::Lambda, "ListDurableExecutionsByFunction", call.send()).await?;
            n += page.durable_executions().len() as u64;
            marker = page.next_marker().filter(|m| !m.is_empty()).map(str::to_string);
            if marker.is_none() {
                return Ok(n);
            }
        }
        Err(format!("more than {n} durable executions are running"))
    }

    async fn role_trusts(&self, role: Option<&str>) -> Fact<Vec<String>> {
        let name = role.and_then(|r| r.rsplit('/').next()).filter(|n| !n.is_empty()).ok_or("the role is not known")?;
        let found = self.call(Service::Iam, "GetRole", self.aws.iam().get_role().role_name(name).send()).await?;
        let text = found.role().and_then(|r| r.assume_role_policy_document()).unwrap_or_default();
        let decoded = decode(text).ok_or("the trust policy cannot be decoded")?;
        let policy: Value = serde_json::from_str(&decoded).map_err(|_| "the trust policy is no JSON")?;
        Ok(trusts(&policy))
    }
}

/// Whom the trust policy admits beside Lambda.
fn trusts(policy: &Value) -> Vec<String> {
    let many = |v: &Value| match v {
        Value::Array(all) => all.clone(),
        Value::Null => vec![],
        one => vec![one.clone()],
    };
    let mut out = vec![];
    for statement in many(&policy["Statement"]).iter().filter(|s| s["Effect"] == "Allow") {
        match &statement["Principal"] {
            Value::String(all) => out.push(tame(all, 200)),
            Value::Object(kinds) => {
                let named = kinds.values().flat_map(many).filter_map(|p| p.as_str().map(str::to_string));
                out.extend(named.filter(|p| p != "lambda.amazonaws.com").map(|p| tame(&p, 200)));
            }
            _ => {}
        }
    }
    out.sort();
    out.dedup();
    out
}

/// The other functions of the Region of which any version runs under the role. Of each no more than name and role is looked at.
async fn role_users(ask: &Ask<'_>, role: Option<&str>) -> Fact<Vec<String>> {
    let role = role.ok_or("the role is not known")?;
    let mut out = BTreeSet::new();
    let mut marker: Option<String> = None;
    for _ in 0..VERSION_PAGES {
        let call = ask.aws.lambda().list_functions().function_version(FunctionVersion::All).set_marker(marker).send();
        let page = ask.call(Service::Lambda, "ListFunctions", call).await?;
        let using = page.functions().iter().filter(|f| f.role() == Some(role)).filter_map(|f| f.function_name());
        out.extend(using.filter(|n| *n != ask.target.function).map(|n| tame(n, 140)));
        marker = page.next_marker().filter(|m| !m.is_empty()).map(str::to_string);
        if marker.is_none() {
            return Ok(out.into_iter().collect());
        }
    }
    Err(format!("the Region has more versions of functions than a forecast counts; {} of those counted use the role", out.len()))
}

/// A metric's value as a count: never negative, never more than can be counted.
fn whole(value: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, which is what is wanted of a count")]
    let n = value.max(0.0).round() as u64;
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_not_lambda_is_somebody_else() {
        let policy = json!({"Statement": [
            {"Effect": "Allow", "Principal": {"Service": ["lambda.amazonaws.com", "edgelambda.amazonaws.com"], "AWS": "arn:aws:iam::1:root"}},
            {"Effect": "Deny", "Principal": "*"},
        ]});
        assert_eq!(trusts(&policy), ["arn:aws:iam::1:root", "edgelambda.amazonaws.com"]);
        assert_eq!(trusts(&json!({"Statement": {"Effect": "Allow", "Principal": "*"}})), ["*"]);
    }

    #[test]
    fn a_metric_is_a_count() {
        assert_eq!([whole(3.4), whole(-1.0), whole(f64::NAN), whole(f64::INFINITY)], [3, 0, 0, u64::MAX]);
    }
}
