//! Content of other places: other repositories and plain URLs.
//!
//! Whatever it is there (an output, a part of one, files that git keeps, a file behind a URL), here it becomes a node of
//! a tree whose content is in a cache: then getting is a checkout of it, importing is a pointer to it, and pulling an
//! import again is a comparison of ids. Content is verified as it is on its way from a remote; what another place says
//! is never believed beyond that.
//!
//! Another repository on this machine is asked for content in its own cache first. Otherwise its remotes are used, as
//! its `mv.toml` of that revision names them; credentials come from the user's own settings and environment.

mod copy;
mod desk;
mod fallback;
mod files;
mod list;
pub(super) mod place;
mod repository;
mod scratch;
mod url;

pub(super) use desk::Desk;
pub(super) use list::repository_around;
pub use list::{SourceListing, SourceRequest, ls_source};
pub(super) use place::NamedBy;
pub(super) use repository::SourceRepository;
pub(super) use url::{Fetched, UrlSource, remember};

use std::path::Path;

use super::{RepoError, Result};
use crate::config::url_has_credentials;
use crate::path::RepoPath;
use crate::remote::transport::shown_url;

/// An error about another place, with the place.
pub(super) fn of_source(url: &str) -> impl FnOnce(RepoError) -> RepoError + '_ {
    move |source| match source {
        RepoError::Source { .. } | RepoError::Interrupted(_) => source,
        source => RepoError::Source {
            url: shown(url),
            source: Box::new(source),
        },
    }
}

/// A URL or path for people.
pub(super) fn shown(url: &str) -> String {
    if url.contains("://") {
        shown_url(url)
    } else {
        url.to_owned()
    }
}

/// Refuses a URL with credentials: it would be kept in files, and other programs show it.
pub(super) fn without_credentials(url: &str) -> Result<()> {
    if url_has_credentials(url) {
        return Err(RepoError::CredentialsInUrl { url: shown(url) });
    }
    Ok(())
}

/// What the user typed as a path in another repository.
pub(super) fn path_inside(typed: &Path) -> Result<RepoPath> {
    let top = Path::new("/");
    Ok(RepoPath::from_user(typed, top, top)?)
}

/// What a path in a repository is called: its last name.
pub(super) fn last_name(path: &RepoPath) -> Result<String> {
    path.file_name()
        .and_then(|name| name.as_os().to_str().map(str::to_owned))
        .ok_or_else(|| RepoError::NoName { url: path.to_string() })
}
