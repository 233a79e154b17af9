//! Under which roles a function runs: a published version keeps the role that it was published with, whatever `$LATEST` has now, and can be
//! invoked as long as it exists (AWS Lambda Developer Guide, "Manage Lambda function versions"). So an action on *the* execution role has a cell
//! for each role that any version names. What one of them refuses keeps none of the others from being contained, and is told.
//!
//! What this never does: take `$LATEST`'s role for the only one because the others could not be read.

use super::qualifiers::{self, LATEST};
use super::role::{self, GET_CONFIGURATION, Role, versions_in_words};
use super::{ActCx, ActError};
use crate::aws::fault::tame;

/// What a configuration tells of its role.
struct Named {
    version: String,
    arn: String,
    log_group: Option<String>,
}

/// All of them, `$LATEST`'s first. What is missing from them is told as a shortfall; without any, the first reason is the error.
pub(super) async fn roles(cx: &ActCx<'_>) -> Result<Vec<Role>, ActError> {
    let all = by_arn(configurations(cx).await?);
    if all.is_empty() {
        return Err(ActError::Refused(format!("no version of {} names an execution role", cx.target().function)));
    }
    let mut found = Gathered::default();
    for (arn, versions, log_group) in all {
        let (of, latest) = (versions_in_words(&versions), versions.iter().any(|v| v == LATEST));
        match role::of_arn(cx, &arn, versions, log_group).await {
            // Nobody gets credentials of a role that is gone. `$LATEST`'s is another matter: what is there then to contain?
            Err(e) if e.is_absent() && !latest => {
                cx.remark(format!("the role {} of {of} is gone, so there is nothing of it to contain", tame(&arn, 120)));
            }
            one => found.take(one),
        }
    }
    found.done(cx)
}

/// Role by role: its versions, and the log group of the newest; `$LATEST` is the newest.
fn by_arn(all: Vec<Named>) -> Vec<(String, Vec<String>, Option<String>)> {
    let mut roles: Vec<(String, Vec<String>, Option<String>)> = vec![];
    let (latest, published): (Vec<Named>, Vec<Named>) = all.into_iter().partition(|n| n.version == LATEST);
    for one in latest.into_iter().chain(published.into_iter().rev()) {
        match roles.iter_mut().find(|(arn, ..)| *arn == one.arn) {
            Some((_, versions, group)) => {
                versions.push(one.version);
                *group = group.take().or(one.log_group);
            }
            None => roles.push((one.arn, vec![one.version], one.log_group)),
        }
    }
    roles
}

/// Of every version; where they cannot be listed, of `$LATEST` and of the qualifier that the target names, and that is told. A qualifier that is
/// gone, or that may not be read, leaves `$LATEST`, and the other way round.
async fn configurations(cx: &ActCx<'_>) -> Result<Vec<Named>, ActError> {
    match qualifiers::versions(cx).await {
        Ok(all) => {
            let of = |v: qualifiers::Version| Some(Named { arn: v.role?, version: v.name, log_group: v.log_group });
            Ok(all.into_iter().filter_map(of).collect())
        }
        Err(why) => {
            let mut some = Gathered::default();
            some.take(configuration(cx, None).await);
            if let Some(qualifier) = cx.target().qualifier.as_deref().filter(|q| *q != LATEST) {
                some.take(configuration(cx, Some(qualifier)).await);
            }
            let some = some.done(cx)?;
            cx.shortfall(why);
            Ok(some)
        }
    }
}

async fn configuration(cx: &ActCx<'_>, qualifier: Option<&str>) -> Result<Named, ActError> {
    let function = &cx.target().function;
    let call = cx.aws().lambda().get_function_configuration().function_name(function).set_qualifier(qualifier.map(str::to_string)).send();
    let conf = cx.call(&GET_CONFIGURATION, &format!("reading the configuration of {}", qualifiers::key(function, qualifier)), call).await?;
    Ok(Named {
        version: qualifier.unwrap_or(LATEST).to_string(),
        arn: conf.role().unwrap_or_default().to_string(),
        log_group: conf.logging_config().and_then(|l| l.log_group()).map(str::to_string),
    })
}

/// What came of one thing done to several roles.
pub(super) struct Gathered<T> {
    done: Vec<T>,
    failed: Vec<ActError>,
}

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Gathered { done: vec![], failed: vec![] }
    }
}

impl<T> Gathered<T> {
    pub fn take(&mut self, one: Result<T, ActError>) {
        match one {
            Ok(one) => self.done.push(one),
            Err(e) => self.failed.push(e),
        }
    }
    /// What was done; what failed beside it is told. Where nothing was done, the first failure.
    pub fn done(self, cx: &ActCx<'_>) -> Result<Vec<T>, ActError> {
        let mut failed = self.failed.into_iter();
        if self.done.is_empty()
            && let Some(first) = failed.next()
        {
            return Err(first);
        }
        failed.for_each(|e| cx.shortfall(e));
        Ok(self.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_one_however_many_versions_name_it_and_logs_where_the_newest_does() {
        let named = |version: &str, arn: &str, group: Option<&str>| Named {
            version: version.into(),
            arn: arn.into(),
            log_group: group.map(str::to_string),
        };
        let all = vec![
            named("$LATEST", "b", None),
            named("1", "a", Some("/one")),
            named("2", "b", Some("/two")),
            named("3", "a", Some("/three")),
        ];
        let versions = |all: &[&str]| all.iter().map(|v| v.to_string()).collect::<Vec<_>>();
        assert_eq!(
            by_arn(all),
            [
                ("b".to_string(), versions(&["$LATEST", "2"]), Some("/two".to_string())),
                ("a".to_string(), versions(&["3", "1"]), Some("/three".to_string())),
            ]
        );
    }
}
