//! The statements of all resource policies, as the older call and the newer one show them: in one table, and of each what it means for the
//! search for triggers: a service that we look up (by the collectors that `trigger_table.rs` names), one that a person must, or one that we do
//! not know. A statement for everybody means the services that its sources (`aws:SourceArn`) are of. Nothing is dropped; a denial is no trigger,
//! and is an item of its own.

use super::grants::{self, Grant, Principal, ShownBy};
use super::qualified;
use super::qualifier::{LATEST, LATEST_REFUSED};
use super::resource_policy::SPEC as RESOURCE_POLICY;
use super::resource_policy_document::SPEC as DOCUMENT;
use super::trigger_table::{Way, principal_of, source, way_of};
use super::{Abort, CollectCx, Question, Reply};
use crate::aws::fault::{Fault, tame};
use crate::model::canon;
use crate::model::gap::GapKind;
use crate::model::id::ItemId;
use crate::model::item::Sensitivity;
use futures_util::{FutureExt, StreamExt, stream};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// One policy as `GetPolicy` or `GetResourcePolicy` answered; `None` where there is none.
pub type PolicyFact = Result<Option<(ItemId, String)>, Fault>;

/// All resource policies, read once for whoever builds on them.
#[derive(Debug, Default)]
pub struct Policies {
    pub grants: Vec<Grant>,
    /// Documents that are no policy that we can read.
    unreadable: Vec<(String, ItemId)>,
    /// Why there may be statements that are not here.
    pub unfinished: Option<(GapKind, String)>,
}

/// Ask for one policy; recorded as the `resource-policy` unit's, whose context `cx` must be.
pub(super) async fn ask(cx: &CollectCx<'_>, whose: &str, qualifier: Option<String>) -> Result<PolicyFact, Abort> {
    let question = Question::new(&RESOURCE_POLICY.calls[0], format!("resource policy of {whose}"));
    let call = cx.aws().lambda().get_policy().function_name(&cx.target().function).set_qualifier(qualifier);
    Ok(match cx.ask(question, call.send()).await? {
        // A function without a policy answers 404; an answer without a document is an emulator's way to say the same.
        Reply::Got(answer) => Ok(answer.output.policy().map(|document| (answer.item, document.to_string()))),
        Reply::Absent(_) => Ok(None),
        Reply::Gap(fault) => Err(fault),
    })
}

/// The same by the newer call; recorded as the `resource-policy-document` unit's, whose context `cx` must be.
pub(super) async fn ask_document(cx: &CollectCx<'_>, whose: &str, arn: &str) -> Result<PolicyFact, Abort> {
    let question = Question::new(&DOCUMENT.calls[0], format!("policy document of {whose}"));
    let question = if whose == LATEST { question.not_in_use(LATEST_REFUSED) } else { question };
    // Boxed: it is asked through the shared look-ups, each of which would carry it along.
    Ok(match cx.ask(question, cx.aws().lambda().get_resource_policy().resource_arn(arn).send()).boxed().await? {
        Reply::Got(answer) => Ok(answer.output.policy().map(|document| (answer.item, document.to_string()))),
        Reply::Absent(_) => Ok(None),
        Reply::Gap(fault) => Err(fault),
    })
}

/// The statements of the policies of the function, its aliases and its versions.
pub(super) async fn all(cx: &CollectCx<'_>) -> Result<Policies, Abort> {
    let (names, unlisted) = qualified::listed(cx).await?;
    let mut policies = Policies { unfinished: unlisted, ..Policies::default() };
    // Each alone, and in the order of the names.
    let asked = names.into_iter().map(|name| {
        async move {
            // The older call's policies have none for it (`resource_policy.rs`).
            let older = if name.whose == LATEST { Ok(Ok(None)) } else { cx.policy(&name.whose, name.qualifier).await };
            (older, cx.policy_document(&name.whose, &name.arn).await, name.whose)
        }
        .boxed()
    });
    let told: Vec<_> = stream::iter(asked.collect::<Vec<_>>()).buffered(4).collect().await;
    for (older, newer, whose) in told {
        let (older, newer) = (policies.take(older?, &whose, ShownBy::GetPolicy), policies.take(newer?, &whose, ShownBy::GetResourcePolicy));
        policies.grants.extend(grants::merge(older, newer));
    }
    Ok(policies)
}

impl Policies {
    /// The statements that one call showed of one policy; what it did not show is noted.
    fn take(&mut self, fact: PolicyFact, whose: &str, shown_by: ShownBy) -> Vec<Grant> {
        match fact {
            Ok(None) => {}
            Ok(Some((item, document))) => match grants::read(&document, whose, item, shown_by) {
                Some(found) => return found,
                None => self.unreadable.push((whose.to_string(), item)),
            },
            Err(fault) => drop(self.unfinished.get_or_insert_with(|| (fault.gap_kind(), fault.to_string()))),
        }
        vec![]
    }
}

