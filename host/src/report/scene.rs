//! A drawing of a few kinds of marks, and its SVG. Colours are roles, so that a page can be dark or light.

use std::fmt::Write;

/// What a mark's colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Text and axes.
    Ink,
    /// Less important text.
    Muted,
    /// Lines behind the data.
    Grid,
    /// The line of an equilibrium.
    Goal,
    /// The n-th series; colours repeat after [`COLOURS`].
    Series(usize),
}

/// Colours of series: distinct to colour-blind eyes (Okabe and Ito), light page and dark page.
const SERIES: [(&str, &str); 6] = [
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#ff8a3d"),
    ("#00795a", "#2bc99a"),
    ("#a4508b", "#e29ac8"),
    ("#8a6d00", "#e8c547"),
    ("#555b66", "#b3bac6"),
];
/// How many series have a colour of their own.
pub const COLOURS: usize = SERIES.len();

impl Role {
    /// The class in SVG and CSS.
    fn class(self) -> String {
        match self {
            Self::Ink => "ink".into(),
            Self::Muted => "muted".into(),
            Self::Grid => "grid".into(),
            Self::Goal => "goal".into(),
            Self::Series(n) => format!("s{}", n % COLOURS),
        }
    }

    /// The colour on a light page, `#rrggbb`.
    pub fn light(self) -> &'static str {
        match self {
            Self::Ink => "#1c2128",
            Self::Muted => "#5d6673",
            Self::Grid => "#e3e6ea",
            Self::Goal => "#8b939e",
            Self::Series(n) => SERIES[n % COLOURS].0,
        }
    }

    /// The colour on a dark page.
    fn dark(self) -> &'static str {
        match self {
            Self::Ink => "#e6e9ee",
            Self::Muted => "#9aa4b2",
            Self::Grid => "#2b323c",
            Self::Goal => "#7d8794",
            Self::Series(n) => SERIES[n % COLOURS].1,
        }
    }
}

/// CSS that gives every role its colour, by the reader's preference.
pub fn colours_css() -> String {
    let roles = || {
        let fixed = [Role::Ink, Role::Muted, Role::Grid, Role::Goal];
        fixed.into_iter().chain((0..COLOURS).map(Role::Series))
    };
    let variables = |colour: fn(Role) -> &'static str| -> String {
        roles().map(|role| format!("--{}:{};", role.class(), colour(role))).collect()
    };
    let mut css = format!(":root{{{}}}\n", variables(Role::light));
    let _ = writeln!(css, "@media (prefers-color-scheme: dark){{:root{{{}}}}}", variables(Role::dark));
    for class in roles().map(Role::class) {
        let _ = writeln!(css, ".l.{class}{{stroke:var(--{class})}} .f.{class}{{fill:var(--{class})}}");
    }
    css + ".l{fill:none;stroke-linejoin:round;stroke-linecap:round}\n"
}

/// Which end of a text is at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The left one.
    Start,
    /// The middle.
    Middle,
    /// The right one.
    End,
}

/// The dashes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dash {
    /// None: solid.
    Solid,
    /// Long ones.
    Dashed,
    /// Short ones.
    Dotted,
}

impl Dash {
    /// The n-th; they repeat.
    pub fn nth(n: usize) -> Self {
        [Self::Solid, Self::Dashed, Self::Dotted][n % 3]
    }

    /// Lengths of dash and gap.
    pub fn lengths(self) -> Option<[f32; 2]> {
        match self {
            Self::Solid => None,
            Self::Dashed => Some([6.0, 4.0]),
            Self::Dotted => Some([1.5, 4.0]),
        }
    }
}

/// A point, in units of the drawing, from the top left.
pub type Point = (f32, f32);

