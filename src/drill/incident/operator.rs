//! The responder's own principal, because a drill under root credentials proves nothing about permissions.
//!
//! As in most accounts it is a role that a user assumes: the session token must be seen never to be recorded. Its permissions are managed
//! policies, one for each document of the plan.

use aws_sdk_sts::config::Credentials;
use serde_json::{Value, json};

use super::{Answered as _, Doing as _, SeedClients, SeedError};
use crate::drill::keys::Keys;
use crate::plan::{ATTACHED, MANAGED};

/// A responder: a role session with exactly the policy it was given.
#[derive(Debug, Clone)]
pub struct Operator {
    pub role_name: String,
    pub role_arn: String,
    pub keys: Keys,
}

/// Make user and role `name` with exactly these policies, and open a session. `name` must be new to the account.
pub async fn create(clients: &SeedClients, name: &str, policies: &[Value]) -> Result<Operator, SeedError> {
    let user_name = format!("{name}-user");
    let user = clients.iam.create_user().user_name(&user_name).send().await.doing("create the responder's user")?;
    let user = user.user.answered("create the responder's user", "user")?;
    let key = clients.iam.create_access_key().user_name(&user_name).send().await.doing("make the responder's key")?;
    let key = key.access_key.answered("make the responder's key", "key")?;

    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": "sts:AssumeRole"}]});
    let role = clients.iam.create_role().role_name(name).assume_role_policy_document(trust.to_string());
    let role = role.send().await.doing("create the responder's role")?.role;
    let role_arn = role.answered("create the responder's role", "role")?.arn;
    grant(clients, name, policies).await?;
    let assume = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role_arn}]});
    let put = clients.iam.put_user_policy().user_name(&user_name).policy_name("assume");
    put.policy_document(assume.to_string()).send().await.doing("let the responder's user assume the role")?;

    let own = Credentials::new(key.access_key_id, key.secret_access_key, None, None, "drill");
    let session = clients.sts.assume_role().role_arn(&role_arn).role_session_name("drill").duration_seconds(3600);
    let session = session.customize().config_override(aws_sdk_sts::Config::builder().credentials_provider(own));
    let session = session.send().await.doing("open the responder's session")?;
    let given = session.credentials.answered("open the responder's session", "credentials")?;
    let keys =
        Keys { access_key_id: given.access_key_id, secret_access_key: given.secret_access_key, session_token: Some(given.session_token) };
    Ok(Operator { role_name: name.into(), role_arn, keys })
}

/// Give a role these policies, each as a managed one; refused where AWS would refuse them, which the emulator does not.
pub async fn grant(clients: &SeedClients, role: &str, policies: &[Value]) -> Result<(), SeedError> {
    let too_large = |size, limit| Err(SeedError::PolicyTooLarge { role: role.into(), size, limit });
    if policies.len() > ATTACHED {
        return too_large(policies.len(), ATTACHED);
    }
    for (n, policy) in policies.iter().enumerate() {
        let document = policy.to_string();
        let size = document.chars().filter(|c| !c.is_whitespace()).count();
        if size > MANAGED {
            return too_large(size, MANAGED);
        }
        let made = clients.iam.create_policy().policy_name(format!("{role}-{n}")).policy_document(document);
        let made = made.send().await.doing("make the responder's policies")?.policy;
        let arn = made.answered("make the responder's policies", "policy")?.arn.answered("make the responder's policies", "ARN")?;
        let attach = clients.iam.attach_role_policy().role_name(role).policy_arn(arn);
        attach.send().await.doing("give the responder's role its policies")?;
    }
    Ok(())
}

/// The policies that a plan's JSON names, for reading and for containing: a person who does both has both.
#[must_use]
pub fn policies(plan: &Value) -> Vec<Value> {
    let parts = plan["permissions"].as_object().into_iter().flat_map(|o| ["reader", "container"].map(|part| o.get(part)));
    parts.flatten().filter_map(Value::as_array).flatten().cloned().collect()
}

/// The same policies with an explicit deny of these actions (`logs:*`, `iam:Get*`): a responder who may not see everything.
#[must_use]
pub fn lacking(policies: &[Value], actions: &[&str]) -> Vec<Value> {
    let deny = json!({"Sid": "DrillLacks", "Effect": "Deny", "Action": actions, "Resource": "*"});
    policies.iter().cloned().chain([json!({"Version": "2012-10-17", "Statement": [deny]})]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_denied_and_the_rest_stays() {
        let allow = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        let less = lacking(std::slice::from_ref(&allow), &["logs:*"]);
        assert_eq!(less[0], allow);
        assert_eq!((&less[1]["Statement"][0]["Effect"], &less[1]["Statement"][0]["Action"]), (&json!("Deny"), &json!(["logs:*"])));
    }

    #[test]
    fn every_document_of_a_plan_is_taken() {
        let plan = json!({"permissions": {"reader": [1, 2], "container": [3], "notes": ["x"]}});
        assert_eq!(policies(&plan), [json!(1), json!(2), json!(3)]);
        assert_eq!(policies(&json!({"permissions": {"reader": [1], "notes": []}})), [json!(1)]);
    }
}
