//! Parameters of reads and writes, checked as `meta/v1` and `meta/internalversion` validation do.

use std::num::{IntErrorKind, ParseIntError};

use api::field::{Path, Problem, Problems};
use api::resource::Resource;
use api::schema::Validation;
use api::selector::{FieldSelector, LabelSelector};
use api::status::Status;
use serde_json::{Value, json};

use crate::call::Call;
use crate::query::Query;

/// How a write is to be done.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) manager: String,
    pub(crate) validation: Validation,
}

impl WriteOptions {
    /// Reads them; `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    pub(crate) fn read(call: &Call, kind: &str, mut problems: Problems) -> Result<Self, Status> {
        let query = &call.query;
        let given = query.text("fieldManager");
        problems.extend(manager_problems(given));
        let dry_run: Vec<&str> = query.all("dryRun").collect();
        problems.extend(dry_run_problem(&dry_run));
        let validation = match query.text("fieldValidation") {
            "" | "Warn" => Validation::Warn,
            "Ignore" => Validation::Ignore,
            "Strict" => Validation::Strict,
            other => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                let field = Path::new("fieldValidation");
                problems.push(Problem::not_supported(field, other, &supported));
                Validation::Warn
            }
        };
        refuse(kind, &problems)?;
        let manager = call.field_manager();
        Ok(Self {
            dry_run: !dry_run.is_empty(),
            manager,
            validation,
        })
    }
}

fn manager_problems(manager: &str) -> Problems {
    let (path, mut problems) = (Path::new("fieldManager"), Problems::new());
    if manager.len() > 128 {
        problems.push(Problem::too_long(path.clone(), 128));
    }
    for (at, c) in manager.char_indices().filter(|(_, c)| c.is_control()) {
        let detail = format!(
            "invalid character U+{:04X} (at position {at})",
            u32::from(c)
        );
        problems.push(Problem::invalid(path.clone(), manager, detail));
    }
    problems
}

fn dry_run_problem(values: &[&str]) -> Option<Problem> {
    let wrong = values.iter().any(|value| *value != "All");
    wrong.then(|| Problem::not_supported(Path::new("dryRun"), json!(values), &["All"]))
}

/// 422 of an options object, if there are problems.
pub(crate) fn refuse(kind: &str, problems: &[Problem]) -> Result<(), Status> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Status::invalid("meta.k8s.io", kind, "", problems))
}

/// How a deletion is to be done.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) orphan: Option<bool>,
    pub(crate) propagation: Option<String>,
    pub(crate) dry_run: bool,
}

impl DeleteOptions {
    /// From the parameters; used when the request has no body.
    pub(crate) fn from_query(query: &Query) -> Result<Self, Status> {
        let grace_seconds = integer(query, "gracePeriodSeconds")?;
        let given = |name: &str| {
            query
                .get(name)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let dry_run: Vec<&str> = query.all("dryRun").collect();
        let options = Self {
            grace_seconds,
            orphan: query.flag("orphanDependents"),
            propagation: query.get("propagationPolicy").map(str::to_owned),
            uid: given("uid"),
            resource_version: given("resourceVersion"),
            dry_run: !dry_run.is_empty(),
        };
        options.checked(&dry_run)
    }

    /// From a decoded body, which then wins over all parameters.
    pub(crate) fn from_body(body: &Value) -> Result<Self, Status> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let list = body["dryRun"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let dry_run: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        let options = Self {
            grace_seconds: body["gracePeriodSeconds"].as_i64(),
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
            orphan: body["orphanDependents"].as_bool(),
            propagation: text(&body["propagationPolicy"]),
            dry_run: !dry_run.is_empty(),
        };
        options.checked(&dry_run)
    }

    fn checked(self, dry_run: &[&str]) -> Result<Self, Status> {
        let mut problems = Problems::new();
        let field = || Path::new("propagationPolicy");
        if let Some(policy) = self.propagation.as_deref() {
            if self.orphan.is_some() {
                let detail = "orphanDependents and deletionPropagation cannot be both set";
                problems.push(Problem::invalid(field(), policy, detail));
            }
            if !matches!(policy, "Foreground" | "Background" | "Orphan") {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                problems.push(Problem::not_supported(field(), policy, &supported));
            }
        }
        problems.extend(dry_run_problem(dry_run));
        refuse("DeleteOptions", &problems)?;
        Ok(self)
    }
}

/// An integer parameter.
fn integer(query: &Query, name: &str) -> Result<Option<i64>, Status> {
    let Some(text) = query.get(name) else {
        return Ok(None);
    };
    let parsed = text.parse().map_err(|error: ParseIntError| {
        let why = why_no_number(&error);
        Status::bad_request(format!("strconv.ParseInt: parsing \"{text}\": {why}"))
    });
    parsed.map(Some)
}

/// Go's words for what is no number.
pub(crate) fn why_no_number(error: &ParseIntError) -> &'static str {
    match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    }
}

