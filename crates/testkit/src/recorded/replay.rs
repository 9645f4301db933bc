//! Asking a recording's questions again.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::Request;
use regex::{Captures, Regex};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::ask::{Answer, Ask};
use super::compare::{Bindings, settle, short};
use super::pointer::{drop_at, holds, only, place, point, spread};
use super::step::{Recorded, Recording, Step};

/// Between two looks at what is to come about, as the recorder had it: what lasts shorter was not recorded.
const LOOK: Duration = Duration::from_millis(100);

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// `$[a*64]` in a request is 64 times "a".
static LONG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\[(.)\*(\d+)\]").expect("a valid pattern"));

/// Asks everything again in namespace `namespace` (made here, deleted at the end) and returns what differs.
///
/// # Errors
/// When the server cannot be asked at all.
pub async fn replay(
    server: &dyn Ask,
    recording: &Recording,
    namespace: &str,
) -> Result<Vec<String>, String> {
    prepare(server, namespace).await?;
    let (mut bindings, mut found) = (Bindings::new(namespace), Vec::new());
    for (number, step) in recording.steps.iter().enumerate() {
        let mut want = step.answer.clone().ok_or("a recorded step has an answer")?;
        let asked = fill(&bindings, step)?;
        let mut got = perform(server, &asked).await?;
        let mut here = Vec::new();
        if got.status == want.status {
            if got.content_type != want.content_type {
                here.push(format!(
                    "type {}, want {}",
                    got.content_type, want.content_type
                ));
            }
            bindings.same(
                &want.warnings.into(),
                &got.warnings.into(),
                "warnings",
                &mut here,
            );
            let headers = (
                want.headers.unwrap_or_default(),
                got.headers.unwrap_or_default(),
            );
            bindings.same(&headers.0, &headers.1, "headers", &mut here);
            settle(&mut want.body, None);
            settle(&mut got.body, Some(&mut here));
            bindings.same(&wordless(want.body), &got.body, "", &mut here);
        } else {
            here.push(format!(
                "status {}, want {}: {}",
                got.status,
                want.status,
                short(&got.body)
            ));
        }
        found.extend(
            here.into_iter()
                .map(|d| format!("{} {}: {d}", number + 1, asked.call)),
        );
    }
    call(
        server,
        "DELETE",
        &format!("/api/v1/namespaces/{namespace}"),
        None,
    )
    .await?;
    Ok(found)
}

/// A namespace with its ServiceAccount, as every scenario finds it.
async fn prepare(server: &dyn Ask, namespace: &str) -> Result<(), String> {
    let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    let steps = [
        ("/api/v1/namespaces", namespace),
        (accounts.as_str(), "default"),
    ];
    for (path, name) in steps {
        let body = json!({"metadata": {"name": name}});
        let answer = call(server, "POST", path, Some(body)).await?;
        if !matches!(answer.status, 200 | 201 | 409) {
            return Err(format!(
                "cannot prepare {path}: {} {}",
                answer.status, answer.body
            ));
        }
    }
    Ok(())
}

