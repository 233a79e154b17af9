//! The suspect and its neighbour: three versions, an alias, a layer, a URL, resource policies, and a few real calls.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{
    AliasRoutingConfiguration, Environment, FunctionCode, FunctionConfiguration, FunctionUrlAuthType, LastUpdateStatus, Runtime, State,
};
use serde_json::{Value, json};

use super::identity::Role;
use super::triggers::Triggers;
use super::{Answered as _, Doing as _, Place, SeedClients, SeedError, code, names};

/// The suspect function as it was seeded. `Debug` shows no value of its environment.
#[derive(Clone, PartialEq)]
pub struct Suspect {
    pub arn: String,
    /// Base64, as Lambda says it: of `$LATEST` and versions 1 and 3.
    pub clean_sha256: String,
    /// Of version 2.
    pub bad_sha256: String,
    pub environment: HashMap<String, String>,
    pub url: String,
}

impl std::fmt::Debug for Suspect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Suspect");
        shown.field("arn", &self.arn).field("clean_sha256", &self.clean_sha256).field("bad_sha256", &self.bad_sha256);
        shown.field("url", &self.url).finish_non_exhaustive()
    }
}

pub(super) async fn publish_layer(clients: &SeedClients) -> Result<String, SeedError> {
    let content = aws_sdk_lambda::types::LayerVersionContentInput::builder().zip_file(Blob::new(code::layer()?)).build();
    let layer = clients.lambda.publish_layer_version().layer_name(names::LAYER).content(content);
    let layer = layer.compatible_runtimes(Runtime::Python312).description("Shared by the payment functions");
    let made = layer.send().await.doing("publish the layer")?;
    made.layer_version_arn.answered("publish the layer", "LayerVersionArn")
}

pub(super) async fn seed(clients: &SeedClients, place: &Place, role: &Role, layer: &str, bucket: &str) -> Result<Suspect, SeedError> {
    let lambda = &clients.lambda;
    let mut environment: HashMap<String, String> =
        names::SECRET_VARIABLES.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    environment.insert("EXPORT_BUCKET".into(), bucket.into());
    environment.insert("LOG_LEVEL".into(), "info".into());

    for (name, zip, variables) in
        [(names::NEIGHBOUR, code::neighbour()?, None), (names::FUNCTION, code::clean()?, Some(environment.clone()))]
    {
        let create = lambda.create_function().function_name(name).runtime(Runtime::Python312).role(&role.arn);
        let create = create.handler("app.handler").timeout(3).memory_size(128).tags("team", "payments");
        let create = create.code(FunctionCode::builder().zip_file(Blob::new(zip)).build());
        let create = match variables {
            Some(all) => create.layers(layer).environment(Environment::builder().set_variables(Some(all)).build()),
            None => create,
        };
        create.send().await.doing("create a function")?;
    }

    let publish = |text: &'static str| lambda.publish_version().function_name(names::FUNCTION).description(text).send();
    let first = publish("first release").await.doing("publish version 1")?;
    replace_code(clients, code::backdoored()?).await?;
    let second = publish("hotfix").await.doing("publish version 2")?;
    replace_code(clients, code::clean()?).await?;
    publish("monthly release").await.doing("publish version 3")?;
    let clean_sha256 = first.code_sha256.answered("publish version 1", "CodeSha256")?;
    let bad_sha256 = second.code_sha256.answered("publish version 2", "CodeSha256")?;

    let routing = AliasRoutingConfiguration::builder().additional_version_weights(names::BAD_VERSION, names::BAD_WEIGHT);
    let alias = lambda.create_alias().function_name(names::FUNCTION).name(names::ALIAS);
    let alias = alias.function_version(names::MAIN_VERSION).routing_config(routing.build());
    alias.send().await.doing("create the alias")?;

    let open = lambda.add_permission().function_name(names::FUNCTION).statement_id(names::PUBLIC_STATEMENT);
    let open = open.action("lambda:InvokeFunctionUrl").principal("*").function_url_auth_type(FunctionUrlAuthType::None);
    open.send().await.doing("open the function to the world")?;
    let ledger = lambda.add_permission().function_name(names::FUNCTION).qualifier(names::ALIAS);
    let ledger = ledger.statement_id(names::ALIAS_STATEMENT).action("lambda:InvokeFunction");
    let ledger = ledger.principal("events.amazonaws.com").source_arn(super::triggers::rule_arn(place));
    ledger.send().await.doing("let the rule call the alias")?;
    let url = lambda.create_function_url_config().function_name(names::FUNCTION).auth_type(FunctionUrlAuthType::None);
    let url = url.send().await.doing("create the function URL")?.function_url;
    settled(lambda).await?;
    Ok(Suspect { arn: place.function_arn(names::FUNCTION), clean_sha256, bad_sha256, environment, url })
}

/// Wait until no version is being created or updated: whoever compares what was before with what is after must not begin with a Pending.
pub async fn settled(lambda: &aws_sdk_lambda::Client) -> Result<(), SeedError> {
    const DOING: &str = "wait until the function is active";
    for _ in 0..240 {
        let listed = lambda.list_versions_by_function().function_name(names::FUNCTION).send().await.doing(DOING)?;
        let busy =
            |v: &FunctionConfiguration| v.state() == Some(&State::Pending) || v.last_update_status() == Some(&LastUpdateStatus::InProgress);
        if !listed.versions().iter().any(busy) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Err(SeedError::IncompleteAnswer { doing: DOING, missing: "State Active after a minute" })
}

async fn replace_code(clients: &SeedClients, zip: Vec<u8>) -> Result<(), SeedError> {
    let update = clients.lambda.update_function_code().function_name(names::FUNCTION).zip_file(Blob::new(zip));
    update.send().await.doing("replace the function's code")?;
    Ok(())
}

/// A few real calls through every door, so that the triggers are known to work and the logs hold real lines too.
pub(super) async fn live_a_little(clients: &SeedClients, triggers: &Triggers) -> Result<(), SeedError> {
    let payments = json!([{"id": "p-1001", "amount": 4200}, {"id": "p-1002", "amount": 1350}]);
    let answer = invoke(clients, None, &json!({ "payments": payments })).await?;
    if answer != json!({"exported": 2}) {
        return Err(SeedError::IncompleteAnswer { doing: "run the suspect", missing: "exported payments" });
    }
    // A call that fails leaves a traceback in the log.
    invoke(clients, Some(names::BAD_VERSION), &json!({"payments": [{"id": "p-0", "amount": -1}]})).await?;
    triggers.send_message(clients, &json!({"id": "p-1003", "amount": 99_900, "currency": "USD"})).await?;
    triggers.fire_rule(clients, &json!({ "payments": payments })).await?;
    // The mapping polls once a second; its first batch belongs to the past of the incident, not to the drill's own calls.
    for _ in 0..40 {
        if triggers.messages_waiting(clients).await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Err(SeedError::IncompleteAnswer { doing: "feed the suspect through its queue", missing: "taken message" })
}

/// Call the suspect and read its answer.
pub async fn invoke(clients: &SeedClients, qualifier: Option<&str>, event: &Value) -> Result<Value, SeedError> {
    let call = clients.lambda.invoke().function_name(names::FUNCTION).payload(Blob::new(event.to_string()));
    let answer = call.set_qualifier(qualifier.map(Into::into)).send().await.doing("run the suspect")?;
    let payload = answer.payload.answered("run the suspect", "payload")?;
    serde_json::from_slice(payload.as_ref()).doing("read what the suspect answered")
}
