//! How a command went, as the Status object that ends its stream.

use serde_json::{Value, json};

/// The end of a command that ran.
pub(super) fn of_exit_code(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

/// A command that could not be started, or whose end is not known.
pub(super) fn of_failure(why: &str) -> Value {
    let message = format!("error executing command in container: {why}");
    json!({
        "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
        "message": format!("Internal error occurred: {message}"),
        "details": {"causes": [{"message": message}]},
    })
}
