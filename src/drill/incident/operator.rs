//! The responder's own principal, because a drill under root credentials proves nothing about permissions.
//!
//! As in most accounts it is a role that a user assumes: the session token must be seen never to be recorded. Its permissions are managed
//! policies: a whole least-privilege document has more characters than a role's inline policies may have together (10,240).

use aws_sdk_sts::config::Credentials;
use serde_json::{Value, json};

use super::{Answered as _, Doing as _, SeedClients, SeedError};
use crate::drill::keys::Keys;

/// IAM's limit for one managed policy, white space not counted.
const LIMIT: usize = 6_144;

/// A responder: a role session with exactly the policy it was given.
#[derive(Debug, Clone)]
pub struct Operator {
    pub role_name: String,
    pub role_arn: String,
    pub keys: Keys,
}

/// Make user and role `name` with exactly this policy, and open a session. `name` must be new to the account.
pub async fn create(clients: &SeedClients, name: &str, policy: &Value) -> Result<Operator, SeedError> {
    let documents = parts(policy).map_err(|size| SeedError::PolicyTooLarge { role: name.into(), size, limit: LIMIT })?;
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
    for (n, document) in documents.into_iter().enumerate() {
        let made = clients.iam.create_policy().policy_name(format!("{name}-{n}")).policy_document(document);
        let made = made.send().await.doing("make the responder's policies")?.policy;
        let arn = made.answered("make the responder's policies", "policy")?.arn.answered("make the responder's policies", "ARN")?;
        let attach = clients.iam.attach_role_policy().role_name(name).policy_arn(arn);
        attach.send().await.doing("give the responder's role its policies")?;
    }
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

/// The statements in as many documents as they need. `Err` is the size of one that is too large alone.
fn parts(policy: &Value) -> Result<Vec<String>, usize> {
    let document = |statements: &[Value]| json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let size = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
    let all = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(one) => vec![one.clone()],
        None => vec![],
    };
    let mut parts: Vec<Vec<Value>> = vec![];
    for statement in all {
        let alone = size(&document(std::slice::from_ref(&statement)));
        if alone > LIMIT {
            return Err(alone);
        }
        let fits = parts.last().is_some_and(|last| size(&document(&[last.as_slice(), std::slice::from_ref(&statement)].concat())) <= LIMIT);
        match parts.last_mut().filter(|_| fits) {
            Some(last) => last.push(statement),
            None => parts.push(vec![statement]),
        }
    }
    Ok(parts.iter().map(|p| document(p)).collect())
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
