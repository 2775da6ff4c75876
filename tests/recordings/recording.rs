//! The format of a recording:
//!
//! ```text
//! { "kind": "429_rate",
//!   "request": { "method": ..., "url": ..., "headers": [[name, value], ...], "body": text or null },
//!   "response": { "status": ..., "headers": [[name, value], ...], "body": text, "body_encoding": "utf8" or "base64" } }
//! ```

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde_json::Value;

pub(crate) struct Recording {
    pub(crate) provider: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) asked: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// When it arrived: years off, so that nothing but the response's own date can be right.
    pub(crate) now: SystemTime,
}

/// All that are in the folders of a folder, by name.
pub(crate) fn all(folder: &Path) -> Vec<Recording> {
    let entries = |folder: &Path| {
        let mut paths: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let folders = entries(folder).into_iter().filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| entries(&folder));
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "json"));
    files.filter_map(|path| read(&path)).collect()
}

fn read(path: &Path) -> Option<Recording> {
    let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let (request, response) = (&file["request"], &file["response"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let body = text(&response["body"]);
    Some(Recording {
        provider: path.parent()?.file_name()?.to_str()?.to_owned(),
        name: format!("{}", path.display()),
        kind: text(&file["kind"]),
        method: text(&request["method"]).parse().ok()?,
        uri: uri(&text(&request["url"])),
        asked: text(&request["body"]).into_bytes(),
        status: response["status"].as_u64()?.try_into().ok()?,
        headers: headers(&response["headers"]),
        body: if response["body_encoding"] == "base64" { base64(&body) } else { body.into() },
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000),
    })
}

/// Those who recorded it have masked parts of some addresses.
fn uri(url: &str) -> Uri {
    let url = url.replace(['<', '>'], "").replace(' ', "%20");
    url.parse().unwrap_or_else(|_| {
        let path = url.find("/openai/").map_or("/", |at| &url[at..]);
        path.parse().unwrap_or_default()
    })
}

fn headers(pairs: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for pair in pairs.as_array().into_iter().flatten() {
        let (name, value) = (pair[0].as_str(), pair[1].as_str());
        let name = name.and_then(|name| HeaderName::try_from(name).ok());
        let value = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
        if let (Some(name), Some(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes().filter_map(|b| LETTERS.iter().position(|l| *l == b)) {
        bits = (bits << 6) | letter as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}

impl Recording {
    pub(crate) fn is_refusal(&self) -> bool {
        self.status >= 400
    }

    /// The JSON documents of the body: the whole, the elements of a list, or the data of each event.
    pub(crate) fn documents(&self) -> Vec<Value> {
        match serde_json::from_slice(&self.body) {
            Ok(Value::Array(elements)) => return elements,
            Ok(whole) => return vec![whole],
            Err(_) => {}
        }
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
        data.filter_map(|data| serde_json::from_str(data.trim()).ok()).collect()
    }

    /// The errors that came inside an answer which had begun well.
    pub(crate) fn errors_within(&self) -> Vec<Vec<u8>> {
        if !matches!(&*self.kind, "ok_json_error" | "sse_error") {
            return Vec::new();
        }
        let is_told = |error: &Value| error.is_object() || error.is_string();
        let has_error = |document: &Value| {
            ["/error", "/choices/0/error"]
                .iter()
                .any(|at| document.pointer(at).is_some_and(is_told))
        };
        let errors = self.documents().into_iter().filter(has_error);
        errors.map(|error| error.to_string().into_bytes()).collect()
    }
}
