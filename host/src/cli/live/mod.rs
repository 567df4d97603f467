//! `nickeldime live`: a walk through the latent space of a board's model or of a pack, in the terminal.

mod origin;
mod screen;
mod walk;

use std::io::{IsTerminal, stdin, stdout};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::Args;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read};
use nickeldime_core::generator::Sample;

use self::origin::Origin;
use self::screen::LiveScreen;
use self::walk::Walk;
use super::progress::{Bar, stop_on_ctrl_c};
use crate::draw::{NoiseMode, device_noise};
use crate::progress::Progress;

/// The time to wait for a key while the walk stands still.
const STANDING: Duration = Duration::from_millis(500);

/// Walk through the latent space of a board's model, or of a pack, in the terminal.
///
/// Keys: left and right go to another seed, up and down change psi, m mixes two seeds, [ and ] move the layer where they meet,
/// space stands still, q quits.
#[derive(Debug, Args)]
pub struct LiveArgs {
    /// A pack to walk through here, without a board.
    #[arg(required_unless_present = "port", conflicts_with = "port")]
    pub pack: Option<PathBuf>,
    /// The board's port.
    #[arg(long)]
    pub port: Option<String>,
    /// The seed at which the walk begins.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The truncation: 1 leaves images as they are, 0 gives the mean image.
    #[arg(long, default_value_t = 0.7, allow_hyphen_values = true)]
    pub psi: f32,
    /// The number of images from one seed to the next.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub steps: u16,
    /// End after this number of images.
    #[arg(long, value_name = "N")]
    pub images: Option<u64>,
}

/// Walks through latent space until a key ends it.
///
/// # Errors
/// There is no terminal, the board has no model, or the line broke.
pub fn run(args: &LiveArgs, json: bool) -> anyhow::Result<()> {
    ensure!(args.psi.is_finite() && args.psi.abs() < 2.0, "--psi {}: must be above -2 and below 2", args.psi);
    let source = match (&args.port, &args.pack) {
        (Some(port), _) => format!("--port {port}"),
        (None, Some(path)) => path.display().to_string(),
        (None, None) => bail!("name a pack or a port"),
    };
    if !stdout().is_terminal() || !stdin().is_terminal() {
        bail!("this draws in a terminal, and here is none: `nickeldime sample {source} -o grid.png` writes pictures");
    }
    stop_on_ctrl_c();
    let (mut origin, model) = match (&args.port, &args.pack) {
        (None, Some(path)) => Origin::here(path)?,
        (port, _) => Origin::board(port.as_deref().unwrap_or_default())?,
    };
    let noise = NoiseMode::from(model.noise);
    let mut walk = Walk::new(args.seed, args.psi, args.steps, model.resolution);
    let started = Instant::now();
    let mut images = 0u64;
    let mut screen = LiveScreen::open(model.resolution)?;
    let stopped = Bar::new();
    while args.images.is_none_or(|most| images < most) {
        screen.say(&format!("{}  {}  {:.1}/s", model.name, walk, images as f64 / started.elapsed().as_secs_f64()))?;
        let begun = Instant::now();
        let (latent, psi) = (walk.latent(), walk.psi());
        let sample = Sample { latent, psi, noise: device_noise(noise, walk.seed()) };
        let mut failed = None;
        let whole = origin.sample(&sample, &mut |y, pixels| {
            let goes_on =
                screen.row(y, pixels).map_err(anyhow::Error::from).and_then(|()| heed(&mut walk, Duration::ZERO));
            match goes_on {
                Ok(true) if !stopped.stopped() => ControlFlow::Continue(()),
                Ok(_) => ControlFlow::Break(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if !whole? {
            break;
        }
        images += 1;
        // Standing still there is nothing to draw until a key comes.
        let wait = if walk.step() { origin.pause().saturating_sub(begun.elapsed()) } else { STANDING };
        if !heed(&mut walk, wait)? || stopped.stopped() {
            break;
        }
    }
    drop(screen);
    let seconds = started.elapsed().as_secs_f64();
    let report = serde_json::json!({ "port": args.port, "pack": args.pack, "images": images, "seconds": seconds });
    super::print(json, &report, || format!("{images} images in {seconds:.1} s"))
}

/// Handles the keys that were pressed, waiting for a key at most for the given time. Returns false to end the walk.
fn heed(walk: &mut Walk, wait: Duration) -> anyhow::Result<bool> {
    let mut wait = wait;
    while poll(wait)? {
        wait = Duration::ZERO;
        let Event::Key(KeyEvent { code, modifiers, kind, .. }) = read()? else { continue };
        if kind == KeyEventKind::Release {
            continue;
        }
        match code {
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => return Ok(false),
            KeyCode::Char('q') | KeyCode::Esc => return Ok(false),
            KeyCode::Right | KeyCode::Char('n') => walk.go(1),
            KeyCode::Left | KeyCode::Char('p') => walk.go(-1),
            KeyCode::Up | KeyCode::Char('+') => walk.turn(0.1),
            KeyCode::Down | KeyCode::Char('-') => walk.turn(-0.1),
            KeyCode::Char('m') => walk.mix(),
            KeyCode::Char('[') => walk.cut(-1),
            KeyCode::Char(']') => walk.cut(1),
            KeyCode::Char(' ') => walk.stand(),
            _ => {}
        }
    }
    Ok(true)
}
