//! Secrets: from the environment, from a file, or written in the configuration.

use secrecy::SecretString;

use super::Surroundings;

/// Reads `env:NAME`, `file:/path` or a literal. Errors do not contain the secret.
pub(super) fn read(text: &str, around: &Surroundings<'_>) -> Result<SecretString, String> {
    if let Some(name) = text.strip_prefix("env:") {
        let shown = shown(name);
        let value = (around.env)(name).ok_or_else(|| format!("{shown} is not set"))?;
        check(value, &shown)
    } else if let Some(path) = text.strip_prefix("file:") {
        let shown = format!("file {path}");
        let value = std::fs::read_to_string(around.folder.join(path))
            .map_err(|error| format!("cannot read {shown}: {}", error.kind()))?;
        let line = value.strip_suffix('\n').unwrap_or(&value);
        check(line.strip_suffix('\r').unwrap_or(line).to_owned(), &shown)
    } else {
        check(text.to_owned(), "the secret")
    }
}

/// Checks that a secret can be sent in a header.
pub(super) fn check(value: String, shown: &str) -> Result<SecretString, String> {
    if value.is_empty() {
        Err(format!("{shown} is empty"))
    } else if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(format!("{shown} contains a space, a line break or another character that no key has"))
    } else {
        Ok(SecretString::from(value))
    }
}

/// The name of a variable, unless it looks like a secret itself.
fn shown(name: &str) -> String {
    if name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') {
        format!("environment variable {name}")
    } else {
        "the environment variable named here".to_owned()
    }
}
