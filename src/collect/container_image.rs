//! Container images, as an OCI image layout that any tool reads: manifests, configurations and layers from ECR, each under its own digest and
//! once, whatever number of versions use it. ECR needs no login for this: the API hands out an address per layer.
//!
//! Lambda runs a copy of its own, so an image that is gone from ECR may still run; that copy cannot be read.

use super::code::{self, Stored, limit};
use super::cx::at_once;
use super::facts::FunctionFact;
use super::qualified_configuration::QUALIFIED_CONFIGURATION;
use super::qualifier::{Qualifier, each_version};
use super::{Abort, Answer, CollectCx, Collector, CollectorSpec, Question, Reply, Volatility};
use crate::aws::fault::tame;
use crate::aws::raw::{JsonVersion, RawCall};
use crate::model::call::{Call, Scope, Service};
use crate::model::digest::Sha256;
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::{Group, Sensitivity};
use crate::model::path::BundlePath;
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

pub struct ContainerImage;

pub(super) const IMAGE: Call = Call::read(Service::Ecr, "BatchGetImage", "ecr:BatchGetImage", Scope::Any);
pub(super) const ADDRESS: Call = Call::read(Service::Ecr, "GetDownloadUrlForLayer", "ecr:GetDownloadUrlForLayer", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "container-image",
    title: "Container images",
    answers: "What is in the container image that the function runs?",
    group: Group::Code,
    volatility: Volatility::V2,
    calls: &[code::DOWNLOAD, IMAGE, ADDRESS],
    params: &[code::MAX_BYTES],
};

/// An image has at most 127 layers (as overlay file systems have); an index, a handful of platforms.
const MOST_BLOBS: usize = 200;

/// What ECR may answer with: without this list it rewrites a manifest, and the digest is another.
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// `<account>.dkr.ecr.<region>.amazonaws.com/<repository>@sha256:<hex>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    registry: String,
    region: String,
    repository: String,
    digest: Sha256,
}

impl Place {
    fn of(uri: &str) -> Option<Self> {
        let (name, digest) = uri.split_once('@')?;
        let (host, repository) = name.split_once('/')?;
        let parts: Vec<&str> = host.split('.').collect();
        let [registry, "dkr", "ecr", region, ..] = parts.as_slice() else { return None };
        let digest = digest_of(digest)?;
        Some(Place { registry: registry.to_string(), region: region.to_string(), repository: repository.to_string(), digest })
    }
}

fn digest_of(text: &str) -> Option<Sha256> {
    Sha256::from_hex(text.strip_prefix("sha256:")?)
}

/// Where an image layout lies below the code: whole in itself, so that a blob of two layouts is in both.
#[derive(Clone, Copy)]
pub(super) struct Layout(pub &'static str);

impl Layout {
    fn path(self, name: &str) -> Option<BundlePath> {
        BundlePath::parse(&format!("{}/{}/{name}", SPEC.group.dir(), self.0)).ok()
    }
    fn blob(self, digest: &Sha256) -> Option<BundlePath> {
        self.path(&format!("blobs/sha256/{digest}"))
    }
    /// What its blob is remembered by, for the run.
    fn key(self, digest: &Sha256) -> String {
        format!("{} sha256:{digest}", self.0)
    }
}

#[async_trait]
impl Collector for ContainerImage {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let named = Mutex::default();
        match cx.function().await? {
            Ok(fact) => note(cx, &named, "$LATEST", &fact)?,
            Err(fault) => drop(cx.gap_from(&fault, "container image of $LATEST")?),
        }
        each_version(cx, "container images", &|q| of_version(cx, &named, q).boxed()).await?;
        let Named { addresses, unresolved } = named.into_inner().unwrap_or_else(PoisonError::into_inner);
        if addresses.is_empty() && !unresolved {
            return cx.not_applicable("container image", "no configuration that could be read names one").map(drop);
        }
        images(cx, Layout("image"), addresses).await
    }
}

