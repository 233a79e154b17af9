//! How to write a collector. Copy this file, rename, and add one line to `COLLECTORS` at the place that the volatility gives.
//!
//! ```no_run
//! use async_trait::async_trait;
//! use freezeframe::collect::{Abort, CollectCx, Collector, CollectorSpec, Question, Volatility};
//! use freezeframe::model::call::{Call, Scope, Service};
//! use freezeframe::model::item::Group;
//!
//! pub struct Recursion;
//!
//! static SPEC: CollectorSpec = CollectorSpec {
//!     id: "recursion",
//!     title: "Recursion guard",
//!     answers: "May the function call itself through a queue without being stopped?",
//!     group: Group::Config,
//!     volatility: Volatility::V2,
//!     calls: &[Call::read(Service::Lambda, "GetFunctionRecursionConfig", "lambda:GetFunctionRecursionConfig", Scope::Function)],
//!     params: &[],
//! };
//!
//! #[async_trait]
//! impl Collector for Recursion {
//!     fn spec(&self) -> &'static CollectorSpec {
//!         &SPEC
//!     }
//!     async fn collect(&self, cx: &CollectCx<'_>) -> Result<(), Abort> {
//!         let question = Question::new(&SPEC.calls[0], "recursion configuration");
//!         cx.ask(question, cx.aws().lambda().get_function_recursion_config().function_name(&cx.target().function).send()).await?;
//!         Ok(())
//!     }
//! }
//! ```
