//! Floor 6: it happens. Here for now: containment ([`saga`]), restore ([`restore`]) and the log that both live by ([`log`]).

pub mod log;
pub mod restore;
pub mod saga;

pub use restore::{Back, RestoreAsk, RestoreReport, RestoredCell};
pub use saga::{Accept, CellReport, ContainReport, OnFailure, Saga, SagaNote, Stand, Step};
