//! The one pipeline that every change of an object goes through.
//!
//! A verb says what it wants as a function of what is stored; here follow, in the order of
//! `registry/generic/registry/store.go`: defaults, managed fields, the hook that reserves further keys, the
//! kind's preparation, validation, and one transaction that compares the object's revision. A lost race
//! begins another round with what is stored then.

mod commit;
mod create;
mod owners;
mod update;

use std::sync::Arc;

use api::resource::Part;
use api::status::Status;
use bytes::Bytes;
use serde_json::Value;

use crate::api_state::Api;
use crate::call::Call;
use crate::codec;
use crate::registry::Stored;
use crate::routes::Target;

/// Rounds of one request before it is given up; each lost round means that another write succeeded.
pub(crate) const ROUNDS: u32 = 16;

/// A change of one object.
pub(crate) struct Write<'a> {
    pub(crate) api: &'a Api,
    pub(crate) call: &'a Call,
    pub(crate) target: &'a Target,
    pub(crate) part: Part,
    pub(crate) dry_run: bool,
    pub(crate) manager: &'a str,
}

/// What a verb wants to be stored.
pub(crate) struct Wanted {
    pub(crate) object: Value,
    /// Apply has computed the managed fields already.
    pub(crate) managed: bool,
}

/// What was stored.
#[derive(Debug)]
pub(crate) struct Written {
    /// With its resourceVersion.
    pub(crate) json: Bytes,
    pub(crate) created: bool,
}

/// How a round ended.
pub(crate) enum Round {
    Done(Written),
    /// Somebody else was faster; what was read is out of date.
    Lost,
}

impl Round {
    /// Done, and what was there before is what is shown, in this form.
    pub(crate) fn done(json: Bytes) -> Self {
        Self::Done(Written {
            json,
            created: false,
        })
    }
}

/// What is stored, in both forms.
pub(crate) struct Old {
    pub(crate) stored: Arc<Stored>,
    pub(crate) object: Value,
}

impl Write<'_> {
    /// Runs rounds until one is decided. `wanted` is asked anew in each, with what is stored then.
    pub(crate) async fn run(
        &self,
        name: &str,
        wanted: impl Fn(Option<&Old>) -> Result<Wanted, Status>,
    ) -> Result<Written, Status> {
        for attempt in 0..ROUNDS {
            self.call.take_warnings_of_round(attempt);
            let old = self.api.current(self.target, name).await?;
            let mut wanted = wanted(old.as_ref())?;
            let round = match old {
                None => {
                    unversioned(&mut wanted.object);
                    self.create_round(wanted, attempt).await?
                }
                Some(old) => self.update_round(old, wanted, attempt).await?,
            };
            if let Round::Done(written) = round {
                return Ok(self.shown(written));
            }
        }
        Err(self.modified(name))
    }

    /// What the answer of a write shows: readers' view, unless a subresource was written.
    pub(crate) fn shown(&self, written: Written) -> Written {
        let shown = match self.part {
            Part::Main => codec::shown(self.target.resource, &written.json),
            Part::Sub(_) => None,
        };
        Written {
            json: shown.unwrap_or(written.json),
            ..written
        }
    }

    /// Creates. A generated name is another one in each round.
    pub(crate) async fn create(&self, object: &Value) -> Result<Written, Status> {
        for attempt in 0..ROUNDS {
            self.call.take_warnings_of_round(attempt);
            self.api.fresh().await?;
            let wanted = Wanted {
                object: object.clone(),
                managed: false,
            };
            if let Round::Done(written) = self.create_round(wanted, attempt).await? {
                return Ok(self.shown(written));
            }
        }
        Err(self.modified(object["metadata"]["name"].as_str().unwrap_or_default()))
    }

    /// 409: the object has changed meanwhile.
    pub(crate) fn modified(&self, name: &str) -> Status {
        let resource = self.target.resource;
        Status::conflict(resource.group, resource.plural, name, MODIFIED)
    }

    fn invalid(&self, object: &Value, problems: &[api::field::Problem]) -> Status {
        let resource = self.target.resource;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        Status::invalid(resource.group, resource.kind, name, problems)
    }
}

/// A version says nothing about an object that is made by this very request.
fn unversioned(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
}

/// Why a stale write is refused.
const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";
