//! What a configuration names outside the function: the network it is attached to, file systems, the key of its environment, where failed
//! events go. Every published version has such names of its own, so whoever asks about them asks of all configurations.

use super::cx::{Abort, CollectCx};
use super::qualifier::{LATEST_PUBLISHED, Qualifier, published_latest};
use super::versions::VERSIONS;
use crate::aws::fault::FaultClass;
use aws_sdk_lambda::types::FunctionConfiguration;

/// The names are AWS's own and unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// `None` where it is attached to none: after a VPC has been taken off, the member stays and is empty.
    pub vpc: Option<VpcFact>,
    /// ARNs of access points.
    pub file_systems: Vec<String>,
    /// The customer's key for the environment; `None` for AWS's own.
    pub kms_key: Option<String>,
    /// Where events go that the function failed on.
    pub dead_letter: Option<String>,
    /// ARN of the managed instances' capacity provider, whose network is then the function's.
    pub capacity_provider: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VpcFact {
    /// A capacity provider names none.
    pub vpc: Option<String>,
    pub subnets: Vec<String>,
    pub groups: Vec<String>,
}

fn named(text: Option<&str>) -> Option<String> {
    text.filter(|t| !t.is_empty()).map(str::to_string)
}

impl Reach {
    pub(super) fn of(conf: &FunctionConfiguration) -> Self {
        let vpc = conf.vpc_config().map(|v| VpcFact {
            vpc: named(v.vpc_id()),
            subnets: v.subnet_ids().to_vec(),
            groups: v.security_group_ids().to_vec(),
        });
        let provider = conf.capacity_provider_config().and_then(|c| c.lambda_managed_instances_capacity_provider_config());
        Reach {
            vpc: vpc.filter(|v| v.vpc.is_some() || !v.subnets.is_empty()),
            file_systems: conf.file_system_configs().iter().filter_map(|f| named(Some(f.arn()))).collect(),
            kms_key: named(conf.kms_key_arn()),
            dead_letter: named(conf.dead_letter_config().and_then(|d| d.target_arn())),
            capacity_provider: named(provider.map(|p| p.capacity_provider_arn())),
        }
    }
}

/// What all configurations name.
pub(super) struct Reaches {
    /// With the words for whose it is: `$LATEST`, `version 7`.
    pub all: Vec<(String, Reach)>,
    /// Every configuration was read: what none of them names, none has.
    pub whole: bool,
    /// The function does not exist, and that has been said.
    pub gone: bool,
}

/// Of `$LATEST` and of every published version. What could not be read leaves a gap about `what` (a plural: "flow logs").
pub(super) async fn reaches(cx: &CollectCx<'_>, what: &str) -> Result<Reaches, Abort> {
    let mut found = Reaches { all: vec![], whole: true, gone: false };
    match cx.function().await? {
        Ok(fact) => found.all.push(("$LATEST".to_string(), fact.reach.clone())),
        Err(fault) => {
            found.whole = false;
            cx.gap_from(&fault, &format!("{what} of $LATEST"))?;
            if fault.class == FaultClass::NotFound {
                found.gone = true;
                return Ok(found);
            }
        }
    }
    match cx.versions().await? {
        Ok(list) => {
            found.all.extend(list.published().map(|v| (format!("version {}", v.version), v.reach.clone())));
            match published_latest(cx, &list, what).await? {
                Ok(fact) => found.all.extend(fact.map(|f| (Qualifier::version(LATEST_PUBLISHED).words, f.reach.clone()))),
                Err(_) => found.whole = false,
            }
            found.whole &= list.unfinished.is_none();
            cx.gap_of_rest(&list, &format!("{what} of further versions"))?;
        }
        Err(fault) => {
            found.whole = false;
            cx.gap_from_lookup(&VERSIONS, &fault, &format!("{what} of the published versions"))?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_lambda::types::VpcConfigResponse;

    #[test]
    fn a_vpc_that_was_taken_off_is_none() {
        let conf = |vpc: VpcConfigResponse| FunctionConfiguration::builder().vpc_config(vpc).kms_key_arn("").build();
        let off = Reach::of(&conf(VpcConfigResponse::builder().vpc_id("").build()));
        assert_eq!(off, Reach::default());
        let on = Reach::of(&conf(VpcConfigResponse::builder().vpc_id("vpc-1").subnet_ids("subnet-1").build()));
        assert_eq!(on.vpc, Some(VpcFact { vpc: Some("vpc-1".into()), subnets: vec!["subnet-1".into()], groups: vec![] }));
    }
}
