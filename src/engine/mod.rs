//! Floor 6: it happens. `run` walks a plan's phases and is the only loop; both faces (command line and responder) call it.
//!
//! Start reading at [`run`]; collectors are driven by [`gather`], containment by [`saga`], putting back by [`restore`]. What it never does:
//! parse a playbook, print, know an event's form.

pub mod gather;
pub mod preflight;
pub mod progress;
