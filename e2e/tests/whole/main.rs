//! The whole product as its user meets it: `fairway up`, real pods, real packets, `fairway down`. Each test
//! has a host of its own, so they run side by side.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod families;
mod kubectl;
mod life;
mod streams;
mod traffic;
