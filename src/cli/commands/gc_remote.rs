//! What `modver gc --remote` shows.

use std::io::{self, Write};

use crate::cli::exit::Exit;
use crate::cli::ui::{Colour, Render, Style, human};
use crate::remote::{Marked, Swept, Waiting};
use crate::repo::RemoteGcOutcome;
use crate::time;

/// A clone may have been brought up to date a day ago: younger claims may be of commits that it does not have.
const SAFE_DAYS: u32 = 2;

impl Render for RemoteGcOutcome {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        let collection = &self.collection;
        let mut said = false;
        let Swept {
            roots, packs, bytes, ..
        } = collection.swept;
        if roots + packs + collection.swept.shards + collection.swept.claims > 0 {
            let verb = if self.dry_run { "would delete" } else { "deleted" };
            writeln!(
                out,
                "{verb} {}: {}, {}",
                human::bytes(bytes),
                human::count(roots, "version", "versions"),
                human::count(packs, "pack", "packs"),
            )?;
            said = true;
        }
        for waiting in &collection.waiting {
            writeln!(out, "{}", told(waiting))?;
            said = true;
        }
        let marked = &collection.marked;
        if has_found(marked) {
            let verb = if self.dry_run { "would mark" } else { "marked" };
            writeln!(
                out,
                "{verb} {}: {} that nothing needs, {}",
                human::bytes(marked.bytes),
                human::count(marked.roots, "version", "versions"),
                human::count(marked.packs, "pack", "packs"),
            )?;
            said = true;
        }
        if marked.repacked > 0 {
            let verb = if self.dry_run { "would move" } else { "moved" };
            writeln!(
                out,
                "{verb} {} that are needed out of {} that are mostly not",
                human::bytes(marked.repacked_bytes),
                human::count(marked.repacked, "pack", "packs"),
            )?;
        }
        if !said {
            writeln!(out, "nothing to remove on `{}`", self.remote)?;
        }
        Ok(())
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let hint = style.paint(Colour::Hint, "hint:");
        if self.claim_days < SAFE_DAYS {
            writeln!(
                out,
                "{} what was pushed since the last git fetch is taken back too with --claims-older-than {}: only while nobody else pushes",
                style.paint(Colour::Hint, "warning:"),
                self.claim_days
            )?;
        }
        let marked = &self.collection.marked;
        for keeping in marked.keeping.iter().filter(|keeping| keeping.roots > 0) {
            let whose = if keeping.repository == self.repository {
                "pushed within --claims-older-than days, or together with what is needed".to_owned()
            } else {
                format!("claimed by {} ({})", keeping.repository, keeping.id)
            };
            writeln!(
                out,
                "kept: {} that no commit in scope names: {whose}",
                human::count(keeping.roots, "version", "versions")
            )?;
        }
        if marked.unclaimed_roots > 0 {
            writeln!(
                out,
                "{}: {} that no repository ever claimed{}",
                if self.dry_run { "found" } else { "there are" },
                human::count(marked.unclaimed_roots, "version", "versions"),
                if marked.roots == 0 {
                    "; they stay without --unclaimed"
                } else {
                    ""
                },
            )?;
        }
        if marked.unreadable_listing {
            writeln!(
                out,
                "packs stay as they are: a directory's listing cannot be had\n{hint} modver verify --remote={} --deep",
                self.remote
            )?;
        }
        if self.dry_run {
            let swept = &self.collection.swept;
            if has_found(marked) || swept.packs + swept.roots + swept.shards > 0 {
                writeln!(out, "{hint} the same with --yes does it")?;
            }
        } else if has_found(marked) {
            writeln!(
                out,
                "it is deleted by the first gc --remote {} --yes after the grace period; until then a push takes it back",
                self.remote
            )?;
        }
        if let Some(waiting) = self.collection.waiting.iter().find(|waiting| waiting.writer.is_some()) {
            let (holder, since) = waiting
                .writer
                .as_ref()
                .map_or(("", 0), |(holder, since)| (holder, *since));
            writeln!(
                out,
                "a push of {holder} that began at {} UTC has not ended: what it may need stays\n{hint} when it is dead: --leases-older-than DAYS",
                time::utc(since)
            )?;
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        Exit::Ok
    }
}

fn has_found(marked: &Marked) -> bool {
    marked.roots + marked.packs + marked.shards > 0
}

fn told(waiting: &Waiting) -> String {
    let bytes = human::bytes(waiting.bytes);
    match waiting.ripe {
        Some(ripe) => format!(
            "{bytes} marked by {} can be deleted from {} UTC on",
            waiting.marked_by,
            time::utc(ripe)
        ),
        None => format!("{bytes} marked by {} wait for a push to end", waiting.marked_by),
    }
}
