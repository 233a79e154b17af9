//! What sets the suspect off: an SQS mapping on the function, an EventBridge rule on its alias.

use serde_json::{Value, json};

use super::{Answered as _, Doing as _, Place, SeedClients, SeedError, names};

/// The triggers as they were seeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Triggers {
    pub queue_url: String,
    pub queue_arn: String,
    pub mapping_id: String,
    pub rule_arn: String,
}

pub(super) fn rule_arn(place: &Place) -> String {
    format!("arn:aws:events:{}:{}:rule/{}", place.region, place.account, names::RULE)
}

pub(super) async fn seed(clients: &SeedClients, place: &Place) -> Result<Triggers, SeedError> {
    // Visibility over the function's timeout, as Lambda demands of a queue it reads.
    let queue = json!({"QueueName": names::QUEUE, "Attributes": {"VisibilityTimeout": "30"}});
    let queue = clients.query.call("sqs", "AmazonSQS.CreateQueue", queue).await.doing("create the queue")?;
    let queue_url = queue["QueueUrl"].as_str().answered("create the queue", "QueueUrl")?.to_owned();
    let queue_arn = format!("arn:aws:sqs:{}:{}:{}", place.region, place.account, names::QUEUE);
    let mapping = clients.lambda.create_event_source_mapping().function_name(names::FUNCTION).batch_size(10);
    let mapping = mapping.event_source_arn(&queue_arn).send().await.doing("map the queue to the function")?;
    let mapping_id = mapping.uuid.answered("map the queue to the function", "UUID")?;

    let pattern = json!({"source": [names::EVENT_SOURCE], "detail-type": ["LedgerClosed"]}).to_string();
    let rule = json!({"Name": names::RULE, "EventPattern": pattern, "State": "ENABLED",
                      "Description": "Export when the ledger closes"});
    clients.query.call("events", "AWSEvents.PutRule", rule).await.doing("create the rule")?;
    let arn = format!("{}:{}", place.function_arn(names::FUNCTION), names::ALIAS);
    let target = json!({"Rule": names::RULE, "Targets": [{"Id": "payments-export", "Arn": arn}]});
    let put = clients.query.call("events", "AWSEvents.PutTargets", target).await.doing("point the rule at the alias")?;
    if put["FailedEntryCount"].as_i64() != Some(0) {
        return Err(SeedError::IncompleteAnswer { doing: "point the rule at the alias", missing: "accepted target" });
    }
    Ok(Triggers { queue_url, queue_arn, mapping_id, rule_arn: rule_arn(place) })
}

impl Triggers {
    /// Put one payment into the queue.
    pub async fn send_message(&self, clients: &SeedClients, payment: &Value) -> Result<(), SeedError> {
        let body = json!({"QueueUrl": self.queue_url, "MessageBody": payment.to_string()});
        clients.query.call("sqs", "AmazonSQS.SendMessage", body).await.doing("put a payment into the queue")?;
        Ok(())
    }

    /// Messages in the queue, waiting or being worked on.
    pub async fn messages_waiting(&self, clients: &SeedClients) -> Result<u64, SeedError> {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let asked = json!({"QueueUrl": self.queue_url, "AttributeNames": names});
        let told = clients.query.call("sqs", "AmazonSQS.GetQueueAttributes", asked).await.doing("look into the queue")?;
        let count = |name: &str| told["Attributes"][name].as_str().and_then(|text| text.parse::<u64>().ok());
        let counts: Option<Vec<u64>> = names.iter().map(|name| count(name)).collect();
        Ok(counts.answered("look into the queue", "message counts")?.into_iter().sum())
    }

    /// Send the event that the rule waits for.
    pub async fn fire_rule(&self, clients: &SeedClients, detail: &Value) -> Result<(), SeedError> {
        let entry = json!({"Source": names::EVENT_SOURCE, "DetailType": "LedgerClosed", "Detail": detail.to_string()});
        let put = clients.query.call("events", "AWSEvents.PutEvents", json!({"Entries": [entry]})).await;
        let put = put.doing("close the ledger")?;
        if put["FailedEntryCount"].as_i64() != Some(0) {
            return Err(SeedError::IncompleteAnswer { doing: "close the ledger", missing: "accepted event" });
        }
        Ok(())
    }
}
