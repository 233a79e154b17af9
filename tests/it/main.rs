/// Strangers' events: what is understood, what is left alone, what is kept unread.
mod intake;
/// The automatic face: deliveries, leases, refusals, keeping; with a fake in the engine's place.
mod handler;
