//! Function URLs that only signed callers may use (`containment.md` C5). The address stays: a URL that is deleted never comes back, and
//! whoever embedded it would have to be told another (the fence refuses that call to everybody).

use super::qualifiers::{self, LATEST, Pages};
use super::{ActCx, ActError, Action, ActionSpec, AwsCli, Bearing, Cell, ContainPermit, Reading};
use crate::aws::fault::tame;
use crate::model::call::{Call, Scope, Service};
use crate::model::id::CellId;
use crate::model::restorable::Restorable;
use crate::model::target::Target;
use async_trait::async_trait;
use aws_sdk_lambda::types::{Cors as SdkCors, FunctionUrlAuthType, InvokeMode};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub struct CloseFunctionUrls;

static SPEC: ActionSpec = ActionSpec {
    id: "close-function-urls",
    title: "Let only signed callers use the function URLs",
    stops: "anonymous callers of the function's URLs",
    does_not_stop: "callers who sign and whom IAM or the resource policy allows, every other way to the function",
    side_effects: "whoever calls a URL without signing gets 403: web pages, webhooks, customers; the addresses stay the same",
    restore: "the configuration is set as it was, cross-origin rules and invoke mode included, together with the denies: late",
    calls: &[LIST, GET, UPDATE],
    params: &[qualifiers::only("the alias whose URL to close alone, or $LATEST for the function's own; none means every URL")],
    // A door to the outside is opened when all behind it is as it was.
    restore_rank: 2,
    bearing: Bearing::Neither,
};

const LIST: Call = Call::read(Service::Lambda, "ListFunctionUrlConfigs", "lambda:ListFunctionUrlConfigs", Scope::Function);
const GET: Call = Call::read(Service::Lambda, "GetFunctionUrlConfig", "lambda:GetFunctionUrlConfig", Scope::Function);
const UPDATE: Call = Call::write(Service::Lambda, "UpdateFunctionUrlConfig", "lambda:UpdateFunctionUrlConfig", Scope::Function);

/// All of a URL that can be set. What the update leaves out AWS keeps, and an empty `Cors` clears it (probed on AWS by go-to-k/cdkd,
/// pull request 1261), so each member is named every time and somebody else's change to any of them is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlConfig {
    auth_type: String,
    invoke_mode: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    cors: Option<Cors>,
}

/// Named as AWS does, so that it can go to the aws-cli as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Cors {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    allow_credentials: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    allow_headers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    allow_methods: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    allow_origins: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    expose_headers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    max_age: Option<i32>,
}

impl Cors {
    fn of(cors: &SdkCors) -> Cors {
        Cors {
            allow_credentials: cors.allow_credentials(),
            allow_headers: cors.allow_headers().to_vec(),
            allow_methods: cors.allow_methods().to_vec(),
            allow_origins: cors.allow_origins().to_vec(),
            expose_headers: cors.expose_headers().to_vec(),
            max_age: cors.max_age(),
        }
    }
    fn sdk(&self) -> SdkCors {
        // An empty list is left out: AWS takes the mere name of one for the wish to have cross-origin rules.
        let list = |l: &[String]| (!l.is_empty()).then(|| l.to_vec());
        SdkCors::builder()
            .set_allow_credentials(self.allow_credentials)
            .set_allow_headers(list(&self.allow_headers))
            .set_allow_methods(list(&self.allow_methods))
            .set_allow_origins(list(&self.allow_origins))
            .set_expose_headers(list(&self.expose_headers))
            .set_max_age(self.max_age)
            .build()
    }
}

const IAM: &str = "AWS_IAM";
/// What AWS makes of no word.
const BUFFERED: &str = "BUFFERED";

