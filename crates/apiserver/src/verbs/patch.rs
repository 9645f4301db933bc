//! PATCH: JSON, merge and strategic merge patches, and server-side apply.

use api::field::{Path, Problem, Problems};
use api::resource::Part;
use api::schema::Kind;
use api::status::Status;

use crate::api_state::{Api, not_found};
use crate::call::Call;
use crate::fields;
use crate::options::WriteOptions;
use crate::patches::{self, Patch};
use crate::reply::Reply;
use crate::routes::Target;
use crate::verbs::create::place;
use crate::verbs::update::check_name;
use crate::write::{Old, Wanted, Write};

pub(crate) async fn patch(api: &Api, call: &Call, target: &Target) -> Result<Reply, Status> {
    let view = super::view(call, target)?;
    let kind = patch_kind(call)?;
    let options = WriteOptions::read(call, "PatchOptions", own_problems(call, kind))?;
    let part = super::part(target);
    let (dry_run, manager) = (options.dry_run, options.manager.as_str());
    let write = Write {
        api,
        call,
        target,
        part,
        dry_run,
        manager,
    };
    let written = write
        .run(&target.name, |old| wanted(&write, kind, old, &options))
        .await?;
    let code = if written.created { 201 } else { 200 };
    Ok(Reply::either(
        code,
        view.form.yaml,
        view.one(&written.json)?,
    ))
}

/// What kind of patch the media type says.
pub(crate) fn patch_kind(call: &Call) -> Result<Patch, Status> {
    let kind = call
        .content_type()
        .ok()
        .and_then(|text| Patch::from_media_type(&text));
    kind.ok_or_else(patches::unsupported)
}

/// Apply names its manager, and only apply may be forced.
pub(crate) fn own_problems(call: &Call, kind: Patch) -> Problems {
    let manager = call.query.text("fieldManager");
    match kind {
        Patch::Apply if manager.is_empty() => {
            let field = Path::new("fieldManager");
            vec![Problem::required(field, "is required for apply patch")]
        }
        Patch::Apply => Problems::new(),
        _ if call.query.get("force").is_some() => {
            let field = Path::new("force");
            vec![Problem::forbidden(
                field,
                "may not be specified for non-apply patch",
            )]
        }
        _ => Problems::new(),
    }
}

fn wanted(
    write: &Write<'_>,
    kind: Patch,
    old: Option<&Old>,
    options: &WriteOptions,
) -> Result<Wanted, Status> {
    let (call, target) = (write.call, write.target);
    let stored = old.map(|old| &old.object);
    let creates = write.part == Part::Main || target.resource.strategy.rules().create_on_update;
    if stored.is_none() && !creates {
        return Err(not_found(target.resource, &target.name));
    }
    if kind == Patch::Apply {
        let force = call.query.flag("force") == Some(true);
        let mut object = fields::apply(write, stored, force, options.validation)?;
        check_name(target, &object)?;
        place(target, &mut object)?;
        return Ok(Wanted {
            object,
            managed: true,
        });
    }
    let stored = stored.ok_or_else(|| not_found(target.resource, &target.name))?;
    let served = Kind::from(target.resource);
    let decoded = patches::patch(kind, &served, stored, &call.body, options.validation)?;
    for warning in decoded.warnings {
        call.warn(warning);
    }
    let mut object = decoded.object;
    check_name(target, &object)?;
    place(target, &mut object)?;
    Ok(Wanted {
        object,
        managed: false,
    })
}
