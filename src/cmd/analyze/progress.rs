//! How far reading is, on standard error: a bar with bytes and rate on a terminal, a line now and then anywhere else.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use plinth_analyze::image::Blob;
use plinth_analyze::source::Counts;
use plinth_analyze::{engine, source};

use crate::amount::bytes;
use crate::ui::note;

/// Without a terminal: a line at most this often.
const PAUSE: Duration = Duration::from_secs(10);

/// The progress of an analysis.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    layers: AtomicUsize,
    layers_done: AtomicUsize,
    total: AtomicU64,
    read: AtomicU64,
    told: Mutex<Instant>,
    begun: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let begun = Instant::now();
        Self {
            bar,
            layers: AtomicUsize::new(0),
            layers_done: AtomicUsize::new(0),
            total: AtomicU64::new(0),
            read: AtomicU64::new(0),
            told: Mutex::new(begun),
            begun,
        }
    }

    /// Says a line, if the last one is long ago.
    fn line(&self, text: impl FnOnce() -> String) {
        if self.bar.is_some() {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= PAUSE {
            *told = Instant::now();
            note(&text());
        }
    }

    fn state(&self) -> String {
        let read = self.read.load(Ordering::Relaxed);
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        format!(
            "{} of {} layers, {} of {}, {}/s",
            self.layers_done.load(Ordering::Relaxed),
            self.layers.load(Ordering::Relaxed),
            bytes(read),
            bytes(self.total.load(Ordering::Relaxed)),
            bytes((read as f64 / seconds) as u64)
        )
    }

    /// Takes the bar away, and says what was read: of what was done, some layers were given up or couldn't be read.
    pub(super) fn finish(&self, outcome: &engine::Outcome) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let layers = self.layers.load(Ordering::Relaxed);
        let engine::Outcome { read, known, .. } = outcome;
        let seconds = self.begun.elapsed().as_secs_f64();
        note(&format!(
            "read {read} of {layers} layers, {} in {seconds:.1} s; {known} were known",
            bytes(self.read.load(Ordering::Relaxed))
        ));
    }
}

impl source::Progress for Progress {
    fn found(&self, counts: Counts) {
        let text = || format!("manifests: {} of {} names", counts.names_read, counts.names);
        match &self.bar {
            Some(bar) => bar.set_message(text()),
            None => self.line(text),
        }
    }

    fn waiting(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => self.line(|| what.to_owned()),
        }
    }
}

impl engine::Progress for Progress {
    fn start(&self, layers: usize, bytes: u64) {
        self.layers.store(layers, Ordering::Relaxed);
        self.total.store(bytes, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.set_length(bytes);
            let template =
                "{wide_bar} {decimal_bytes} of {decimal_total_bytes}  {decimal_bytes_per_sec}  {eta}  {msg}";
            // The template is a constant; if it were wrong, the spinner would do.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
        }
    }

    fn bytes(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
        match &self.bar {
            Some(bar) => bar.inc(bytes),
            None => self.line(|| self.state()),
        }
    }

    fn layer(&self, blob: &Blob, known: bool) {
        let done = 1 + self.layers_done.fetch_add(1, Ordering::Relaxed);
        if known {
            self.total.fetch_sub(blob.size, Ordering::Relaxed);
        }
        if let Some(bar) = &self.bar {
            if known {
                bar.inc(blob.size);
            }
            bar.set_message(format!("{done} of {} layers", self.layers.load(Ordering::Relaxed)));
        }
    }
}
