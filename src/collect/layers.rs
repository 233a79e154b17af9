//! Layers: code that runs in the function and is not in its package. Every layer of `$LATEST` and of every version is downloaded with its
//! policy and its siblings. A layer of another account may refuse to be read; what AWS has said of it until then (ARN, size, and the hash if it came
//! so far) stands in the gap. A layer version that was deleted still runs where it was used, from a copy of Lambda's that no call reads ("To avoid
//! breaking functions, a copy of the version remains in Lambda until no functions refer to it", DeleteLayerVersion): a gap, and no absence.

use super::code::{self, limit};
use super::cx::at_once;
use super::facts::LayerFact;
use super::qualifier::published_latest;
use super::versions::VERSIONS as LISTING;
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Reply, Volatility};
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::{Group, Sensitivity};
use crate::model::path::BundlePath;
use async_trait::async_trait;
use aws_sdk_lambda::operation::list_layer_versions::ListLayerVersionsOutput;
use futures_util::FutureExt;
use std::collections::{BTreeMap, BTreeSet};

pub struct Layers;

const GET: Call = Call::read(Service::Lambda, "GetLayerVersionByArn", "lambda:GetLayerVersion", Scope::Any);
const POLICY: Call = Call::read(Service::Lambda, "GetLayerVersionPolicy", "lambda:GetLayerVersionPolicy", Scope::Any);
const SIBLINGS: Call = Call::read(Service::Lambda, "ListLayerVersions", "lambda:ListLayerVersions", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "layers",
    title: "Layers",
    answers: "What code do the layers bring into the function, whose is it, and who else may use it?",
    group: Group::Code,
    volatility: Volatility::V2,
    calls: &[code::DOWNLOAD, GET, POLICY, SIBLINGS],
    params: &[code::MAX_BYTES],
};

#[async_trait]
impl Collector for Layers {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let mut layers: BTreeMap<String, LayerFact> = BTreeMap::new();
        match cx.function().await? {
            Ok(fact) => layers.extend(fact.layers.iter().map(|l| (l.arn.clone(), l.clone()))),
            Err(fault) => drop(cx.gap_from(&fault, "layers of $LATEST")?),
        }
        match cx.versions().await? {
            Ok(list) => {
                layers.extend(list.entries.iter().flat_map(|v| &v.layers).map(|l| (l.arn.clone(), l.clone())));
                if let Ok(Some(fact)) = published_latest(cx, &list, "layers").await? {
                    layers.extend(fact.layers.iter().map(|l| (l.arn.clone(), l.clone())));
                }
                cx.gap_of_rest(&list, "layers of further versions")?;
            }
            Err(fault) => drop(cx.gap_from_lookup(&LISTING, &fault, "layers of the versions")?),
        }
        if layers.is_empty() {
            return cx.not_applicable("layers", "no configuration that could be read names one").map(drop);
        }
        let families: BTreeSet<String> = layers.keys().filter_map(|arn| Some(Parts::of(arn)?.family)).collect();
        let each = layers.values().flat_map(|l| [content(cx, l).boxed(), policy(cx, l).boxed()]);
        at_once(each.chain(families.into_iter().map(|f| siblings(cx, f).boxed()))).await
    }
}

/// `arn:aws:lambda:<region>:<account>:layer:<name>:<version>`, taken apart.
struct Parts<'a> {
    /// The ARN without the version.
    family: String,
    account: &'a str,
    version: i64,
}

impl<'a> Parts<'a> {
    fn of(arn: &'a str) -> Option<Self> {
        let (family, version) = arn.rsplit_once(':')?;
        let parts: Vec<&str> = family.split(':').collect();
        let ["arn", _, "lambda", _, account, "layer", name] = parts.as_slice() else { return None };
        (!name.is_empty()).then_some(Parts { family: family.to_string(), account, version: version.parse().ok()? })
    }
}

