//! Progress on a terminal: a bar with rate and remaining time, or plain lines if standard error is not a terminal.

use std::{
    io::{IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::Progress;

/// The time between two plain progress lines.
const EVERY: Duration = Duration::from_secs(5);

/// True after Ctrl-C. A second Ctrl-C ends the process at once.
static STOP: AtomicBool = AtomicBool::new(false);

/// Makes Ctrl-C ask long work to stop at its next safe point.
pub fn stop_on_ctrl_c() {
    // This fails only if a handler is set already, which is then this one.
    let _ = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        say(format_args!("\nstopping at the next safe point (Ctrl-C again: at once)"));
    });
}

/// Prints a line on standard error. Errors of printing are ignored.
pub fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Progress on standard error.
pub struct Bar {
    bar: Option<ProgressBar>,
    what: String,
    unit: String,
    total: u64,
    first: Option<u64>,
    started: Instant,
    spoken: Instant,
    plain: bool,
    /// The group of bars that are shown at the same time, and the number of this bar.
    among: Option<(MultiProgress, String)>,
}

impl Bar {
    /// A progress bar on a terminal, and plain lines elsewhere.
    pub fn new() -> Self {
        Self {
            bar: None,
            what: String::new(),
            unit: String::new(),
            total: 0,
            first: None,
            started: Instant::now(),
            spoken: Instant::now(),
            plain: !std::io::stderr().is_terminal(),
            among: None,
        }
    }

    /// One of several bars that are shown at the same time, labelled `name`.
    pub fn among(bars: &MultiProgress, name: &str) -> Self {
        Self { among: Some((bars.clone(), name.into())), ..Self::new() }
    }

    /// The label of the bar in plain lines.
    fn name(&self) -> String {
        self.among.as_ref().map_or_else(String::new, |(_, name)| format!("{name}: "))
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Bar {
    fn begin(&mut self, what: &str, unit: &str, total: u64) {
        self.end();
        (self.what, self.unit, self.total) = (what.into(), unit.into(), total);
        (self.first, self.started, self.spoken) = (None, Instant::now(), Instant::now());
        if self.plain {
            say(format_args!("{}{what}: {total} {unit}", self.name()));
            return;
        }
        let style = ProgressStyle::with_template(&format!(
            "{{prefix:>18}} [{{bar:30}}] {{pos}}/{{len}} {unit} {{per_sec}} ETA {{eta}} {{msg}}"
        ));
        let bar = match &self.among {
            None => ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()),
            Some((bars, _)) => bars.add(ProgressBar::new(total)),
        };
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(self.among.as_ref().map_or_else(|| self.what.clone(), |(_, name)| name.clone()));
        self.bar = Some(bar);
    }

    fn at(&mut self, done: u64, note: &str) {
        if let Some(bar) = &self.bar {
            if self.first.is_none() {
                // Work done before this process does not count towards its rate.
                self.first = Some(done);
                bar.set_position(done);
                bar.reset_eta();
            }
            bar.set_position(done);
            bar.set_message(note.to_string());
            return;
        }
        let first = *self.first.get_or_insert(done);
        if !self.plain || self.spoken.elapsed() < EVERY {
            return;
        }
        self.spoken = Instant::now();
        let rate = (done - first.min(done)) as f64 / self.started.elapsed().as_secs_f64();
        let left = self.total.saturating_sub(done) as f64 / rate.max(1e-9);
        let eta = HumanDuration(Duration::from_secs_f64(left.min(1e9)));
        let (name, total, unit) = (self.name(), self.total, &self.unit);
        say(format_args!("  {name}{done}/{total} {unit} {rate:.1}/s ETA {eta:#} {note}"));
    }

    fn end(&mut self) {
        match self.bar.take() {
            Some(bar) => bar.finish(),
            None if self.plain && !self.what.is_empty() => {
                say(format_args!("  {}{}: {:.1} s", self.name(), self.what, self.started.elapsed().as_secs_f64()));
            }
            None => {}
        }
        self.what.clear();
    }

    fn stopped(&self) -> bool {
        STOP.load(Ordering::Relaxed)
    }
}
