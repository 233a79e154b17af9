//! The drill's own clients: plain ones, outside tape and fence, because the drill stands where AWS and the attacker stand. SQS and
//! EventBridge go through the signed raw path.

use super::emulator::Emulator;
use super::incident::{JsonCall, SeedClients};
use super::keys::Keys;
use crate::aws::fault::Fault;
use crate::aws::plain::StaticKeys;
use crate::aws::raw::{JsonVersion, RawCall};
use crate::aws::record::{HeadRecorder, UnitScope};
use crate::aws::tape::{self, Listening};
use crate::aws::{Aws, Connector};
use crate::clock::Clock;
use crate::model::call::{Access, Call, Scope, Service};
use crate::model::item::Group;
use async_trait::async_trait;
use std::sync::Arc;

const fn seeding(service: Service, operation: &'static str) -> Call {
    Call { service, operation, action: None, access: Access::Write, scope: Scope::Any }
}

/// What the drill does with SQS and EventBridge: the fence holds the drill to its word too.
static DRILL_CALLS: &[Call] = &[
    seeding(Service::Sqs, "CreateQueue"),
    seeding(Service::Sqs, "SendMessage"),
    seeding(Service::Sqs, "GetQueueAttributes"),
    seeding(Service::Events, "PutRule"),
    seeding(Service::Events, "PutTargets"),
    seeding(Service::Events, "PutEvents"),
    seeding(Service::Events, "DescribeRule"),
    seeding(Service::Events, "ListTargetsByRule"),
];

struct RawJson(Aws);

#[async_trait]
impl JsonCall for RawJson {
    async fn call(&self, service: &str, target: &str, body: serde_json::Value) -> Result<serde_json::Value, String> {
        let operation = target.rsplit('.').next().unwrap_or(target);
        let call = DRILL_CALLS
            .iter()
            .find(|c| c.operation == operation && c.service.prefix() == service)
            .ok_or_else(|| format!("the drill does not call {service}:{operation}"))?;
        let version = if call.service == Service::Sqs { JsonVersion::V1_0 } else { JsonVersion::V1_1 };
        let raw = RawCall::json(call.service, call.operation, version, target, &body);
        let (answer, exchanges) = tape::listen(Listening::default(), self.0.raw(raw)).await;
        let bytes = answer.map_err(|e| Fault::of(&e, &exchanges).to_string())?;
        if bytes.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|e| e.to_string())
    }
}

/// A connector for the emulator under these keys.
pub async fn connect(emulator: &Emulator, keys: &Keys, clock: Arc<dyn Clock>) -> Connector {
    let keys = StaticKeys {
        access_key_id: keys.access_key_id.clone(),
        secret_access_key: keys.secret_access_key.clone(),
        session_token: keys.session_token.clone(),
    };
    Connector::for_endpoint(&emulator.endpoint, &emulator.region, keys, clock).await
}

pub fn seed_clients(connector: &Connector) -> SeedClients {
    let raw = connector.unit(UnitScope { unit: "drill", group: Group::Plan }, DRILL_CALLS, Arc::new(HeadRecorder::default()));
    SeedClients {
        lambda: connector.plain_lambda(),
        iam: connector.plain_iam(),
        logs: connector.plain_logs(),
        s3: connector.plain_s3(),
        sts: connector.plain_sts(),
        query: Box::new(RawJson(raw)),
    }
}
