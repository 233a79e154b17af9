//! Floor 6: it happens. [`run::run`] walks a plan's phases and is the only loop; both faces (command line and responder) call it.
//!
//! Collectors are driven by [`gather`], containment by [`saga`] and `contain`, putting back by [`put_back`] and [`restore`]; what containment
//! lives by is the [`log`]; what stands before it, in [`guard`] and [`control`]; what holds afterwards is seen by [`watch`]. What this floor never
//! does: parse a playbook, print, know an event's form.

pub mod approve;
pub mod bag;
mod contain;
mod contain_report;
pub mod control;
mod doubt;
mod ending;
mod feeding;
pub mod gather;
pub mod gone;
pub mod guard;
pub mod listing;
pub mod log;
pub mod others;
pub mod outlook;
pub mod preflight;
pub mod progress;
pub mod put_back;
pub mod report;
pub mod restore;
pub mod run;
pub mod saga;
pub mod salvage;
pub mod script;
pub mod sealing;
pub mod secrets;
mod straight;
pub mod survey;
pub mod watch;
mod words;

pub use crate::model::restorable::Accept;
pub use restore::{Back, RestoreAsk, RestoreReport, RestoredCell};
pub use saga::{CellReport, ContainReport, Gate, OnFailure, Saga, SagaNote, Stand, Step, Unguarded};
