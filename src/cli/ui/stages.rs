//! What stages print while they run: each line behind the name of its stage, and on a terminal a status line for each
//! that is running. On standard error.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Colour, Style};
use crate::pipeline::{Event, StageId, StageResult, Watch};

/// A line that does not end is shown when it has so many bytes.
const MAX_LINE: usize = 64 * 1024;

/// Shows what happens to stages.
pub(crate) struct StageLines {
    quiet: bool,
    style: Style,
    /// On a terminal.
    bars: Option<MultiProgress>,
    running: Mutex<HashMap<StageId, Running>>,
}

#[derive(Default)]
struct Running {
    /// The beginning of a line.
    line: Vec<u8>,
    bar: Option<ProgressBar>,
}

impl StageLines {
    /// `bars`: whether there is a terminal to draw status lines on.
    pub(super) fn new(quiet: bool, bars: bool, style: Style) -> Self {
        Self {
            quiet,
            style,
            bars: bars.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr())),
            running: Mutex::default(),
        }
    }

    fn say(&self, line: &[u8]) {
        if self.quiet {
            return;
        }
        // Nobody to tell if standard error is gone.
        let write = || {
            let mut out = io::stderr().lock();
            let _ = out.write_all(line).and_then(|()| out.write_all(b"\n"));
        };
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    fn prefix(&self, stage: &StageId) -> String {
        format!("{} | ", self.style.paint(Colour::Hint, &stage.to_string()))
    }

    fn print(&self, stage: &StageId, line: &[u8]) {
        if self.quiet {
            return;
        }
        // What rewrites its line, as progress bars do, shows its last state.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let shown = line.rsplit(|&b| b == b'\r').next().unwrap_or_default();
        self.say(&[self.prefix(stage).as_bytes(), shown].concat());
    }
}

impl Watch for StageLines {
    fn event(&self, event: &Event<'_>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Waits { stage, holder } => {
                let holder = if holder.is_empty() { "another process" } else { holder };
                self.say(format!("{}waiting: {holder} runs it", self.prefix(stage)).as_bytes());
            }
            Event::Starts { stage, reasons } => {
                let why: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                let why = if why.is_empty() {
                    String::new()
                } else {
                    format!(": {}", why.join(", "))
                };
                self.say(format!("{}starts{why}", self.prefix(stage)).as_bytes());
                let bar = self.bars.as_ref().map(|bars| {
                    let bar = bars.add(ProgressBar::new_spinner());
                    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                        bar.set_style(style);
                    }
                    bar.set_message(stage.to_string());
                    bar.enable_steady_tick(Duration::from_millis(200));
                    bar
                });
                running.insert((*stage).clone(), Running { line: Vec::new(), bar });
            }
            Event::Prints { stage, bytes } => {
                let state = running.entry((*stage).clone()).or_default();
                state.line.extend_from_slice(bytes);
                let text = std::mem::take(&mut state.line);
                let mut rest = &text[..];
                while let Some(end) = rest.iter().position(|&b| b == b'\n') {
                    self.print(stage, &rest[..end]);
                    rest = &rest[end + 1..];
                }
                state.line = rest.to_vec();
                if state.line.len() > MAX_LINE {
                    let line = std::mem::take(&mut state.line);
                    self.print(stage, &line);
                }
            }
            Event::Ends { outcome } => {
                if let Some(state) = running.remove(&outcome.stage) {
                    if !state.line.is_empty() {
                        self.print(&outcome.stage, &state.line);
                    }
                    if let Some(bar) = state.bar {
                        bar.finish_and_clear();
                    }
                }
                if outcome.result == StageResult::Restored {
                    self.say(format!("{}restored from the cache", self.prefix(&outcome.stage)).as_bytes());
                }
            }
        }
    }
}
