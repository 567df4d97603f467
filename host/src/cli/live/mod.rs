//! `nickeldime live`: a walk through a board's latent space, in the terminal.

mod screen;
mod walk;

use std::io::{IsTerminal, stdin, stdout};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::Args;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read};
use nickeldime_core::generator::Sample;

use self::screen::LiveScreen;
use self::walk::Walk;
use super::progress::{Bar, stop_on_ctrl_c};
use crate::draw::{NoiseMode, device_noise};
use crate::progress::Progress;
use nickeldime_link::{Client, LinkError};

/// Walk through a board's latent space in the terminal.
///
/// Keys: left and right go to another seed, up and down change psi, m mixes two seeds, [ and ] move the layer where they meet,
/// space stands still, q quits.
#[derive(Debug, Args)]
pub struct LiveArgs {
    /// The board's port.
    #[arg(long)]
    pub port: String,
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
    if !stdout().is_terminal() || !stdin().is_terminal() {
        bail!(
            "this draws in a terminal, and here is none: `nickeldime sample --port {} -o grid.png` writes pictures",
            args.port
        );
    }
    stop_on_ctrl_c();
    let mut client = Client::open(&args.port)?;
    let Some(model) = client.board().model.clone() else {
        bail!("the board has no model yet: `nickeldime send PACK --port {}` gives it one", args.port);
    };
    let noise = NoiseMode::from(model.noise);
    let mut walk = Walk::new(args.seed, args.psi, args.steps, usize::from(model.resolution));
    let started = Instant::now();
    let mut images = 0u64;
    let mut screen = LiveScreen::open(usize::from(model.resolution))?;
    let stopped = Bar::new();
    while args.images.is_none_or(|most| images < most) {
        screen.say(&format!("{}  {}  {:.1}/s", model.name, walk, images as f64 / started.elapsed().as_secs_f64()))?;
        let (latent, psi) = (walk.latent(), walk.psi());
        let sample = Sample { latent, psi, noise: device_noise(noise, walk.seed()) };
        let mut failed = None;
        let image = client.sample(&sample, &mut |y, rgb| {
            let goes_on =
                screen.row(y, rgb).map_err(anyhow::Error::from).and_then(|()| heed(&mut walk, Duration::ZERO));
            match goes_on {
                Ok(true) if !stopped.stopped() => ControlFlow::Continue(()),
                Ok(_) => ControlFlow::Break(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        match (image, failed) {
            (_, Some(error)) => return Err(error),
            (Err(error), None) if error.link() == Some(&LinkError::Stopped) => break,
            (image, None) => image?,
        };
        images += 1;
        // Standing still there is nothing to draw until a key comes.
        if !walk.step() && !heed(&mut walk, Duration::from_millis(500))? {
            break;
        }
        if stopped.stopped() {
            break;
        }
    }
    drop(screen);
    let seconds = started.elapsed().as_secs_f64();
    let report = serde_json::json!({ "port": args.port, "images": images, "seconds": seconds });
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
