//! Validators that every kind shares, with Kubernetes' own texts.
//!
//! Facts are those of `apimachinery` (`util/validation`, `api/validate/content`, `api/validation`,
//! `apis/meta/v1/validation`). Functions on a value return the texts of what is wrong with it; functions on
//! a field return [`Problems`](crate::field::Problems).

pub mod check;
pub mod conditions;
pub mod int_or_percent;
pub mod ip;
pub mod json;
pub mod labels;
pub mod metadata;
pub mod names;
pub mod resource;
