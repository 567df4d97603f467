//! A drawing made of lines, dots and texts, and its SVG. A mark names a role instead of a colour, so that the page can
//! be light or dark.

use std::fmt::Write;

/// The role that a mark's colour plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Text and axes.
    Ink,
    /// Less important text.
    Muted,
    /// Lines behind the data.
    Grid,
    /// The horizontal line of a goal or an equilibrium.
    Goal,
    /// The n-th series. Colours repeat after [`COLOURS`] series.
    Series(usize),
}

/// The colours of series on a light page and on a dark page. Colour-blind people can tell them apart (Okabe and Ito).
const SERIES: [(&str, &str); 6] = [
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#ff8a3d"),
    ("#00795a", "#2bc99a"),
    ("#a4508b", "#e29ac8"),
    ("#8a6d00", "#e8c547"),
    ("#555b66", "#b3bac6"),
];
/// The number of different series colours.
pub const COLOURS: usize = SERIES.len();

impl Role {
    /// The name of the role's class in SVG and CSS.
    fn class(self) -> String {
        match self {
            Self::Ink => "ink".into(),
            Self::Muted => "muted".into(),
            Self::Grid => "grid".into(),
            Self::Goal => "goal".into(),
            Self::Series(n) => format!("s{}", n % COLOURS),
        }
    }

    /// The role's colour on a light page, `#rrggbb`.
    pub fn light(self) -> &'static str {
        match self {
            Self::Ink => "#1c2128",
            Self::Muted => "#5d6673",
            Self::Grid => "#e3e6ea",
            Self::Goal => "#8b939e",
            Self::Series(n) => SERIES[n % COLOURS].0,
        }
    }

    /// The role's colour on a dark page, `#rrggbb`.
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

/// CSS that gives every role its colour, light or dark as the reader's system prefers.
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

/// The part of a text that lies at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The left end.
    Start,
    /// The middle.
    Middle,
    /// The right end.
    End,
}

/// The dashes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dash {
    /// A solid line.
    Solid,
    /// Long dashes.
    Dashed,
    /// Short dashes.
    Dotted,
}

impl Dash {
    /// The dashes of the n-th line; they repeat after three.
    pub fn nth(n: usize) -> Self {
        [Self::Solid, Self::Dashed, Self::Dotted][n % 3]
    }

    /// The lengths of a dash and of a gap, in units of the drawing; `None` for a solid line.
    pub fn lengths(self) -> Option<[f32; 2]> {
        match self {
            Self::Solid => None,
            Self::Dashed => Some([6.0, 4.0]),
            Self::Dotted => Some([1.5, 4.0]),
        }
    }
}

/// A point `(x, y)` in units of the drawing, measured from the top left.
pub type Point = (f32, f32);

/// One mark of a drawing.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A line through points.
    Line {
        /// The points, in the order in which the line visits them.
        points: Vec<Point>,
        /// The role that gives the colour.
        role: Role,
        /// The line's width, in units of the drawing.
        width: f32,
        /// Its dashes.
        dash: Dash,
    },
    /// Dots.
    Dots {
        /// The centres of the dots.
        points: Vec<Point>,
        /// The role that gives the dots' colour.
        role: Role,
        /// The dots' radius, in units of the drawing.
        radius: f32,
        /// The opacity, from 0 (invisible) to 1 (solid).
        opacity: f32,
    },
    /// A line of text.
    Text {
        /// The position of the anchor on the baseline.
        at: Point,
        /// The text itself.
        text: String,
        /// The role that gives the colour.
        role: Role,
        /// The font's size, in units of the drawing.
        size: f32,
        /// The part of the text that lies at `at`.
        anchor: Anchor,
        /// True for a text that is turned to read from bottom to top.
        upright: bool,
    },
}

/// A drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// The drawing's width, in units.
    pub width: f32,
    /// The drawing's height, in units.
    pub height: f32,
    /// A description in words, for people who cannot see the drawing.
    pub title: String,
    /// The marks, from back to front.
    pub marks: Vec<Mark>,
}

impl Scene {
    /// The drawing as an SVG element for a page that contains [`colours_css`].
    pub fn svg(&self) -> String {
        self.element("", "")
    }

    /// The drawing as an SVG file that contains its own colours.
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

/// Escapes text for SVG elements and attributes.
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
