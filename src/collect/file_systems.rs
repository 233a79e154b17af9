//! File systems that the function mounts: the access point with the identity that it imposes, the file system behind it with its policy, and
//! the mount targets. EFS, and S3 Files, which shows a bucket as a file system.
//!
//! What lies on them is not read (somebody would have to mount them, and code can hide there): a copy is a backup job that a person starts.

use super::cx::at_once;
use super::network::is_id;
use super::raw_list::{Members, text};
use super::reach::reaches;
use super::trigger_table::is_region;
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
use crate::aws::Aws;
use crate::aws::fault::tame;
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::Group;
use async_trait::async_trait;
use futures_util::FutureExt;
use std::collections::BTreeSet;

pub struct FileSystems;

const EFS_POINT: Call = Call::read(Service::Efs, "DescribeAccessPoints", "elasticfilesystem:DescribeAccessPoints", Scope::Any);
const EFS_SYSTEM: Call = Call::read(Service::Efs, "DescribeFileSystems", "elasticfilesystem:DescribeFileSystems", Scope::Any);
const EFS_POLICY: Call = Call::read(Service::Efs, "DescribeFileSystemPolicy", "elasticfilesystem:DescribeFileSystemPolicy", Scope::Any);
const EFS_MOUNTS: Call = Call::read(Service::Efs, "DescribeMountTargets", "elasticfilesystem:DescribeMountTargets", Scope::Any);
const S3_POINT: Call = Call::read(Service::S3files, "GetAccessPoint", "s3files:GetAccessPoint", Scope::Any);
const S3_SYSTEM: Call = Call::read(Service::S3files, "GetFileSystem", "s3files:GetFileSystem", Scope::Any);
const S3_POLICY: Call = Call::read(Service::S3files, "GetFileSystemPolicy", "s3files:GetFileSystemPolicy", Scope::Any);
const S3_SYNC: Call =
    Call::read(Service::S3files, "GetSynchronizationConfiguration", "s3files:GetSynchronizationConfiguration", Scope::Any);
const S3_MOUNTS: Call = Call::read(Service::S3files, "ListMountTargets", "s3files:ListMountTargets", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "file-systems",
    title: "File systems",
    answers: "Which files does the function share with others, as whom, and who may mount them?",
    group: Group::Config,
    volatility: Volatility::V2,
    calls: &[EFS_POINT, EFS_SYSTEM, EFS_POLICY, EFS_MOUNTS, S3_POINT, S3_SYSTEM, S3_POLICY, S3_SYNC, S3_MOUNTS],
    params: &[],
};

/// A configuration has one; versions differ, but not by so many.
const MAX_POINTS: usize = 20;

#[async_trait]
impl Collector for FileSystems {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        const WHAT: &str = "file systems";
        let known = reaches(cx, WHAT).await?;
        let arns: BTreeSet<&String> = known.all.iter().flat_map(|(_, r)| &r.file_systems).collect();
        if arns.is_empty() {
            let why = "neither $LATEST nor a published version mounts one";
            return if known.whole { cx.not_applicable(WHAT, why).map(drop) } else { Ok(()) };
        }
        if arns.len() > MAX_POINTS {
            let why = format!("the configurations name {}; {MAX_POINTS} of them were asked about", arns.len());
            cx.gap(GapKind::TooLarge, "further file systems", &why)?;
        }
        at_once(arns.into_iter().take(MAX_POINTS).map(|arn| point(cx, arn).boxed())).await
    }
}

async fn point(cx: &CollectCx<'_>, arn: &str) -> Result<(), Abort> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let id = arn.rsplit('/').next().unwrap_or_default();
    let ["arn", partition, service, region, _, _] = parts.as_slice() else { return odd(cx, arn) };
    if *partition != cx.target().partition || !is_region(region) || !is_id("fsap-", id) {
        return odd(cx, arn);
    }
    let elsewhere = cx.aws_in(region);
    let aws = elsewhere.as_ref().unwrap_or(cx.aws());
    match *service {
        "elasticfilesystem" => efs(cx, aws, id).await,
        "s3files" => s3_files(cx, aws, id).await,
        _ => odd(cx, arn),
    }
}

