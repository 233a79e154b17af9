//! Facts: look-ups that several collectors need, made once and remembered together with their failure. Whoever asks second gets the same
//! answer, or the same fault, and records his own gap from it.
//!
//! The look-up is made and recorded as the `configuration` collector's, whoever asks first: so a bundle reads the same whichever task was
//! quicker. (A plan that collects anything therefore always holds `configuration`.)

use super::configuration::CONFIGURATION;
use super::cx::{Abort, CollectCx, Question, Reply};
use crate::aws::fault::Fault;
use crate::model::id::ItemId;
use crate::model::item::Sensitivity;
use aws_sdk_lambda::operation::get_function::GetFunctionOutput;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// What `GetFunction` says of `$LATEST`, as far as later questions need it. Strings are AWS's own and unchecked.
#[derive(Clone)]
pub struct FunctionFact {
    pub item: ItemId,
    pub revision_id: Option<String>,
    pub code_sha256: Option<String>,
    pub code_size: Option<u64>,
    /// `Zip` or `Image`.
    pub package_type: Option<String>,
    /// Presigned, good for ten minutes: a secret. Never shown, hence no `Debug` on this type.
    pub code_url: Option<String>,
    pub role_arn: Option<String>,
    /// The group that the function really writes to; `None` when the configuration names none (then it is `/aws/lambda/<name>`).
    pub log_group: Option<String>,
}

impl FunctionFact {
    pub(super) fn from_output(item: ItemId, out: &GetFunctionOutput) -> Self {
        let conf = out.configuration();
        let own = |s: Option<&str>| s.map(str::to_string);
        FunctionFact {
            item,
            revision_id: own(conf.and_then(|c| c.revision_id())),
            code_sha256: own(conf.and_then(|c| c.code_sha256())),
            code_size: conf.and_then(|c| u64::try_from(c.code_size()).ok()),
            package_type: conf.and_then(|c| c.package_type()).map(|p| p.as_str().to_string()),
            code_url: own(out.code().and_then(|c| c.location())),
            role_arn: own(conf.and_then(|c| c.role())),
            log_group: own(conf.and_then(|c| c.logging_config()).and_then(|l| l.log_group())),
        }
    }
    /// The role's name: the last segment of its ARN (the path before it is not part of the name).
    pub fn role_name(&self) -> Option<&str> {
        self.role_arn.as_deref().and_then(|arn| arn.split_once(":role/")).and_then(|(_, path)| path.rsplit('/').next()).filter(|n| !n.is_empty())
    }
}

#[derive(Default)]
pub struct Facts {
    function: OnceCell<Result<Arc<FunctionFact>, Fault>>,
}

impl Facts {
    /// `cx` must be the context of the `configuration` unit (see the module's words).
    pub(super) async fn function(&self, cx: &CollectCx<'_>) -> Result<Result<Arc<FunctionFact>, Fault>, Abort> {
        self.function
            .get_or_try_init(|| async {
                let question = Question::new(&CONFIGURATION.calls[0], "configuration and code location of $LATEST").sensitivity(Sensitivity::S3);
                let future = cx.aws().lambda().get_function().function_name(&cx.target().function).send();
                Ok(match cx.ask(question, future).await? {
                    Reply::Got(answer) => {
                        let fact = FunctionFact::from_output(answer.item, &answer.output);
                        cx.state_target(&fact);
                        Ok(Arc::new(fact))
                    }
                    Reply::Absent(fault) | Reply::Gap(fault) => Err(fault),
                })
            })
            .await
            .cloned()
    }
}