/// One mark.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A line through points.
    Line {
        /// In order.
        points: Vec<Point>,
        /// Its colour.
        role: Role,
        /// Its width.
        width: f32,
        /// Its dashes.
        dash: Dash,
    },
    /// Dots.
    Dots {
        /// Their centres.
        points: Vec<Point>,
        /// Their colour.
        role: Role,
        /// Their radius.
        radius: f32,
        /// In [0, 1]; 1 is solid.
        opacity: f32,
    },
    /// A line of text.
    Text {
        /// Where its anchor and baseline are.
        at: Point,
        /// What it says.
        text: String,
        /// Its colour.
        role: Role,
        /// The font's size.
        size: f32,
        /// Which end is there.
        anchor: Anchor,
        /// Whether it reads from below to above.
        upright: bool,
    },
}

/// A drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Units from left to right.
    pub width: f32,
    /// Units from top to bottom.
    pub height: f32,
    /// What it shows, in words.
    pub title: String,
    /// From back to front.
    pub marks: Vec<Mark>,
}

impl Scene {
    /// An SVG element that takes its colours from [`colours_css`] around it.
    pub fn svg(&self) -> String {
        self.element("", "")
    }

    /// An SVG file.
    pub fn svg_file(&self) -> String {
        let style = format!(
            "<style>{}\n.page{{fill:#fff}}\n@media (prefers-color-scheme: dark){{.page{{fill:#14181d}}}}</style><rect class=\"page\" width=\"100%\" height=\"100%\"/>",
            colours_css()
        );
        self.element(" xmlns=\"http://www.w3.org/2000/svg\"", &style)
    }

    fn element(&self, attributes: &str, front: &str) -> String {
        let (w, h) = (self.width, self.height);
        let title = escape(&self.title);
        let mut out = format!(
            "<svg{attributes} viewBox=\"0 0 {w} {h}\" role=\"img\" aria-label=\"{title}\" \
             font-family=\"system-ui,'Segoe UI',Roboto,'DejaVu Sans',sans-serif\">{front}"
        );
        for mark in &self.marks {
            mark.write(&mut out);
        }
        out + "</svg>"
    }
}

impl Mark {
    fn write(&self, out: &mut String) {
        // Writing into a string does not fail.
        let _ = match self {
            Self::Line { points, role, width, dash } => {
                let dashes = dash.lengths().map(|[a, b]| format!(" stroke-dasharray=\"{a} {b}\"")).unwrap_or_default();
                let points = path(points);
                let class = role.class();
                write!(out, "<path class=\"l {class}\" stroke-width=\"{width}\"{dashes} d=\"{points}\"/>")
            }
            Self::Dots { points, role, radius, opacity } => {
                // Lines of no length with round ends: a tenth of the bytes of as many circles.
                let dots: String = points.iter().map(|&(x, y)| format!("M{x:.1} {y:.1}h0")).collect();
                let (class, width) = (role.class(), 2.0 * radius);
                write!(out, "<path class=\"l {class}\" stroke-width=\"{width}\" opacity=\"{opacity}\" d=\"{dots}\"/>")
            }
            Self::Text { at: (x, y), text, role, size, anchor, upright } => {
                let anchor = ["start", "middle", "end"][*anchor as usize];
                let turn = if *upright { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
                let (class, text) = (role.class(), escape(text));
                write!(
                    out,
                    "<text class=\"f {class}\" x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\"{turn}>{text}</text>"
                )
            }
        };
    }
}

fn path(points: &[Point]) -> String {
    let step = |(n, &(x, y)): (usize, &Point)| format!("{}{x:.1} {y:.1}", if n == 0 { 'M' } else { 'L' });
    points.iter().enumerate().map(step).collect()
}

/// Text as it may stand in HTML and SVG, in elements and attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_the_page() {
        let name = "<script>\"&\n".to_string();
        let at = (1.0, 2.0);
        let text =
            Mark::Text { at, text: name.clone(), role: Role::Ink, size: 9.0, anchor: Anchor::End, upright: false };
        let scene = Scene { width: 10.0, height: 5.0, title: name, marks: vec![text] };
        let svg = scene.svg();
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;&quot;&amp; </text>"), "{svg}");
    }
}