fn odd(cx: &CollectCx<'_>, arn: &str) -> Result<(), Abort> {
    let why = "this is the name of no access point of EFS or S3 Files; it was not asked about";
    cx.gap(GapKind::Unsupported, &format!("file system {}", tame(arn, 250)), why).map(drop)
}

/// The file system that an answer names, if that is one.
fn system(answer: Option<String>) -> Option<String> {
    answer.filter(|id| is_id("fs-", id))
}

async fn efs(cx: &CollectCx<'_>, aws: &Aws, id: &str) -> Result<(), Abort> {
    const ROOT: &str = "2015-02-01";
    let page = |operation, path: &'static str, by: (&'static str, String), token: &'static str| {
        move |next: Option<String>| {
            let mut query = vec![(by.0, by.1.as_str())];
            query.extend(next.as_deref().map(|t| (token, t)));
            RawCall::rest(Service::Efs, operation, "GET", &[ROOT, path], &query, None)
        }
    };
    let question = Question::new(&EFS_POINT, format!("EFS access point {id}"));
    let call = page("DescribeAccessPoints", "access-points", ("AccessPointId", id.to_string()), "NextToken");
    let mut fs = None;
    let members = Members { list: "AccessPoints", next: "NextToken" };
    cx.ask_json_list(question, aws, members, call, |point| fs = fs.take().or(system(text(point, "FileSystemId")))).await?;
    let Some(fs) = fs else { return Ok(()) };
    for (call, words, path, list) in [
        (&EFS_SYSTEM, "", "file-systems", "FileSystems"),
        // One for each Availability Zone.
        (&EFS_MOUNTS, "mount targets of ", "mount-targets", "MountTargets"),
    ] {
        let question = Question::new(call, format!("{words}EFS file system {fs}"));
        let page = page(call.operation, path, ("FileSystemId", fs.clone()), "Marker");
        cx.ask_json_list(question, aws, Members { list, next: "NextMarker" }, page, |_| {}).await?;
    }
    let question = Question::new(&EFS_POLICY, format!("policy of EFS file system {fs}"));
    let call = RawCall::rest(Service::Efs, "DescribeFileSystemPolicy", "GET", &[ROOT, "file-systems", &fs, "policy"], &[], None);
    cx.ask_json(question, aws, call).await.map(drop)
}

async fn s3_files(cx: &CollectCx<'_>, aws: &Aws, id: &str) -> Result<(), Abort> {
    let get = |operation, segments: &[&str]| RawCall::rest(Service::S3files, operation, "GET", segments, &[], None);
    let question = Question::new(&S3_POINT, format!("S3 Files access point {id}"));
    let answer = cx.ask_json(question, aws, get("GetAccessPoint", &["access-points", id])).await?.got();
    let Some(fs) = system(answer.and_then(|a| text(&a, "fileSystemId"))) else { return Ok(()) };
    for (call, words, segments) in [
        (&S3_SYSTEM, "its bucket and role of", &["file-systems", &fs] as &[&str]),
        (&S3_POLICY, "policy of", &["file-systems", &fs, "policy"]),
        (&S3_SYNC, "what is copied to and from the bucket by", &["file-systems", &fs, "synchronization-configuration"]),
    ] {
        cx.ask_json(Question::new(call, format!("{words} S3 Files file system {fs}")), aws, get(call.operation, segments)).await?;
    }
    let page = |token: Option<String>| {
        let mut query = vec![("fileSystemId", fs.as_str())];
        query.extend(token.as_deref().map(|t| ("nextToken", t)));
        RawCall::rest(Service::S3files, "ListMountTargets", "GET", &["mount-targets"], &query, None)
    };
    let question = Question::new(&S3_MOUNTS, format!("mount targets of S3 Files file system {fs}"));
    cx.ask_json_list(question, aws, Members { list: "mountTargets", next: "nextToken" }, page, |_| {}).await.map(drop)
}
