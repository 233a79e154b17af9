//! The responder's own principal, because a drill under root credentials proves nothing about permissions.
//!
//! As in most accounts it is a role that a user assumes: an inline role policy has room for a whole least-privilege
//! document (10,240 characters; a user's has 2,048), and the session token must be seen never to be recorded.

use aws_sdk_sts::config::Credentials;
use serde_json::{Value, json};

use super::{Answered as _, Doing as _, SeedClients, SeedError};
use crate::drill::keys::Keys;

/// IAM's limit for the inline policies of one role, white space not counted.
const LIMIT: usize = 10_240;

/// A responder: a role session with exactly the policy it was given.
#[derive(Debug, Clone)]
pub struct Operator {
    pub role_name: String,
    pub role_arn: String,
    pub keys: Keys,
}

/// Make user and role `name` with exactly this policy, and open a session. `name` must be new to the account.
pub async fn create(clients: &SeedClients, name: &str, policy: &Value) -> Result<Operator, SeedError> {
    let document = policy.to_string();
    let size = document.chars().filter(|c| !c.is_whitespace()).count();
    if size > LIMIT {
        return Err(SeedError::PolicyTooLarge { role: name.into(), size, limit: LIMIT });
    }
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
    let put = clients.iam.put_role_policy().role_name(name).policy_name(name).policy_document(document);
    put.send().await.doing("give the responder's role its policy")?;
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

/// The same policy with an explicit deny of these actions (`logs:*`, `iam:Get*`): a responder who may not see everything.
#[must_use]
pub fn lacking(policy: &Value, actions: &[&str]) -> Value {
    let mut less = policy.clone();
    let deny = json!({"Sid": "DrillLacks", "Effect": "Deny", "Action": actions, "Resource": "*"});
    match less.get_mut("Statement") {
        Some(Value::Array(statements)) => statements.push(deny),
        Some(one) => *one = json!([one.take(), deny]),
        None => less = json!({"Version": "2012-10-17", "Statement": [deny]}),
    }
    less
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_denied_and_the_rest_stays() {
        let allow = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        for statement in [json!([allow]), allow.clone()] {
            let less = lacking(&json!({"Version": "2012-10-17", "Statement": statement}), &["logs:*"]);
            assert_eq!(less["Statement"][0], allow);
            assert_eq!((&less["Statement"][1]["Effect"], &less["Statement"][1]["Action"]), (&json!("Deny"), &json!(["logs:*"])));
        }
    }
}
