//! The role that two functions share: trust, one inline policy, two managed policies with a history.

use serde_json::{Value, json};

use super::{Answered as _, Doing as _, Place, SeedClients, SeedError, names};

/// The role as it was seeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub arn: String,
    /// `AROA…`: what `aws:userid` of its sessions begins with.
    pub id: String,
    pub trust: Value,
    /// (name, document)
    pub inline: (String, Value),
    pub managed: Vec<Managed>,
}

/// A customer managed policy with all its versions; the last one is the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Managed {
    pub arn: String,
    pub name: String,
    pub versions: Vec<Value>,
}

pub(super) async fn seed(clients: &SeedClients, place: &Place, bucket: &str) -> Result<Role, SeedError> {
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
    let made = clients.iam.create_role().role_name(names::ROLE).path(names::ROLE_PATH);
    let made = made.description("Exports settled payments").assume_role_policy_document(trust.to_string());
    let made = made.send().await.doing("create the execution role")?;
    let made = made.role.answered("create the execution role", "role")?;

    let inline = statements(&[allow(&["s3:PutObject", "s3:AbortMultipartUpload"], &format!("arn:aws:s3:::{bucket}/exports/*"))]);
    let put = clients.iam.put_role_policy().role_name(names::ROLE).policy_name(names::INLINE_POLICY);
    put.policy_document(inline.to_string()).send().await.doing("give the role its inline policy")?;

    let mut managed = Vec::new();
    for (name, versions) in [(names::LOGS_POLICY, logs_versions(place)), (names::BROAD_POLICY, data_versions(bucket))] {
        managed.push(attach(clients, place, name, versions).await?);
    }
    Ok(Role { arn: made.arn, id: made.role_id, trust, inline: (names::INLINE_POLICY.into(), inline), managed })
}

async fn attach(clients: &SeedClients, place: &Place, name: &str, versions: Vec<Value>) -> Result<Managed, SeedError> {
    let arn = place.policy_arn(name);
    let (first, later) = versions.split_first().answered("create a managed policy", "first version")?;
    let create = clients.iam.create_policy().policy_name(name).policy_document(first.to_string());
    create.send().await.doing("create a managed policy")?;
    for document in later {
        let version = clients.iam.create_policy_version().policy_arn(&arn).set_as_default(true);
        version.policy_document(document.to_string()).send().await.doing("add a version to a managed policy")?;
    }
    let attach = clients.iam.attach_role_policy().role_name(names::ROLE).policy_arn(&arn);
    attach.send().await.doing("attach a managed policy")?;
    Ok(Managed { arn, name: name.into(), versions })
}

fn logs_versions(place: &Place) -> Vec<Value> {
    let group = format!("arn:aws:logs:{}:{}:log-group:/aws/lambda/payments-*", place.region, place.account);
    vec![
        statements(&[allow(&["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "*")]),
        statements(&[allow(&["logs:CreateLogStream", "logs:PutLogEvents"], &format!("{group}:*"))]),
    ]
}

/// Narrow, a little wider, and then what the intruder made of it.
fn data_versions(bucket: &str) -> Vec<Value> {
    let (all, one) = (format!("arn:aws:s3:::{bucket}/exports/*"), format!("arn:aws:s3:::{bucket}"));
    let queue = allow(&["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], "*");
    vec![
        statements(&[allow(&["s3:GetObject"], &all), queue.clone()]),
        statements(&[allow(&["s3:GetObject"], &all), allow(&["s3:ListBucket"], &one), queue.clone()]),
        statements(&[allow(&["s3:*"], "*"), queue]),
    ]
}

fn allow(actions: &[&str], resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resource})
}

fn statements(all: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": all})
}
