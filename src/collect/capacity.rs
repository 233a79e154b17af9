//! Capacity: provisioned concurrency of versions and aliases, what is left of the account's pool, and, for managed instances, the scaling
//! of each version and the capacity provider with its neighbours. Warm environments keep what an attacker left in memory, and a restore
//! needs room in the pool.

use super::cx::at_once;
use super::facts::VersionFact;
use super::qualifier::{LATEST_PUBLISHED, Qualifier};
use super::reach::VpcFact;
use super::versions::VERSIONS;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Reply, Volatility};
use crate::aws::fault::Fault;
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use async_trait::async_trait;
use aws_sdk_lambda::operation::list_function_versions_by_capacity_provider::ListFunctionVersionsByCapacityProviderOutput;
use aws_sdk_lambda::operation::list_provisioned_concurrency_configs::ListProvisionedConcurrencyConfigsOutput;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::sync::Arc;

pub struct Capacity;

const PROVISIONED: Call =
    Call::read(Service::Lambda, "ListProvisionedConcurrencyConfigs", "lambda:ListProvisionedConcurrencyConfigs", Scope::Function);
const ACCOUNT: Call = Call::read(Service::Lambda, "GetAccountSettings", "lambda:GetAccountSettings", Scope::Any);
const SCALING: Call = Call::read(Service::Lambda, "GetFunctionScalingConfig", "lambda:GetFunctionScalingConfig", Scope::Function);
const PROVIDER: Call = Call::read(Service::Lambda, "GetCapacityProvider", "lambda:GetCapacityProvider", Scope::Any);
const NEIGHBOURS: Call =
    Call::read(Service::Lambda, "ListFunctionVersionsByCapacityProvider", "lambda:ListFunctionVersionsByCapacityProvider", Scope::Any);

pub(super) static CAPACITY: CollectorSpec = CollectorSpec {
    id: "capacity",
    title: "Capacity",
    answers: "Which environments are kept warm, on whose instances, and has the account room to restore the function?",
    group: Group::Config,
    volatility: Volatility::V2,
    // The shared look-up first: a denial of it names this action wherever it is missed.
    calls: &[PROVIDER, PROVISIONED, ACCOUNT, SCALING, NEIGHBOURS],
    params: &[],
};

#[async_trait]
impl Collector for Capacity {
    fn spec(&self) -> &'static CollectorSpec {
        &CAPACITY
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        tokio::try_join!(provisioned(cx), account(cx), managed_instances(cx))?;
        Ok(())
    }
}

async fn provisioned(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let call = || cx.aws().lambda().list_provisioned_concurrency_configs().function_name(&cx.target().function);
    cx.ask_pages(
        Question::new(&PROVISIONED, "provisioned concurrency of versions and aliases").sensitivity(Sensitivity::S0),
        Bound::default(),
        |marker| call().set_marker(marker).send(),
        |out: &ListProvisionedConcurrencyConfigsOutput| out.next_marker().map(str::to_string),
        |out| out.provisioned_concurrency_configs().len(),
    )
    .await?;
    Ok(())
}

async fn account(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let question = Question::new(&ACCOUNT, "limits and use of Lambda in the account").sensitivity(Sensitivity::S0);
    cx.ask(question, cx.aws().lambda().get_account_settings().send()).await?;
    Ok(())
}

/// Scaling and providers of `$LATEST` and of every version that runs on managed instances.
async fn managed_instances(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let mut providers = BTreeSet::new();
    let mut scaled = BTreeSet::new();
    match cx.function().await? {
        Ok(fact) => {
            if let Some(arn) = &fact.reach.capacity_provider {
                providers.insert(arn.clone());
                // GetFunctionScalingConfig takes no `$LATEST`, only what is published of it.
                scaled.insert(LATEST_PUBLISHED.to_string());
            }
        }
        Err(fault) => drop(cx.gap_from(&fault, "capacity provider of $LATEST")?),
    }
    match cx.versions().await? {
        Ok(list) => {
            let managed = |v: &&VersionFact| v.version != "$LATEST" && v.reach.capacity_provider.is_some();
            for v in list.entries.iter().filter(managed) {
                providers.extend(v.reach.capacity_provider.clone());
                scaled.insert(v.version.clone());
            }
            cx.gap_of_rest(&list, "capacity providers of further versions")?;
        }
        Err(fault) => drop(cx.gap_from_lookup(&VERSIONS, &fault, "capacity providers of the versions")?),
    }
    if providers.is_empty() {
        return cx.not_applicable("managed instances", "no configuration that could be read names a capacity provider").map(drop);
    }
    let scaling = scaled.into_iter().map(|v| scaling(cx, v).boxed());
    let providers =
        providers.into_iter().flat_map(|arn| -> [BoxFuture<'_, _>; 2] { [provider(cx, arn.clone()).boxed(), neighbours(cx, arn).boxed()] });
    at_once(scaling.chain(providers)).await
}

async fn scaling(cx: &CollectCx<'_>, version: String) -> Result<(), Abort> {
    let question = Question::new(&SCALING, format!("scaling of {}", Qualifier::version(&version).words)).sensitivity(Sensitivity::S0);
    let call = cx.aws().lambda().get_function_scaling_config().function_name(&cx.target().function).qualifier(version);
    cx.ask(question, call.send()).await?;
    Ok(())
}

async fn provider(cx: &CollectCx<'_>, arn: String) -> Result<(), Abort> {
    cx.provider(&arn).await.map(drop)
}

/// The shared look-up: whoever asks about the function's network needs the provider's. `cx` must be the context of this unit.
pub(super) async fn ask_provider(cx: &CollectCx<'_>, arn: &str) -> Result<Result<Arc<VpcFact>, Fault>, Abort> {
    let question = Question::new(&PROVIDER, format!("capacity provider {arn}"));
    let reply = cx.ask(question, cx.aws().lambda().get_capacity_provider().capacity_provider_name(arn).send()).await?;
    Ok(match reply {
        Reply::Got(answer) => {
            let network = answer.output.capacity_provider().and_then(|p| p.vpc_config());
            Ok(Arc::new(network.map_or_else(VpcFact::default, |v| VpcFact {
                vpc: None,
                subnets: v.subnet_ids().to_vec(),
                groups: v.security_group_ids().to_vec(),
            })))
        }
        Reply::Absent(fault) | Reply::Gap(fault) => Err(fault),
    })
}

async fn neighbours(cx: &CollectCx<'_>, arn: String) -> Result<(), Abort> {
    let call = || cx.aws().lambda().list_function_versions_by_capacity_provider().capacity_provider_name(&arn);
    cx.ask_pages(
        Question::new(&NEIGHBOURS, format!("functions on the instances of capacity provider {arn}")),
        Bound::default(),
        |marker| call().set_marker(marker).send(),
        |out: &ListFunctionVersionsByCapacityProviderOutput| out.next_marker().map(str::to_string),
        |out| out.function_versions().len(),
    )
    .await?;
    Ok(())
}