async fn content(cx: &CollectCx<'_>, layer: &LayerFact) -> Result<(), Abort> {
    let arn = &layer.arn;
    let subject = format!("code of layer {arn}");
    let about = Question::new(&GET, format!("layer {arn} ({})", by_configuration(layer))).sensitivity(Sensitivity::S3);
    let out = match cx.ask(about, cx.aws().lambda().get_layer_version_by_arn().arn(arn).send()).await? {
        Reply::Got(answer) => answer.output,
        Reply::Gap(_) => return Ok(()),
        Reply::Absent(_) => {
            let why = format!("the layer version was deleted; the function runs a copy that Lambda keeps ({})", by_configuration(layer));
            return cx.gap(GapKind::NotAcquirable, &tame(&subject, 300), &why).map(drop);
        }
    };
    let Some(stated) = out.content() else {
        let why = format!("AWS answered without its content ({})", by_configuration(layer));
        return cx.gap(GapKind::Unsupported, &tame(&subject, 300), &why).map(drop);
    };
    let hash = tame(stated.code_sha256().unwrap_or("none"), 100);
    let known = format!("AWS states {} bytes with CodeSha256 {hash}", stated.code_size());
    let Some(url) = stated.location() else {
        let why = format!("no address to download it from came with it; {known}");
        return cx.gap(GapKind::Unsupported, &tame(&subject, 300), &why).map(drop);
    };
    let question = Question::new(&code::DOWNLOAD, &subject).sensitivity(Sensitivity::S3);
    let size = u64::try_from(stated.code_size()).ok();
    let path = BundlePath::below(cx.spec.group.dir(), &format!("layer-{}", arn.splitn(6, ':').last().unwrap_or_default()), "zip");
    let tried = cx.try_download(&question, url, path, limit(cx, size)).await;
    let detail = match size {
        // What was not obtained can still be told from others by it.
        _ if tried.fault.is_some() => Some(known),
        Some(s) if s != tried.bytes() => Some(format!("CodeSize says {s} bytes, {} came", tried.bytes())),
        _ => None,
    };
    cx.settle_download(&question, tried, stated.code_sha256().map(|value| ("CodeSha256", value)), detail)?.ok();
    Ok(())
}

/// All that a function's configuration says of a layer, for where the layer itself says nothing. It has no hash (`Layer` in botocore 1.44.5:
/// Arn, CodeSize, SigningProfileVersionArn, SigningJobArn); the job that signed it is as good a name.
fn by_configuration(layer: &LayerFact) -> String {
    let signed = layer.signing_job.as_deref().map(|job| format!(", signed by {}", tame(job, 120))).unwrap_or_default();
    format!("{} bytes by the configuration, which states no hash{signed}", layer.code_size)
}

async fn policy(cx: &CollectCx<'_>, layer: &LayerFact) -> Result<(), Abort> {
    let subject = tame(&format!("policy of layer {}", layer.arn), 300);
    let Some(parts) = Parts::of(&layer.arn) else {
        return cx.gap(GapKind::Unsupported, &subject, "the configuration names it in a form that is no layer version's ARN").map(drop);
    };
    if parts.account != cx.target().account {
        return cx.not_applicable(&subject, "the layer is another account's, and only that account can read its policy").map(drop);
    }
    let call = cx.aws().lambda().get_layer_version_policy().layer_name(parts.family).version_number(parts.version);
    cx.ask(Question::new(&POLICY, &subject), call.send()).await?;
    Ok(())
}

async fn siblings(cx: &CollectCx<'_>, family: String) -> Result<(), Abort> {
    let subject = tame(&format!("versions of layer {family}"), 300);
    if family.split(':').nth(4) != Some(&cx.target().account) {
        return cx.not_applicable(&subject, "the layer is another account's").map(drop);
    }
    let call = || cx.aws().lambda().list_layer_versions().layer_name(&family);
    cx.ask_pages(
        Question::new(&SIBLINGS, &subject),
        Bound::default(),
        |marker| call().set_marker(marker).send(),
        |out: &ListLayerVersionsOutput| out.next_marker().map(str::to_string),
        |out| out.layer_versions().len(),
    )
    .await?;
    Ok(())
}
