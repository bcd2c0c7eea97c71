//! Plots as SVG.

use anyhow::{Context, anyhow};
use plotters::prelude::*;
use plotters::style::full_palette::GREY_600;

use super::{Part, Rate};

const SIZE: (u32, u32) = (760, 280);
/// Told apart by most eyes, also in grey (M. Okabe, K. Ito, "Color Universal Design", 2008).
const COLOURS: [RGBColor; 3] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115)];

/// Something that was measured at each of some moments, in their order.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) points: Vec<Option<Point>>,
}

/// A value, and between which it lies.
#[derive(Clone, Copy)]
pub(super) struct Point {
    pub(super) value: f64,
    pub(super) ends: Option<(f64, f64)>,
}

impl Series {
    /// A share of every part.
    pub(super) fn of(name: &'static str, parts: &[Part], rate: fn(&Part) -> Rate) -> Self {
        let point = |part: &Part| {
            let rate = rate(part);
            Some(Point { value: rate.ratio?, ends: rate.low.zip(rate.high) })
        };
        Self { name, points: parts.iter().map(point).collect() }
    }
}

/// Lines over moments of these names, from 0 to 1 or as far as the values reach.
pub(super) fn lines(names: &[String], series: &[Series], what: &str) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        drawn(&area, names, series, what).map_err(|error| anyhow!("{error}")).context("drawing")?;
    }
    Ok(svg)
}

fn drawn(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    names: &[String],
    series: &[Series],
    what: &str,
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>> {
    let values = series.iter().flat_map(|it| it.points.iter().flatten());
    let most = values.map(|it| it.ends.map_or(it.value, |ends| ends.1)).fold(1.0, f64::max);
    let last = names.len().saturating_sub(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(52)
        .build_cartesian_2d(-0.5..last + 0.5, 0.0..most * 1.05)?;
    let name = |at: &f64| match names.get(at.round() as usize) {
        Some(name) if (at - at.round()).abs() < 1e-9 => name.clone(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .axis_style(GREY_600)
        .x_labels(names.len().clamp(1, 12))
        .x_label_formatter(&name)
        .y_desc(what)
        .label_style(("sans-serif", 12))
        .draw()?;
    for (index, it) in series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let known = || {
            let placed = it.points.iter().enumerate();
            placed.filter_map(|(place, point)| Some((place as f64, (*point)?)))
        };
        chart
            .draw_series(LineSeries::new(known().map(|(at, it)| (at, it.value)), colour))?
            .label(it.name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 12, y + 4)], colour.filled()));
        chart
            .draw_series(known().map(|(at, it)| Circle::new((at, it.value), 3, colour.filled())))?;
        let ends = known().filter_map(|(at, it)| Some((at, it.ends?)));
        chart.draw_series(
            ends.map(|(at, (low, high))| {
                PathElement::new([(at, low), (at, high)], colour.mix(0.5))
            }),
        )?;
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 12))
        .position(SeriesLabelPosition::LowerRight)
        .draw()?;
    area.present()
}
