//! Security Hub: what any product reported there about the function or its role. There are two hubs, each of which may be on or off: the older
//! one (CSPM, findings in ASFF, with a history of who closed what) and the newer one (findings in OCSF).

use super::cx::at_once;
use super::raw_list::{Members, text};
use super::{Abort, CollectCx, Collector, CollectorSpec, Question, Reply, Volatility};
use crate::aws::raw::RawCall;
use crate::model::call::{Call, Scope, Service};
use crate::model::gap::GapKind;
use crate::model::item::{Group, Sensitivity};
use crate::model::params::{Param, ParamKind};
use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::{Value, json};

pub struct SecurityHubFindings;

const FINDINGS: Call = Call::read(Service::Securityhub, "GetFindings", "securityhub:GetFindings", Scope::Any);
const HISTORY: Call = Call::read(Service::Securityhub, "GetFindingHistory", "securityhub:GetFindingHistory", Scope::Any);
const HUB: Call = Call::read(Service::Securityhub, "DescribeSecurityHubV2", "securityhub:DescribeSecurityHubV2", Scope::Any);
const OCSF: Call = Call::read(Service::Securityhub, "GetFindingsV2", "securityhub:GetFindings", Scope::Any);

static SPEC: CollectorSpec = CollectorSpec {
    id: "security-hub-findings",
    title: "Security Hub findings",
    answers: "What has any security product reported about the function or its role, and who closed it?",
    group: Group::Detections,
    volatility: Volatility::V3,
    calls: &[FINDINGS, HISTORY, HUB, OCSF],
    params: &[Param {
        name: "max-histories",
        kind: ParamKind::Count,
        default: "20",
        doc: "Read the history of at most so many findings, newest first; what is left is a gap",
    }],
};

/// `Account 111122223333 is not subscribed to AWS Security Hub` (seen in prowler's issue 1143): the same code has other meanings, which stay
/// refusals.
const NOT_SUBSCRIBED: &[(&str, &str, &str)] =
    &[("InvalidAccessException", "not subscribed", "Security Hub CSPM is not on in this Region: the account is not subscribed")];
const MEMBERS: Members = Members { list: "Findings", next: "NextToken" };

/// What findings are sought by.
struct About {
    words: &'static str,
    arn: String,
    /// With a qualifier after it, too.
    qualified: bool,
}

impl About {
    /// Filters on one field are joined by OR (`StringFilter`, API reference).
    fn filters(&self) -> Vec<Value> {
        let mut filters = vec![json!({"Value": self.arn, "Comparison": "EQUALS"})];
        if self.qualified {
            filters.push(json!({"Value": format!("{}:", self.arn), "Comparison": "PREFIX"}));
        }
        filters
    }
}

#[async_trait]
impl Collector for SecurityHubFindings {
    fn spec(&self) -> &'static CollectorSpec {
        &SPEC
    }

    async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
        let mut all = vec![About { words: "function", arn: cx.target().arn(), qualified: true }];
        const ROLE: &str = "Security Hub findings about the execution role";
        match cx.function_or_told().await? {
            Ok(fact) => match &fact.role_arn {
                Some(arn) => all.push(About { words: "execution role", arn: arn.clone(), qualified: false }),
                None => drop(cx.gap_without_role(ROLE)?),
            },
            Err(fault) => drop(cx.gap_from(&fault, ROLE)?),
        }
        tokio::try_join!(cspm(cx, &all), ocsf(cx, &all))?;
        Ok(())
    }
}

async fn cspm(cx: &CollectCx<'_>, all: &[About]) -> Result<(), Abort> {
    let mut found: Vec<(String, String)> = vec![];
    for about in all {
        let page = |token: Option<String>| {
            let mut body = json!({
                "Filters": {"ResourceId": about.filters()},
                "SortCriteria": [{"Field": "UpdatedAt", "SortOrder": "desc"}],
                "MaxResults": 100,
            });
            if let Some(token) = token {
                body["NextToken"] = token.into();
            }
            RawCall::rest(Service::Securityhub, "GetFindings", "POST", &["findings"], &[], Some(&body))
        };
        let question = Question::new(&FINDINGS, format!("Security Hub findings (ASFF) about the {}, archived ones included", about.words))
            .sensitivity(Sensitivity::S2)
            .not_in_use_saying(NOT_SUBSCRIBED);
        cx.ask_json_list(question, cx.aws(), MEMBERS, page, |finding| {
            found.extend(text(finding, "Id").zip(text(finding, "ProductArn")).filter(|one| !found.contains(one)));
        })
        .await?;
    }
    let most = usize::try_from(cx.count("max-histories")).unwrap_or(usize::MAX);
    if found.len() > most {
        let why = format!("{} findings were listed; the history of {most} was read, as bounded by max-histories", found.len());
        cx.gap(GapKind::TooLarge, "histories of further Security Hub findings", &why)?;
    }
    at_once(found.into_iter().take(most).map(|(id, product)| history(cx, id, product).boxed())).await
}

/// Who changed its state, its note or its severity, and when: the last ninety days.
async fn history(cx: &CollectCx<'_>, id: String, product: String) -> Result<(), Abort> {
    let page = |token: Option<String>| {
        let mut body = json!({"FindingIdentifier": {"Id": id, "ProductArn": product}, "MaxResults": 100});
        if let Some(token) = token {
            body["NextToken"] = token.into();
        }
        RawCall::rest(Service::Securityhub, "GetFindingHistory", "POST", &["findingHistory", "get"], &[], Some(&body))
    };
    let question = Question::new(&HISTORY, format!("history of Security Hub finding {id}"))
        .sensitivity(Sensitivity::S2)
        .not_in_use_saying(NOT_SUBSCRIBED);
    cx.ask_json_list(question, cx.aws(), Members { list: "Records", next: "NextToken" }, page, |_| {}).await?;
    Ok(())
}

async fn ocsf(cx: &CollectCx<'_>, all: &[About]) -> Result<(), Abort> {
    let call = RawCall::rest(Service::Securityhub, "DescribeSecurityHubV2", "GET", &["hubv2"], &[], None);
    let question = Question::new(&HUB, "whether the newer Security Hub is on, with its features");
    if matches!(cx.ask_json(question, cx.aws(), call).await?, Reply::Absent(_)) {
        let why = "the newer Security Hub is not on in this Region";
        return cx.not_applicable("Security Hub findings (OCSF)", why).map(drop);
    }
    // A refusal to say whether it is on decides nothing.
    at_once(all.iter().map(|about| ocsf_findings(cx, about).boxed())).await
}

async fn ocsf_findings(cx: &CollectCx<'_>, about: &About) -> Result<(), Abort> {
    // DOUBT(aws): that `resources.uid` of a function is its ARN was read from its ASFF form; a queue's is its address, with the ARN elsewhere.
    let filters: Vec<Value> = about.filters().into_iter().map(|f| json!({"FieldName": "resources.uid", "Filter": f})).collect();
    let page = |token: Option<String>| {
        let mut body = json!({
            "Filters": {"CompositeFilters": [{"StringFilters": filters, "Operator": "OR"}], "CompositeOperator": "AND"},
            "MaxResults": 100,
        });
        if let Some(token) = token {
            body["NextToken"] = token.into();
        }
        RawCall::rest(Service::Securityhub, "GetFindingsV2", "POST", &["findingsv2"], &[], Some(&body))
    };
    let question = Question::new(&OCSF, format!("Security Hub findings (OCSF) about the {}", about.words)).sensitivity(Sensitivity::S2);
    cx.ask_json_list(question, cx.aws(), MEMBERS, page, |_| {}).await?;
    Ok(())
}