/// What a list or watch asks for.
#[derive(Debug, Default)]
pub(crate) struct ListOptions {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    pub(crate) limit: usize,
    pub(crate) proceed: String,
    pub(crate) resource_version: String,
    pub(crate) version_match: String,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) bookmarks: bool,
    pub(crate) send_initial_events: Option<bool>,
    pub(crate) watch: bool,
}

impl ListOptions {
    /// Reads and checks them.
    pub(crate) fn read(query: &Query, resource: &Resource) -> Result<Self, Status> {
        let labels = LabelSelector::parse(query.text("labelSelector"));
        let limit = integer(query, "limit")?.unwrap_or_default();
        let timeout = integer(query, "timeoutSeconds")?;
        let fields = FieldSelector::parse(resource, query.text("fieldSelector"));
        let options = Self {
            labels: labels.map_err(Status::bad_request)?,
            fields: fields.map_err(Status::bad_request)?,
            limit: usize::try_from(limit).unwrap_or_default(),
            proceed: query.text("continue").to_owned(),
            resource_version: query.text("resourceVersion").to_owned(),
            version_match: query.text("resourceVersionMatch").to_owned(),
            timeout_seconds: timeout.and_then(|seconds| u64::try_from(seconds).ok()),
            bookmarks: query.flag("allowWatchBookmarks") == Some(true),
            send_initial_events: query.flag("sendInitialEvents"),
            watch: query.flag("watch") == Some(true),
        };
        options.check()?;
        Ok(options)
    }

    /// Whether every object is selected.
    pub(crate) fn selects_all(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    fn check(&self) -> Result<(), Status> {
        let problems = if self.watch {
            self.watch_problems()
        } else {
            self.list_problems()
        };
        refuse("ListOptions", &problems)
    }

    fn list_problems(&self) -> Problems {
        let mut problems = Problems::new();
        let field = || Path::new("resourceVersionMatch");
        let asked = self.version_match.as_str();
        if !asked.is_empty() && self.resource_version.is_empty() {
            let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            problems.push(Problem::forbidden(field(), detail));
        }
        if !asked.is_empty() && !self.proceed.is_empty() {
            let detail = "resourceVersionMatch is forbidden when continue is provided";
            problems.push(Problem::forbidden(field(), detail));
        }
        if !matches!(asked, "" | "Exact" | "NotOlderThan") {
            let supported = ["Exact", "NotOlderThan", ""];
            problems.push(Problem::not_supported(field(), asked, &supported));
        }
        if asked == "Exact" && self.resource_version == "0" {
            let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            problems.push(Problem::forbidden(field(), detail));
        }
        if self.send_initial_events.is_some() {
            let field = Path::new("sendInitialEvents");
            problems.push(Problem::forbidden(
                field,
                "sendInitialEvents is forbidden for list",
            ));
        }
        problems
    }

    fn watch_problems(&self) -> Problems {
        let mut problems = Problems::new();
        let field = || Path::new("resourceVersionMatch");
        let asked = self.version_match.as_str();
        if self.send_initial_events.is_some() && asked != "NotOlderThan" {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            problems.push(Problem::forbidden(field(), detail));
        }
        if !asked.is_empty() && self.send_initial_events.is_none() {
            let detail =
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            problems.push(Problem::forbidden(field(), detail));
        }
        if !matches!(asked, "" | "NotOlderThan") {
            problems.push(Problem::not_supported(field(), asked, &["NotOlderThan"]));
        }
        // A watch that begins with what is there means this rule, said or not.
        let from_state = self.send_initial_events.is_none()
            && matches!(self.resource_version.as_str(), "" | "0");
        if (from_state || !asked.is_empty()) && !self.proceed.is_empty() {
            let detail = "resourceVersionMatch is forbidden when continue is provided";
            problems.push(Problem::forbidden(field(), detail));
        }
        problems
    }
}