async fn call(
    server: &dyn Ask,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Result<Answer, String> {
    let body = body
        .map(|body| serde_json::value::to_raw_value(&body))
        .transpose();
    let step = Step {
        call: format!("{method} {path}"),
        body: body.map_err(|e| e.to_string())?,
        ..Step::default()
    };
    server
        .ask(request(&step)?, None, Duration::from_secs(10))
        .await
}

/// The step as it has to be asked here: placeholders replaced by what this server answered earlier.
fn fill(bindings: &Bindings, step: &Step) -> Result<Step, String> {
    let wrong = |error: serde_json::Error| format!("{}: {error}", step.call);
    let plain = Step {
        answer: None,
        body: None,
        ..step.clone()
    };
    let value = bindings.put(&serde_json::to_value(plain).map_err(wrong)?);
    let filled: Step = serde_json::from_value(value).map_err(wrong)?;
    let body = step.body.as_ref().map(|body| bindings.put_json(body.get()));
    let body = body.map(RawValue::from_string).transpose().map_err(wrong)?;
    Ok(Step { body, ..filled })
}

async fn perform(server: &dyn Ask, step: &Step) -> Result<Recorded, String> {
    match &step.each {
        Some(each) => repeated(server, step, each).await,
        None => once(server, step).await,
    }
}

async fn once(server: &dyn Ask, step: &Step) -> Result<Recorded, String> {
    sleep(Duration::from_secs_f64(step.after)).await;
    let patience = Duration::from_secs_f64(step.seconds.unwrap_or(8.0));
    let events = step
        .call
        .starts_with("WATCH ")
        .then(|| step.events.unwrap_or(1));
    let deadline = Instant::now() + Duration::from_secs_f64(step.within.unwrap_or(20.0));
    loop {
        let mut answer = server.ask(request(step)?, events, patience).await?;
        sort(&mut answer.body, step);
        let done = step
            .eventually
            .iter()
            .all(|(at, want)| holds(&answer.body, at, want));
        if done || Instant::now() > deadline {
            return Ok(reduced(answer, step));
        }
        sleep(LOOK).await;
    }
}

/// A step with `for`: one call for each, `$(n)` and `$(name)` filled in; the worst answer counts.
async fn repeated(server: &dyn Ask, step: &Step, each: &Value) -> Result<Recorded, String> {
    let mut names = match each {
        Value::Number(n) => vec![String::new(); n.as_u64().unwrap_or(0) as usize],
        list => listed(server, list.as_str().unwrap_or_default(), step).await?,
    };
    names.truncate(step.first.unwrap_or(usize::MAX));
    let plain = Step {
        each: None,
        first: None,
        eventually: Default::default(),
        ..step.clone()
    };
    let text = serde_json::to_string(&plain).map_err(|e| e.to_string())?;
    let mut worst: Option<Recorded> = None;
    for (n, name) in names.iter().enumerate() {
        let one = text
            .replace("$(name)", name)
            .replace("$(n)", &(n + 1).to_string());
        let one: Step = serde_json::from_str(&one).map_err(|e| e.to_string())?;
        let got = once(server, &one).await?;
        if worst.as_ref().is_none_or(|worst| got.status > worst.status) {
            worst = Some(got);
        }
    }
    let worst = worst.unwrap_or_default();
    let mut body = json!({"calls": names.len()});
    if worst.status >= 300 {
        body["worst"] = worst.body.clone();
    }
    Ok(Recorded { body, ..worst })
}

async fn listed(server: &dyn Ask, path: &str, step: &Step) -> Result<Vec<String>, String> {
    let answer = call(server, "GET", path, None).await?;
    let items = answer.body["items"].as_array().cloned().unwrap_or_default();
    let fits = |item: &&Value| {
        step.condition
            .iter()
            .all(|(at, want)| holds(item, at, want))
    };
    let name = |item: &Value| {
        item["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    Ok(items.iter().filter(fits).map(name).collect())
}

/// The HTTP request of a step.
fn request(step: &Step) -> Result<Request<Bytes>, String> {
    let call = long(&step.call);
    let (method, path) = call.split_once(' ').ok_or("a call is METHOD path")?;
    let method = if method == "WATCH" { "GET" } else { method };
    let accept = step.accept.as_deref().unwrap_or("application/json");
    let accept = if accept == "table" { TABLE } else { accept };
    let mut headers = vec![
        ("Accept".to_owned(), Some(accept.to_owned())),
        // Who wrote a field is told by the first word of this, and was recorded.
        ("User-Agent".to_owned(), Some("golden/1".to_owned())),
    ];
    let body = body(step)?;
    if body.is_some() {
        headers.push(("Content-Type".to_owned(), Some(media_type(step))));
    }
    if let Some(who) = &step.impersonate {
        let mut parts = who.split(',').map(str::to_owned);
        headers.push(("Impersonate-User".to_owned(), parts.next()));
        headers.extend(
            parts
                .next()
                .map(|group| ("Impersonate-Group".to_owned(), Some(group))),
        );
    }
    headers.extend(step.headers.clone());
    let mut request = Request::builder().method(method).uri(quoted(path));
    let target = request
        .headers_mut()
        .ok_or_else(|| format!("not a request: {call}"))?;
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().map_err(|e| format!("{name}: {e}"))?;
        match value {
            Some(value) => {
                target.insert(name, value.parse().map_err(|e| format!("{value}: {e}"))?);
            }
            None => {
                target.remove(name);
            }
        }
    }
    request
        .body(body.unwrap_or_default().into())
        .map_err(|e| format!("{call}: {e}"))
}

fn media_type(step: &Step) -> String {
    match step.content_type.as_deref() {
        None => "application/json",
        Some("json") => "application/json-patch+json",
        Some("merge") => "application/merge-patch+json",
        Some("strategic") => "application/strategic-merge-patch+json",
        Some("apply") => "application/apply-patch+yaml",
        Some(other) => other,
    }
    .to_owned()
}

fn body(step: &Step) -> Result<Option<Vec<u8>>, String> {
    let mut bytes = match (&step.raw, &step.raw64, &step.body) {
        (Some(text), ..) => long(text).into_bytes(),
        (_, Some(text), _) => base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|e| format!("raw64: {e}"))?,
        (_, _, Some(value)) => long(&on_one_line(value.get())).into_bytes(),
        _ => return Ok(None),
    };
    bytes.extend(std::iter::repeat_n(b' ', step.pad));
    Ok(Some(bytes))
}

/// A JSON text as it was sent when it was recorded: one line, a blank after commas and colons. Some answers
/// show the text they were asked with.
fn on_one_line(json: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::with_capacity(json.len()), false, false);
    for c in json.chars() {
        if quoted {
            out.push(c);
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            ',' | ':' => out.extend([c, ' ']),
            _ => out.push(c),
        }
        quoted = c == '"';
    }
    out
}

fn long(text: &str) -> String {
    let repeat = |found: &Captures<'_>| found[1].repeat(found[2].parse().unwrap_or(0));
    LONG.replace_all(text, repeat).into_owned()
}

