//! Where the commits of this repository go, as a name that its clones have in common.

use std::path::Path;
use std::time::SystemTime;

use super::GitRepo;
use crate::fs;

impl GitRepo {
    /// The name of the repository that commits are pushed to: `origin`, or else the first remote there is, as host and path,
    /// whatever protocol is spoken; of a path, the path itself. `None` without remotes. There are no credentials in it.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        let name = self.origin_name()?;
        let repo = self.local();
        let config = repo.config_snapshot();
        let value = |key: &str| config.string(format!("remote.{name}.{key}").as_str());
        let url = value("pushurl").or_else(|| value("url"))?;
        Some(common_name(&url.to_string(), self.root()))
    }

    /// The remote that commits are pushed to (see [`origin`](Self::origin)), when `git fetch` does not get all branches of it,
    /// as in a clone of a single branch.
    #[must_use]
    pub fn partly_fetched(&self) -> Option<String> {
        let name = self.origin_name()?;
        let repo = self.local();
        let config = repo.config_snapshot();
        let specs = config.plumbing().strings(format!("remote.{name}.fetch").as_str());
        let specs: Vec<String> = specs.into_iter().flatten().map(|spec| spec.to_string()).collect();
        let is_all = |spec: &String| {
            let source = spec.trim_start_matches('+').split(':').next();
            matches!(source, Some("refs/heads/*" | "refs/*"))
        };
        let all = specs.iter().any(is_all) && !specs.iter().any(|spec| spec.starts_with('^'));
        (!all).then_some(name)
    }

    fn origin_name(&self) -> Option<String> {
        let repo = self.local();
        let names = repo.remote_names();
        match names.iter().any(|name| *name == "origin") {
            true => Some("origin".to_owned()),
            false => names.iter().next().map(ToString::to_string),
        }
    }

    /// When this clone was last brought up to date: the last `git fetch`, or else when it was cloned. `None` without remotes,
    /// or when nothing tells.
    ///
    /// # Errors
    /// When git's directory cannot be read.
    pub fn last_fetched(&self) -> fs::Result<Option<SystemTime>> {
        let repo = self.local();
        let names = repo.remote_names();
        let fetched = [self.git_dir(), self.common_dir()].map(|dir| dir.join("FETCH_HEAD"));
        let cloned = names.iter().map(|name| {
            self.common_dir()
                .join("refs/remotes")
                .join(name.to_string())
                .join("HEAD")
        });
        // Git writes it once.
        let made = self.common_dir().join("description");
        let mut last = None;
        for path in fetched
            .into_iter()
            .chain(cloned)
            .chain([made])
            .filter(|_| !names.is_empty())
        {
            last = last.max(fs::stat(&path)?.map(|stat| stat.modified()));
        }
        Ok(last)
    }

    /// The name and address that commits get here, if they are set.
    #[must_use]
    pub fn committer(&self) -> Option<String> {
        let repo = self.local();
        let who = repo.committer()?.ok()?;
        Some(format!("{} <{}>", who.name, who.email))
    }
}

/// Host and path of a URL as git takes them; a path as the file system has it.
fn common_name(url: &str, root: &Path) -> String {
    let bare = |path: &str| {
        let path = path.trim_matches('/');
        path.strip_suffix(".git")
            .unwrap_or(path)
            .trim_end_matches('/')
            .to_owned()
    };
    if let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| *scheme != "file") {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = host.rsplit('@').next().unwrap_or(host).to_ascii_lowercase();
        let port = match scheme {
            "https" => ":443",
            "http" => ":80",
            "ssh" => ":22",
            "git" => ":9418",
            _ => "",
        };
        let host = host.strip_suffix(port).unwrap_or(&host);
        return format!("{host}/{}", bare(path.split(['?', '#']).next().unwrap_or(path)));
    }
    let path = url.strip_prefix("file://").unwrap_or(url);
    // As git has it: a colon before the first slash is behind a host.
    if let Some((host, path)) = path.split_once(':').filter(|(host, _)| !host.contains('/')) {
        let host = host.rsplit('@').next().unwrap_or(host).to_ascii_lowercase();
        return format!("{host}/{}", bare(path));
    }
    let path = root.join(path);
    let path = fs::canonicalize(&path).unwrap_or(path);
    format!("/{}", bare(&path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repository_has_one_name() {
        let name = |url: &str| common_name(url, Path::new("/nowhere/clone"));
        for url in [
            "https://github.com/acme/fraud.git",
            "https://ann:secret@GitHub.com:443/acme/fraud",
            "https://github.com/acme/fraud/?token=secret",
            "ssh://git@github.com:22/acme/fraud.git",
            "git@github.com:acme/fraud.git",
            "github.com:/acme/fraud/",
            "git://github.com/acme/fraud",
        ] {
            assert_eq!(name(url), "github.com/acme/fraud", "{url}");
        }
        assert_ne!(name("ssh://git@host:2222/a"), name("ssh://git@host/a"));
        assert_eq!(name("../origin.git"), "/nowhere/clone/../origin");
        assert_eq!(name("file:///srv/git/a.git/"), "/srv/git/a");
    }
}