/// Images by their address, each with who names it, as one layout.
pub(super) async fn images(cx: &CollectCx<'_>, layout: Layout, named: BTreeMap<String, Vec<String>>) -> Result<(), Abort> {
    let entries = Mutex::new(vec![]);
    at_once(named.iter().map(|(uri, whose)| image(cx, layout, &entries, uri, whose.join(", ")).boxed())).await?;
    index(cx, layout, entries.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What the configurations say of their images.
#[derive(Default)]
struct Named {
    /// By digest, each with who names it.
    addresses: BTreeMap<String, Vec<String>>,
    /// A configuration runs an image of which AWS did not say which, and that has been said.
    unresolved: bool,
}

async fn of_version(cx: &CollectCx<'_>, named: &Mutex<Named>, q: Qualifier) -> Result<(), Abort> {
    match cx.qualified(&q).await? {
        Ok(fact) => note(cx, named, &q.words, &fact)?,
        Err(fault) => drop(cx.gap_from_lookup(&QUALIFIED_CONFIGURATION, &fault, &format!("container image of {}", q.words))?),
    }
    Ok(())
}

/// Only `ResolvedImageUri` holds the digest of what runs. It is no required member of the answer (`FunctionCodeLocation` in botocore 1.44.5), and
/// the `ImageUri` beside it may be a tag that somebody has moved since.
fn note(cx: &CollectCx<'_>, named: &Mutex<Named>, whose: &str, fact: &FunctionFact) -> Result<(), Abort> {
    let mut named = named.lock().unwrap_or_else(PoisonError::into_inner);
    match &fact.image_uri {
        Some(uri) => named.addresses.entry(uri.clone()).or_default().push(whose.to_string()),
        None if fact.package_type.as_deref() == Some("Image") => {
            named.unresolved = true;
            cx.gap(GapKind::Unsupported, &format!("container image of {whose}"), "GetFunction did not resolve its address to a digest")?;
        }
        None => {}
    }
    Ok(())
}

/// A manifest that is in the layout, as `index.json` names it.
struct Entry {
    item: ItemId,
    descriptor: Value,
}

async fn image(cx: &CollectCx<'_>, layout: Layout, entries: &Mutex<Vec<Entry>>, uri: &str, whose: String) -> Result<(), Abort> {
    let subject = tame(&format!("container image of {whose}: {uri}"), 300);
    let Some(place) = Place::of(uri).filter(|p| p.region == cx.aws().region()) else {
        return cx.gap(GapKind::Unsupported, &subject, "the address is no image of ECR in the function's Region, by digest").map(drop);
    };
    let Some((manifest, media_type, item)) = manifest(cx, layout, &place, &subject).await? else { return Ok(()) };
    let descriptor = json!({
        "mediaType": media_type, "digest": format!("sha256:{}", place.digest), "size": manifest.bytes,
        "annotations": {"org.opencontainers.image.ref.name": uri}
    });
    entries.lock().unwrap_or_else(PoisonError::into_inner).push(Entry { item, descriptor });
    let mut parts = parts_of(&manifest.value);
    for platform in manifest.value["manifests"].as_array().into_iter().flatten().take(MOST_BLOBS) {
        let Some(digest) = platform["digest"].as_str().and_then(digest_of) else { continue };
        let place = Place { digest, ..place.clone() };
        let subject = tame(&format!("manifest sha256:{digest} of {uri}"), 300);
        if let Some((of_platform, ..)) = self::manifest(cx, layout, &place, &subject).await? {
            parts.extend(parts_of(&of_platform.value));
        }
    }
    if parts.len() > MOST_BLOBS {
        cx.gap(
            GapKind::TooLarge,
            &subject,
            &format!("it names {} configurations and layers, of which {MOST_BLOBS} were read", parts.len()),
        )?;
    }
    at_once(parts.into_iter().take(MOST_BLOBS).map(|(digest, size)| blob(cx, layout, &place, uri, digest, size).boxed())).await
}

/// Digests and sizes of the configuration and the layers that a manifest names; what is no digest is nothing that ECR could give.
fn parts_of(manifest: &Value) -> BTreeMap<Sha256, u64> {
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let parts = std::iter::once(&manifest["config"]).chain(layers);
    parts.filter_map(|p| Some((digest_of(p["digest"].as_str()?)?, p["size"].as_u64().unwrap_or_default()))).collect()
}

/// A manifest as it was hashed, and as JSON.
struct Manifest {
    bytes: usize,
    value: Value,
}

async fn manifest(cx: &CollectCx<'_>, layout: Layout, place: &Place, subject: &str) -> Result<Option<(Manifest, String, ItemId)>, Abort> {
    let digest = format!("sha256:{}", place.digest);
    let body = json!({
        "registryId": place.registry, "repositoryName": place.repository, "imageIds": [{"imageDigest": digest}], "acceptedMediaTypes": MEDIA_TYPES
    });
    let call = ecr(&IMAGE, &body);
    let Reply::Got(Answer { output, item, .. }) = cx.ask(Question::new(&IMAGE, subject), cx.aws().raw(call)).await? else {
        return Ok(None);
    };
    let answer: Value = serde_json::from_slice(&output).unwrap_or_default();
    let Some(text) = answer["images"][0]["imageManifest"].as_str() else {
        let why = answer["failures"][0]["failureCode"].as_str().unwrap_or("no image in the answer");
        let why = format!("ECR says: {}. Lambda may still run its own copy, which cannot be read", tame(why, 100));
        cx.gap(GapKind::NotAcquirable, &tame(&format!("manifest of {subject}"), 300), &why)?;
        return Ok(None);
    };
    let media_type = answer["images"][0]["imageManifestMediaType"].as_str().unwrap_or(MEDIA_TYPES[0]).to_string();
    let question = Question::new(&IMAGE, tame(&format!("manifest {digest} of {subject}"), 300)).sensitivity(Sensitivity::S2);
    let ours = Sha256::of(text.as_bytes());
    let Some(path) = layout.blob(&ours) else { return Ok(None) };
    let cell = cx.stored_code(&layout.key(&ours));
    let stored = cell
        .get_or_try_init(|| async {
            let file = cx.draft().put(cx.spec.id, &path, text.as_bytes()).map_err(Abort::from)?;
            let item = cx.computed(&question, file.clone(), item, ("imageDigest", &digest))?;
            Ok::<_, Abort>(Stored { item, subject: question.subject.clone(), file })
        })
        .await?;
    let value = serde_json::from_str(text).unwrap_or_default();
    Ok(Some((Manifest { bytes: text.len(), value }, media_type, stored.item)))
}

/// A configuration or a layer: both are blobs to ECR.
async fn blob(cx: &CollectCx<'_>, layout: Layout, place: &Place, uri: &str, digest: Sha256, size: u64) -> Result<(), Abort> {
    let name = format!("sha256:{digest}");
    let cell = cx.stored_code(&layout.key(&digest));
    let fill = || async {
        let body = json!({"registryId": place.registry, "repositoryName": place.repository, "layerDigest": name});
        let question = Question::new(&ADDRESS, format!("address of {name} of {uri}")).sensitivity(Sensitivity::S3);
        let answer = cx.ask(question, cx.aws().raw(ecr(&ADDRESS, &body))).await?.got().ok_or(code::NotStored::Recorded)?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let question = Question::new(&code::DOWNLOAD, format!("{name} of {uri}")).sensitivity(Sensitivity::S3);
        let (Some(url), Some(path)) = (answer["downloadUrl"].as_str(), layout.blob(&digest)) else {
            cx.gap(GapKind::Unsupported, &question.subject, "ECR answered without an address to download it from")?;
            return Err(code::NotStored::Recorded);
        };
        let tried = cx.try_download(&question, url, path, limit(cx, Some(size))).await;
        let digest = Some(("digest", name.as_str()));
        let file = if tried.agrees_with(digest) { tried.file(cx) } else { None };
        match (cx.settle_download(&question, tried, digest, None)?, file) {
            (Ok(item), Some(file)) => Ok(Stored { item, subject: question.subject, file }),
            _ => Err(code::NotStored::Recorded),
        }
    };
    match cell.get_or_try_init(fill).await {
        Ok(_) | Err(code::NotStored::Recorded) => Ok(()),
        Err(code::NotStored::Aborted(e)) => Err(e),
    }
}

fn ecr(call: &Call, body: &Value) -> RawCall {
    let target = format!("AmazonEC2ContainerRegistry_V20150921.{}", call.operation);
    RawCall::json(Service::Ecr, call.operation, JsonVersion::V1_1, &target, body)
}

/// `oci-layout` and `index.json`: what makes the blobs an image layout. Made by us, from the manifests.
fn index(cx: &CollectCx<'_>, layout: Layout, entries: Vec<Entry>) -> Result<(), Abort> {
    let (Some(first), Some(marker), Some(index)) = (entries.first().map(|e| e.item), layout.path("oci-layout"), layout.path("index.json"))
    else {
        return Ok(());
    };
    let descriptors: Vec<&Value> = entries.iter().map(|e| &e.descriptor).collect();
    let document = json!({"schemaVersion": 2, "mediaType": MEDIA_TYPES[1], "manifests": descriptors});
    for (path, subject, bytes) in [
        (marker, "version of the image layout (made by freezeframe)", json!({"imageLayoutVersion": "1.0.0"}).to_string()),
        (index, "index of the image layout (made by freezeframe)", document.to_string()),
    ] {
        let file = cx.draft().put(cx.spec.id, &path, bytes.as_bytes()).map_err(Abort::from)?;
        cx.made(subject, file, first)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_of_ecr_by_digest_are_places() {
        let hex = "a".repeat(64);
        let place = Place::of(&format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app@sha256:{hex}")).unwrap();
        assert_eq!((place.registry.as_str(), place.region.as_str(), place.repository.as_str()), ("123456789012", "eu-west-1", "team/app"));
        for bad in [
            "",
            "x/y:latest",
            "evil.example/app@sha256:aa",
            "1.dkr.ecr.r.amazonaws.com/app:tag",
            "1.dkr.ecr.r.amazonaws.com/app@sha256:../../x",
        ] {
            assert_eq!(Place::of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_manifest_names_its_parts_and_nothing_else() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let manifest = json!({"config": {"digest": format!("sha256:{a}"), "size": 3}, "layers": [{"digest": format!("sha256:{b}"), "size": 5}, {"digest": "../etc/passwd"}, 7]});
        assert_eq!(parts_of(&manifest).into_iter().map(|(d, s)| (d.to_string(), s)).collect::<Vec<_>>(), [(a, 3), (b, 5)]);
        assert!(parts_of(&json!([])).is_empty());
    }
}