#[async_trait]
impl Action for CloseFunctionUrls {
    type State = UrlConfig;

    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn cells(&self, cx: &ActCx<'_>) -> Result<Vec<Cell>, ActError> {
        let target = cx.target();
        let mut pages = Pages::of(format!("the URLs of {}", target.function));
        // Qualifier, `$LATEST` for none, and address.
        let mut urls: Vec<(String, String)> = vec![];
        loop {
            let call = cx.aws().lambda().list_function_url_configs().function_name(&target.function).set_marker(pages.marker()).send();
            let page = cx.call(&LIST, &format!("listing {}", pages.what()), call).await?;
            for url in page.function_url_configs() {
                let qualifier = match url.function_arn().strip_prefix(target.arn().as_str()) {
                    Some("") => Some(LATEST),
                    Some(rest) => rest.strip_prefix(':'),
                    None => None,
                };
                let id = qualifier.map(|q| CellId::new(SPEC.id, &qualifiers::key(&target.function, Some(q))));
                match (qualifier, id) {
                    (Some(q), Some(id)) if qualifiers::qualifier(&target.function, &id, id.key()).is_ok() => {
                        urls.push((q.to_string(), tame(url.function_url(), 200)));
                    }
                    _ => return Err(ActError::Refused(format!("AWS stated a URL of `{}`", tame(url.function_arn(), 200)))),
                }
            }
            if !pages.more(page.next_marker())? {
                break;
            }
        }
        if urls.is_empty() {
            cx.remark(format!("{} has no function URL", target.function));
            return Ok(vec![]);
        }
        let chosen = qualifiers::chosen(cx, urls, "function URL of", |(qualifier, _)| qualifier)?;
        let cell = |(qualifier, url): (String, String)| {
            let key = qualifiers::key(&target.function, Some(qualifier.as_str()).filter(|q| *q != LATEST));
            Cell { id: CellId::new(SPEC.id, &key), label: format!("function URL of {key}"), facts: json!({"url": url}) }
        };
        Ok(chosen.into_iter().map(cell).collect())
    }

    async fn read(&self, cx: &ActCx<'_>, cell: &CellId) -> Result<Reading<UrlConfig>, ActError> {
        let function = &cx.target().function;
        let qualifier = qualifiers::qualifier(function, cell, cell.key())?;
        let call = cx.aws().lambda().get_function_url_config().function_name(function).set_qualifier(qualifier.map(str::to_string));
        // A URL that is gone is an error: its address cannot be had again.
        let url = cx.call(&GET, &format!("reading the function URL of {}", cell.key()), call.send()).await?;
        Ok(Reading::Settled(UrlConfig {
            auth_type: url.auth_type().as_str().to_string(),
            invoke_mode: url.invoke_mode().map_or(BUFFERED, |m| m.as_str()).to_string(),
            cors: url.cors().map(Cors::of).filter(|c| *c != Cors::default()),
        }))
    }

    fn contained(&self, _: &Cell, before: &UrlConfig) -> Result<UrlConfig, ActError> {
        Ok(UrlConfig { auth_type: IAM.to_string(), ..before.clone() })
    }

    fn restorable(&self, _: &UrlConfig) -> Restorable {
        Restorable::Exactly
    }

    async fn set(&self, cx: &ActCx<'_>, cell: &CellId, to: &UrlConfig, _: &ContainPermit) -> Result<(), ActError> {
        let function = &cx.target().function;
        let qualifier = qualifiers::qualifier(function, cell, cell.key())?;
        let call = cx.aws().lambda().update_function_url_config().function_name(function).set_qualifier(qualifier.map(str::to_string));
        let call = call
            .auth_type(FunctionUrlAuthType::from(to.auth_type.as_str()))
            .invoke_mode(InvokeMode::from(to.invoke_mode.as_str()))
            .cors(to.cors.clone().unwrap_or_default().sdk());
        cx.call(&UPDATE, &format!("setting the function URL of {} to {}", cell.key(), to.auth_type), call.send()).await.map(drop)
    }

    fn by_hand(&self, target: &Target, cell: &CellId, before: &UrlConfig) -> Result<Vec<AwsCli>, ActError> {
        let cors = serde_json::to_string(&before.cors.clone().unwrap_or_default())
            .map_err(|e| ActError::State { cell: cell.to_string(), why: e.to_string() })?;
        let mut options = vec![("--function-name", target.function.as_str())];
        options.extend(qualifiers::qualifier(&target.function, cell, cell.key())?.map(|q| ("--qualifier", q)));
        options.push(("--auth-type", &before.auth_type));
        options.push(("--invoke-mode", &before.invoke_mode));
        options.push(("--cors", &cors));
        Ok(vec![AwsCli::new("lambda", "update-function-url-config", options)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_form_is_a_promise() {
        let cors = Cors { allow_origins: vec!["https://a.example".into()], max_age: Some(60), ..Cors::default() };
        let config = UrlConfig { auth_type: "NONE".into(), invoke_mode: "BUFFERED".into(), cors: Some(cors) };
        let text = r#"{"auth_type":"NONE","invoke_mode":"BUFFERED","cors":{"AllowOrigins":["https://a.example"],"MaxAge":60}}"#;
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
        assert_eq!(serde_json::from_str::<UrlConfig>(text).unwrap(), config);
        assert_eq!(Cors::of(&config.cors.as_ref().unwrap().sdk()), config.cors.unwrap());
    }
}
