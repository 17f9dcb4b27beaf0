//! Progress on standard error: a bar on a terminal, a line per event anywhere else.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of one command.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    said: Arc<Mutex<Option<(String, Instant)>>>,
}

/// Without a terminal, a phase that takes longer says so that often.
const PAUSE: Duration = Duration::from_secs(10);

impl Progress {
    /// A progress display that does not know yet how much there is to do.
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            // The template is a constant; if it were wrong, the default style would do.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {elapsed} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, said: Arc::default() }
    }

    /// More builds to come.
    pub(crate) fn expect(&self, more: usize) {
        if let Some(bar) = &self.bar {
            bar.inc_length(more as u64);
        }
    }

    /// What is going on right now; shown on a terminal only.
    pub(crate) fn now(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
        }
    }

    /// A phase of long work, and how far it is. Without a terminal, a line for each phase, and further ones at long intervals.
    pub(crate) fn phase(&self, phase: &str, what: &str) {
        let both = [phase, what].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
        if let Some(bar) = &self.bar {
            return bar.set_message(both);
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let line = match &*said {
            Some((last, at)) if last == phase => (at.elapsed() >= PAUSE).then_some(both.as_str()),
            _ => Some(phase),
        };
        if let Some(line) = line {
            note(line);
            *said = Some((phase.to_owned(), Instant::now()));
        }
    }

    /// One build is through.
    pub(crate) fn one_done(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// A line that stays.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(line)),
            None => note(line),
        }
    }

    /// Takes the display away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// One line on standard error. That it can't be written is no reason to stop.
pub(crate) fn note(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}
