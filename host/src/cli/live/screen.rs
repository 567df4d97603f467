//! An image in a terminal: two pixels a character, row by row as they come.

use std::io::{self, Stdout, Write, stdout};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{Color, Colors, Print, ResetColor, SetColors};
use crossterm::terminal::{
    self, Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{execute, queue};

/// A terminal that shows images. Dropping this restores the terminal.
pub struct LiveScreen {
    out: Stdout,
    resolution: usize,
    rgb: Vec<u8>,
    /// The number of columns and lines.
    size: (u16, u16),
    /// True for 24-bit colours, false for the 216 colours of a colour cube.
    full: bool,
}

impl LiveScreen {
    /// Takes over the terminal for images of this size.
    pub fn open(resolution: usize) -> io::Result<Self> {
        let depth = std::env::var("COLORTERM").unwrap_or_default();
        let full = depth == "truecolor" || depth == "24bit" || cfg!(windows);
        let rgb = vec![0; 3 * resolution * resolution];
        terminal::enable_raw_mode()?;
        let mut screen = Self { out: stdout(), resolution, rgb, size: (0, 0), full };
        execute!(screen.out, EnterAlternateScreen, Hide, DisableLineWrap)?;
        Ok(screen)
    }

    /// Writes the line below the image and begins a new image.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        let size = terminal::size()?;
        if size != self.size {
            self.size = size;
            queue!(self.out, Clear(ClearType::All))?;
        }
        let text: String = text.chars().take(usize::from(size.0)).collect();
        queue!(self.out, MoveTo(0, size.1.saturating_sub(1)), ResetColor, Print(text), Clear(ClearType::UntilNewLine))?;
        self.out.flush()
    }

    /// Receives row `y` of the image and draws the lines that are complete with it.
    pub fn row(&mut self, y: usize, pixels: &[u8]) -> io::Result<()> {
        let stride = 3 * self.resolution;
        let Some(place) = self.rgb.get_mut(stride * y..stride * (y + 1)) else { return Ok(()) };
        match pixels.len() == self.resolution {
            true => place.chunks_exact_mut(3).zip(pixels).for_each(|(place, &level)| place.fill(level)),
            false => place.iter_mut().zip(pixels).for_each(|(place, &byte)| *place = byte),
        }
        let side = self.side();
        for line in 0..side / 2 {
            // The last row that this line needs is the one that has come.
            if ((2 * line + 2) * self.resolution).div_ceil(side) == y + 1 {
                self.line(line, side)?;
            }
        }
        self.out.flush()
    }

    /// The width and height of the image in half characters: a whole multiple of the image's size if there is room.
    fn side(&self) -> usize {
        let room = usize::from(self.size.0).min(2 * usize::from(self.size.1.saturating_sub(1))) / 2 * 2;
        if room >= self.resolution { room / self.resolution * self.resolution } else { room }
    }

    fn line(&mut self, line: usize, side: usize) -> io::Result<()> {
        queue!(self.out, MoveTo(0, line as u16))?;
        for x in 0..side {
            let (upper, lower) = (self.pixel(x, 2 * line, side), self.pixel(x, 2 * line + 1, side));
            queue!(self.out, SetColors(Colors::new(upper, lower)), Print('▀'))?;
        }
        queue!(self.out, ResetColor)
    }

    /// The mean of the image's pixels that lie under one pixel of the screen.
    fn pixel(&self, x: usize, y: usize, side: usize) -> Color {
        let range = |at: usize| at * self.resolution / side..((at + 1) * self.resolution).div_ceil(side);
        let (mut sum, mut count) = ([0usize; 3], 0);
        for y in range(y) {
            for x in range(x) {
                let at = 3 * (self.resolution * y + x);
                sum.iter_mut().zip(&self.rgb[at..at + 3]).for_each(|(sum, byte)| *sum += usize::from(*byte));
                count += 1;
            }
        }
        let [r, g, b] = sum.map(|sum| (sum / count.max(1)) as u8);
        match self.full {
            true => Color::Rgb { r, g, b },
            false => {
                let level = |byte: u8| ((u16::from(byte) * 5 + 127) / 255) as u8;
                Color::AnsiValue(16 + 36 * level(r) + 6 * level(g) + level(b))
            }
        }
    }
}

impl Drop for LiveScreen {
    fn drop(&mut self) {
        // Errors are ignored, because nothing can be done when the terminal is gone.
        let _ = execute!(self.out, ResetColor, EnableLineWrap, Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}