/// Write what the statements mean. Called by the `resource-policy` collector.
pub(super) async fn report(cx: &CollectCx<'_>) -> Result<(), Abort> {
    let policies = cx.policies().await?;
    for (whose, item) in &policies.unreadable {
        cx.gap(
            GapKind::Unsupported,
            &format!("statements of the resource policy of {whose}"),
            &format!("the document in item {item} is no policy"),
        )?;
    }
    if policies.grants.is_empty() {
        return Ok(());
    }
    table(cx, "statements of all resource policies in one table", "grants", &policies.grants, items_of(&policies.grants))?;
    let public = policies.grants.iter().filter(|g| g.allow && g.principals.contains(&Principal::Everybody));
    for (n, grant) in public.enumerate() {
        let subject =
            format!("open to everybody: statement {} of {}", tame(grant.sid.as_deref().unwrap_or("without a name"), 100), grant.whose);
        table(cx, &subject, &format!("public-{}", n + 1), grant, vec![grant.item])?;
    }
    for (n, grant) in policies.grants.iter().filter(|g| !g.allow).enumerate() {
        // GetPolicy was not asked for `$LATEST` by that name.
        let hidden = grant.shown_by == ShownBy::GetResourcePolicy && grant.whose != LATEST;
        let by = if hidden { ", which GetPolicy does not show" } else { "" };
        let sid = tame(grant.sid.as_deref().unwrap_or("without a name"), 100);
        let subject = format!("denied by a resource policy: statement {sid} of {}{by}", grant.whose);
        table(cx, &subject, &format!("denial-{}", n + 1), grant, vec![grant.item])?;
    }
    by_service(cx, &policies.grants)
}

fn items_of<'g>(grants: impl IntoIterator<Item = &'g Grant>) -> Vec<ItemId> {
    grants.into_iter().map(|g| g.item).collect::<BTreeSet<_>>().into_iter().collect()
}

fn table<T: Serialize + ?Sized>(cx: &CollectCx<'_>, subject: &str, name: &str, value: &T, from: Vec<ItemId>) -> Result<(), Abort> {
    match canon::to_vec("statements of a policy", value) {
        Ok(bytes) => cx.derive(subject, name, "json", &bytes, from, Sensitivity::S1).map(drop),
        Err(e) => cx.gap(GapKind::Internal, subject, &e.to_string()).map(drop),
    }
}

/// What the statements say of one service: those that admit it by name, or everybody on behalf of sources that are its.
#[derive(Default)]
struct Admitted<'g> {
    grants: Vec<&'g Grant>,
    sources: BTreeSet<&'g String>,
    /// Statements that admit it by name, whatever the source.
    nameless: usize,
}

/// By service principal; and the sources of everybody that tell no service.
fn by_principal(grants: &[Grant]) -> (BTreeMap<String, Admitted<'_>>, BTreeSet<&String>) {
    let mut services: BTreeMap<String, Admitted<'_>> = BTreeMap::new();
    let mut odd = BTreeSet::new();
    for grant in grants.iter().filter(|g| g.allow) {
        let mut of_grant: BTreeMap<String, BTreeSet<&String>> = BTreeMap::new();
        for principal in &grant.principals {
            match principal {
                Principal::Service(name) => of_grant.entry(name.clone()).or_default().extend(&grant.sources),
                Principal::Everybody => {
                    for source in &grant.sources {
                        let of = principal_of(source).map_or(&mut odd, |name| of_grant.entry(name).or_default());
                        of.insert(source);
                    }
                }
                Principal::Aws(_) | Principal::Other(_) => {}
            }
        }
        for (name, sources) in of_grant {
            let admitted = services.entry(name).or_default();
            admitted.grants.push(grant);
            admitted.nameless += usize::from(sources.is_empty());
            admitted.sources.extend(sources);
        }
    }
    (services, odd)
}

/// For each service that is admitted: who looks it up, or what stays open.
fn by_service(cx: &CollectCx<'_>, grants: &[Grant]) -> Result<(), Abort> {
    let (services, odd) = by_principal(grants);
    if !odd.is_empty() {
        let why = format!("everybody may invoke the function on behalf of sources that tell no service: {}", listed(&odd));
        cx.gap(GapKind::Unsupported, "unresolved trigger: everybody, for sources of no known form", &why)?;
    }
    for (n, (service, Admitted { grants, sources, nameless })) in services.into_iter().enumerate() {
        let shown = tame(&service, 100);
        match way_of(&service) {
            None => {
                let why = format!(
                    "{shown} may invoke the function; freezeframe does not know where that service keeps what it invokes. Sources named: {}",
                    listed(&sources)
                );
                cx.gap(GapKind::Unsupported, &format!("unresolved trigger: {shown}"), &why)?;
            }
            Some(Way::Pointer(place)) => {
                let pointer = json!({"principal": service, "sources": sources, "look": place, "statements": grants});
                table(
                    cx,
                    &format!("trigger to be looked up by a person: {shown}"),
                    &format!("pointer-{}", n + 1),
                    &pointer,
                    items_of(grants.iter().copied()),
                )?;
            }
            Some(way) if way.needs_no_source() => {}
            Some(way) => {
                let open: BTreeSet<&String> = sources.iter().copied().filter(|arn| source(cx, way, arn).is_none()).collect();
                if nameless > 0 || !open.is_empty() {
                    let why = format!(
                        "{nameless} statements for {shown} name no source, so that any source of any account may stand behind them; sources that name no one thing: {}",
                        listed(&open)
                    );
                    cx.gap(GapKind::NotAcquirable, &format!("unresolved trigger: {shown} without one source"), &why)?;
                }
            }
        }
    }
    Ok(())
}

fn listed(arns: &BTreeSet<&String>) -> String {
    if arns.is_empty() {
        return "none".into();
    }
    tame(&arns.iter().take(10).map(|a| a.as_str()).collect::<Vec<_>>().join(", "), 600)
}
