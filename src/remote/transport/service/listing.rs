//! Lists what is below a directory where a service lists one directory at a time.

use std::sync::Arc;

use opendal::{Entry, ErrorKind, Operator};
use tokio::task::JoinSet;

use super::super::check_key;
use super::http::Call;

/// Directories that are asked at the same time.
const AT_ONCE: usize = 8;
/// Directories below this depth are not listed; a store is three levels deep.
const MAX_DEPTH: usize = 16;

/// Everything whose path starts with `prefix`, in no order. A directory that does not exist is empty.
pub(super) async fn walk(operator: &Operator, prefix: &str, call: &Call) -> opendal::Result<Vec<Entry>> {
    let base = prefix.rfind('/').map_or("/", |end| &prefix[..=end]);
    let mut todo = vec![base.to_owned()];
    let mut running = JoinSet::new();
    let mut found = Vec::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(dir) = todo.pop()
        {
            let operator = operator.clone();
            // What becomes known of one request must not be taken for another's.
            let part = Arc::new(Call::default());
            running.spawn(async move {
                let listed = Arc::clone(&part).scope(operator.list(&dir)).await;
                (dir, part, listed)
            });
        }
        let Some(done) = running.join_next().await else {
            return Ok(found);
        };
        let (dir, part, listed) = done
            .map_err(|error| opendal::Error::new(ErrorKind::Unexpected, "a listing was stopped").set_source(error))?;
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                call.adopt(&part);
                return Err(error);
            }
        };
        for entry in entries {
            let path = entry.path();
            let below = dir == "/" || (path.starts_with(&dir) && path.len() > dir.len());
            if entry.metadata().is_dir() {
                let name = path.trim_end_matches('/');
                let leads = path.starts_with(prefix) || prefix.starts_with(path);
                if below && leads && check_key(name) && path.matches('/').count() <= MAX_DEPTH {
                    todo.push(path.to_owned());
                }
            } else if path.starts_with(prefix) {
                found.push(entry);
            }
        }
    }
}
