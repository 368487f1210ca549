//! HDFS as its HTTP interface shows it, over a directory: a name node that sends its clients to a data node for content,
//! lists few entries at a time, and never renames over a file.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::web::{Request, Web, page, status};

/// Entries of one answer to a listing.
const LISTED: usize = 3;

/// Starts it over `root`; who does not say that it is `me` is not let in.
pub fn start(root: &Path) -> Web {
    let names = NameNode {
        root: root.to_owned(),
        changing: Mutex::new(()),
    };
    Web::start(move |request, stream| {
        let address = stream.local_addr().unwrap().to_string();
        names.answer(request, &address)
    })
}

struct NameNode {
    root: PathBuf,
    changing: Mutex<()>,
}

fn refused(line: &str, exception: &str, message: &str) -> Vec<u8> {
    let body = serde_json::json!({"RemoteException": {
        "exception": exception, "javaClassName": format!("org.{exception}"), "message": message,
    }});
    page(line, body.to_string().as_bytes())
}

fn answer(body: serde_json::Value) -> Vec<u8> {
    page("200 OK", body.to_string().as_bytes())
}

fn boolean(done: bool) -> Vec<u8> {
    answer(serde_json::json!({ "boolean": done }))
}

fn status_of(path: &Path, suffix: &str) -> Option<serde_json::Value> {
    let meta = path.metadata().ok()?;
    let modified = meta.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(serde_json::json!({
        "length": if meta.is_dir() { 0 } else { meta.len() },
        "modificationTime": u64::try_from(modified.as_millis()).ok()?,
        "pathSuffix": suffix,
        "type": if meta.is_dir() { "DIRECTORY" } else { "FILE" },
    }))
}

impl NameNode {
    fn answer(&self, request: &Request, address: &str) -> Vec<u8> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let decode = |text: &str| String::from_utf8(modver::path::percent_decode(text).unwrap()).unwrap();
        let parameter = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
            value.map(decode)
        };
        let number = |name: &str| parameter(name).map(|value| value.parse::<usize>().unwrap());
        let local = |path: &str| self.root.join(path.trim_start_matches('/'));
        if let Some(path) = path.strip_prefix("/data/") {
            return self.data(request, &local(&decode(path)), number("offset"), number("length"));
        }
        let Some(path) = path.strip_prefix("/webhdfs/v1") else {
            return status("404 Not Found", "");
        };
        if parameter("user.name").as_deref() != Some("me") {
            return refused("401 Unauthorized", "SecurityException", "who are you?");
        }
        let file = local(&decode(path));
        let missing = || refused("404 Not Found", "FileNotFoundException", "it does not exist");
        let data = format!("http://{address}/data/{}", path.trim_start_matches('/'));
        let _turn = self.changing.lock().unwrap();
        match (request.method.as_str(), parameter("op").unwrap_or_default().as_str()) {
            ("GET", "GETFILESTATUS") => match status_of(&file, "") {
                Some(status) => answer(serde_json::json!({ "FileStatus": status })),
                None => missing(),
            },
            ("GET", "LISTSTATUS_BATCH") => {
                let Ok(entries) = std::fs::read_dir(&file) else {
                    return missing();
                };
                let mut names: Vec<String> = entries
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                    .collect();
                names.sort();
                let after = parameter("startAfter").unwrap_or_default();
                names.retain(|name| *name > after);
                let listed: Vec<_> = names
                    .iter()
                    .take(LISTED)
                    .map(|name| status_of(&file.join(name), name))
                    .collect();
                answer(serde_json::json!({"DirectoryListing": {
                    "partialListing": {"FileStatuses": {"FileStatus": listed}},
                    "remainingEntries": names.len().saturating_sub(LISTED),
                }}))
            }
            ("GET", "OPEN") => match file.metadata() {
                Ok(meta) if meta.is_file() => {
                    let offset = number("offset").unwrap_or(0);
                    if offset as u64 > meta.len() {
                        let message = format!("Offset={offset} out of the range [0, {}); OPEN", meta.len());
                        return refused("403 Forbidden", "IOException", &message);
                    }
                    let to = format!("location: {data}?{query}\r\n");
                    status("307 Temporary Redirect", &to)
                }
                _ => missing(),
            },
            ("PUT", "CREATE") => answer(serde_json::json!({ "Location": data })),
            ("PUT", "MKDIRS") => boolean(std::fs::create_dir_all(&file).is_ok()),
            ("PUT", "RENAME") => {
                let to = local(&parameter("destination").unwrap());
                boolean(!to.exists() && std::fs::rename(&file, &to).is_ok())
            }
            ("DELETE", "DELETE") => boolean(std::fs::remove_file(&file).is_ok()),
            _ => refused("400 Bad Request", "UnsupportedOperationException", "what?"),
        }
    }

    fn data(&self, request: &Request, file: &Path, offset: Option<usize>, length: Option<usize>) -> Vec<u8> {
        if request.method == "PUT" {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, &request.body).unwrap();
            return status("201 Created", "");
        }
        let Ok(bytes) = std::fs::read(file) else {
            return status("404 Not Found", "");
        };
        let begin = offset.unwrap_or(0).min(bytes.len());
        let end = length.map_or(bytes.len(), |length| bytes.len().min(begin + length));
        page("200 OK", &bytes[begin..end])
    }
}
