//! Code that Lambda only refers to: in `REFERENCE` mode the package stays in a bucket and Lambda keeps no copy, so whoever owns the bucket
//! owns the evidence. The object's very version is streamed and held against `CodeSha256`; its checksums and the list of the key's versions
//! say whether it was replaced.

use super::code;
use super::cx::at_once;
use super::facts::{FunctionFact, S3ObjectFact};
use super::qualified_configuration::QUALIFIED_CONFIGURATION;
use super::qualifier::{Qualifier, each_version};
use super::{Abort, Bound, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::model::call::{Call, Scope, Service};
use crate::model::item::{Group, Sensitivity};
use crate::model::path::BundlePath;
use async_trait::async_trait;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::ObjectAttributes;
use futures_util::FutureExt;
use std::sync::{Arc, Mutex, PoisonError};

pub struct CodeObject;

const GET: Call = Call::read(Service::S3, "GetObject", "s3:GetObjectVersion", Scope::Any);
const ATTRIBUTES: Call = Call::read(Service::S3, "GetObjectAttributes", "s3:GetObjectVersionAttributes", Scope::Any);
const VERSIONS: Call = Call::read(Service::S3, "ListObjectVersions", "s3:ListBucketVersions", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "code-object",
    title: "Code kept in a bucket",
    answers: "Whose bucket holds the code, is it still the code that was deployed, and was it replaced?",
    group: Group::Code,
    volatility: Volatility::V2,
    calls: &[GET, ATTRIBUTES, VERSIONS],
    params: &[code::MAX_BYTES],
};

/// An object that configurations name, and what is said of it.
struct Named {
    object: S3ObjectFact,
    whose: Vec<String>,
    sha256: Option<String>,
    size: Option<u64>,
}

#[async_trait]
impl Collector for CodeObject {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let named = Mutex::new(vec![]);
        match cx.function().await? {
            Ok(fact) => note(&named, "$LATEST", &fact),
            Err(fault) => drop(cx.gap_from(&fault, "bucket object of the code of $LATEST")?),
        }
        each_version(cx, "bucket objects of the code", &|q| of_version(cx, &named, q).boxed()).await?;
        let named = named.into_inner().unwrap_or_else(PoisonError::into_inner);
        if named.is_empty() {
            return cx
                .not_applicable("bucket object of the code", "no configuration that could be read refers to one: Lambda keeps its own copy")
                .map(drop);
        }
        at_once(named.iter().flat_map(|n| [bytes(cx, n).boxed(), attributes(cx, n).boxed(), versions(cx, n).boxed()])).await
    }
}

async fn of_version(cx: &CollectCx<'_>, named: &Mutex<Vec<Named>>, q: Qualifier) -> Result<(), Abort> {
    match cx.qualified(&q).await? {
        Ok(fact) => note(named, &q.words, &fact),
        Err(fault) => drop(cx.gap_from_lookup(&QUALIFIED_CONFIGURATION, &fault, &format!("bucket object of the code of {}", q.words))?),
    }
    Ok(())
}

/// The same object of several versions is read once.
fn note(named: &Mutex<Vec<Named>>, whose: &str, fact: &Arc<FunctionFact>) {
    let Some(object) = &fact.object else { return };
    let mut named = named.lock().unwrap_or_else(PoisonError::into_inner);
    match named.iter_mut().find(|n| n.object == *object && n.sha256 == fact.code_sha256) {
        Some(known) => known.whose.push(whose.to_string()),
        None => {
            named.push(Named {
                object: object.clone(),
                whose: vec![whose.to_string()],
                sha256: fact.code_sha256.clone(),
                size: fact.code_size,
            });
        }
    }
}

fn shown(of: &S3ObjectFact) -> String {
    format!("s3://{}/{} version {}", of.bucket, of.key, of.version.as_deref().unwrap_or("unstated"))
}

async fn bytes(cx: &CollectCx<'_>, of: &Named) -> Result<(), Abort> {
    let name = shown(&of.object);
    let question = Question::new(&GET, format!("code of {} in {name}", of.whose.join(", "))).sensitivity(Sensitivity::S3);
    let call = || async {
        let S3ObjectFact { bucket, key, version } = &of.object;
        let call = cx.aws().s3().get_object().bucket(bucket).key(key).set_version_id(version.clone());
        call.send().await.map(|out| out.body)
    };
    let path = BundlePath::below(cx.spec.group.dir(), &format!("object-{name}-{}", of.sha256.as_deref().unwrap_or_default()), "zip");
    let tried = cx.try_stream(&question, path, code::limit(cx, of.size), call).await;
    let digest = of.sha256.as_deref().map(|value| ("CodeSha256", value));
    cx.settle_download(&question, tried, digest, None)?.ok();
    Ok(())
}

async fn attributes(cx: &CollectCx<'_>, of: &Named) -> Result<(), Abort> {
    let S3ObjectFact { bucket, key, version } = &of.object;
    let question = Question::new(&ATTRIBUTES, format!("checksums and size of {}", shown(&of.object)));
    let call = cx.aws().s3().get_object_attributes().bucket(bucket).key(key).set_version_id(version.clone());
    let wanted = [ObjectAttributes::Etag, ObjectAttributes::Checksum, ObjectAttributes::ObjectSize, ObjectAttributes::StorageClass];
    cx.ask(question, call.set_object_attributes(Some(wanted.to_vec())).send()).await?;
    Ok(())
}

async fn versions(cx: &CollectCx<'_>, of: &Named) -> Result<(), Abort> {
    let S3ObjectFact { bucket, key, .. } = &of.object;
    let token = |out: &ListObjectVersionsOutput| {
        // Two markers are one place in the list; a key may hold any character, so they are joined as JSON.
        let next = (out.next_key_marker(), out.next_version_id_marker());
        out.next_key_marker().filter(|_| out.is_truncated() == Some(true)).and_then(|_| serde_json::to_string(&next).ok())
    };
    let call = |token: Option<String>| {
        let (after, version): (Option<String>, Option<String>) = token.and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default();
        cx.aws().s3().list_object_versions().bucket(bucket).prefix(key).set_key_marker(after).set_version_id_marker(version).send()
    };
    cx.ask_pages(
        Question::new(&VERSIONS, format!("versions and deletions of s3://{bucket}/{key}")),
        // A key that is the beginning of a million others has their versions in its list.
        Bound { pages: 20, ..Bound::default() },
        call,
        token,
        |out| out.versions().len() + out.delete_markers().len(),
    )
    .await?;
    Ok(())
}
