pub const MAX_EVENT: usize = 1 << 20;
