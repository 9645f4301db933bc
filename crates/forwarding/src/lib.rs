//! forwarding.