/// Percent-encodes what may not stand in a path and query.
fn quoted(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/?&=%,:;~+!()*'$@".contains(&byte);
    let mut out = String::new();
    for byte in path.bytes() {
        if plain(byte) {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn sort(body: &mut Value, step: &Step) {
    for (pattern, key) in &step.sort {
        for at in spread(body, pattern) {
            if let Some(Value::Array(items)) = place(body, &at) {
                items.sort_by_cached_key(|item| natural(&only(item, std::slice::from_ref(key))));
            }
        }
    }
}

/// Text in which numbers sort by value.
fn natural(value: &Value) -> String {
    static DIGITS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d+").expect("a valid pattern"));
    DIGITS
        .replace_all(&value.to_string(), |n: &Captures<'_>| {
            format!("{:0>20}", &n[0])
        })
        .into_owned()
}

/// The answer reduced to what the step says is the point.
fn reduced(answer: Answer, step: &Step) -> Recorded {
    let header = |name: &str| {
        let text = answer.headers.get(name).and_then(|v| v.to_str().ok());
        text.map_or(Value::Null, Value::from)
    };
    let content_type = header("content-type")
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let warnings = answer.headers.get_all("warning").iter();
    let warnings = warnings.map(|w| String::from_utf8_lossy(w.as_bytes()).into_owned().into());
    let headers = step.keep.as_ref().map(|names| {
        names
            .iter()
            .map(|name| (name.clone(), header(name)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    });
    Recorded {
        status: answer.status,
        content_type: content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned(),
        warnings: warnings.collect(),
        headers,
        body: reduced_body(answer.status, answer.body, step),
    }
}

fn reduced_body(status: u16, mut body: Value, step: &Step) -> Value {
    if step.parse.as_deref() == Some("yaml")
        && let Some(text) = body["text"].as_str()
        && let Ok(parsed) = serde_saphyr::from_str(text)
    {
        body = parsed;
    }
    if let (Some(at), 200) = (&step.at, status) {
        body = point(&body, at).unwrap_or_default();
    }
    for (at, rule) in &step.pick {
        pick(&mut body, at, rule);
    }
    step.without.iter().for_each(|at| drop_at(&mut body, at));
    if status < 300 {
        step.only
            .iter()
            .for_each(|(at, keys)| keep_only(&mut body, at, keys));
    }
    if step.quiet && status < 300 {
        Value::Null
    } else {
        wordless(masked(body, step))
    }
}

fn pick(body: &mut Value, at: &str, rule: &std::collections::BTreeMap<String, Vec<Value>>) {
    let (Some(Value::Array(items)), Some((key, names))) =
        (body.pointer_mut(at), rule.iter().next())
    else {
        return;
    };
    let rank = |item: &Value| {
        names
            .iter()
            .position(|name| point(item, key).as_ref() == Some(name))
    };
    items.retain(|item| rank(item).is_some());
    items.sort_by_key(rank);
}

fn keep_only(body: &mut Value, at: &str, keys: &[String]) {
    let target = if at.is_empty() {
        Some(body)
    } else {
        body.pointer_mut(at)
    };
    match target {
        Some(Value::Array(items)) => items.iter_mut().for_each(|item| *item = only(item, keys)),
        Some(value) if at.is_empty() => *value = only(value, keys),
        _ => {}
    }
}

fn masked(body: Value, step: &Step) -> Value {
    let rules = step
        .mask
        .iter()
        .filter_map(|(p, kind)| Some((Regex::new(p).ok()?, format!("{{{{{kind}}}}}"))));
    let rules: Vec<(Regex, String)> = rules.collect();
    if rules.is_empty() {
        body
    } else {
        masked_value(body, &rules)
    }
}

fn masked_value(value: Value, rules: &[(Regex, String)]) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(k, v)| (k, masked_value(v, rules)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items
            .into_iter()
            .map(|item| masked_value(item, rules))
            .collect(),
        Value::String(text) => {
            let replaced = rules.iter().fold(text, |text, (pattern, with)| {
                pattern.replace_all(&text, with.as_str()).into_owned()
            });
            replaced.into()
        }
        other => other,
    }
}

/// Without the prose of table columns and API operations: each server has its own words.
fn wordless(mut document: Value) -> Value {
    fn strip(value: &mut Value) {
        if let Some(columns) = value
            .get_mut("columnDefinitions")
            .and_then(Value::as_array_mut)
        {
            columns
                .iter_mut()
                .for_each(|column| drop_at(column, "/description"));
        }
        if value.get("operationId").is_some() {
            drop_at(value, "/description");
        }
        match value {
            Value::Object(map) => map.values_mut().for_each(strip),
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut document);
    document
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_body_is_sent_on_one_line() {
        let told = super::on_one_line("{\n  \"a\": [1,\n 2], \"b\":\"x, \\\"y: \\\\\"\n}");
        assert_eq!(told, "{\"a\": [1, 2], \"b\": \"x, \\\"y: \\\\\"}");
    }
}
