//! The schema of the served kinds: what their Go types are, and decoding, printing and normalising by it.
//!
//! Objects are JSON values in the form in which Kubernetes prints them (the *canonical* form). A request's
//! body comes in through [`decode`]; code that has changed an object calls [`normalise`].

mod base64;
mod canonical;
mod decode;
pub(crate) mod diff;
pub(crate) mod internal;
mod kinds;
pub mod print;
pub mod quantity;
mod read;
mod request;
mod scan;
pub mod table;
pub mod time;
mod unstructured;
pub(crate) mod yaml;

pub(crate) use base64::encode as encode_bytes;
pub use canonical::normalise;
pub(crate) use kinds::definition_of;
pub use print::go_json;
pub(crate) use read::{any, any_noting_repeated};
pub use request::{Decoded, Format, Kind, Validation, decode, decode_delete_options};
pub(crate) use request::{decode_patched, not_registered_text};
pub(crate) use scan::check as check_json;
pub(crate) use unstructured::convert;

/// Why a text is not JSON, in Go's words.
pub fn why_no_json(text: &[u8]) -> Option<String> {
    check_json(text).err()
}

#[cfg(test)]
mod tests;
