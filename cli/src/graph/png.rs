//! The picture as PNG: the SVG, drawn by resvg with the typeface in `cli/fonts`, whatever the machine has.

use png::{BitDepth, ColorType, Encoder, EncodingError, Filter};
use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{Options, Tree},
};

use super::GraphError;

/// Pixels of the PNG for one of the SVG: sharp on a dense screen, and where a document makes it larger.
const SCALE: f32 = 2.0;

/// The typeface; its letters are as wide as [`super::text`] reckons.
const FAMILY: &str = "Arimo";
const REGULAR: &[u8] = include_bytes!("../../fonts/Arimo-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../../fonts/Arimo-Bold.ttf");

/// Turns an SVG of [`super::svg`] into the bytes of a PNG file.
///
/// # Errors
/// When it has no size that a PNG can have.
pub(super) fn draw(svg: &str) -> Result<Vec<u8>, GraphError> {
    encode(pixels(&tree(svg)?)?).map_err(|error| GraphError::NoPixels(error.to_string()))
}

/// Without a filter before the compression: areas of one colour are the better and the sooner compressed.
fn encode(pixels: Pixmap) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, pixels.width(), pixels.height());
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_filter(Filter::NoFilter);
    encoder
        .write_header()?
        .write_image_data(&pixels.take_demultiplied())?;
    Ok(bytes)
}

fn pixels(tree: &Tree) -> Result<Pixmap, GraphError> {
    let size = tree.size().to_int_size().scale_by(SCALE);
    let pixels = size.and_then(|size| Pixmap::new(size.width(), size.height()));
    let mut pixels = pixels.ok_or_else(|| {
        let (width, height) = (tree.size().width(), tree.size().height());
        GraphError::NoPixels(format!("{width} × {height} is too large"))
    })?;
    let scale = Transform::from_scale(SCALE, SCALE);
    resvg::render(tree, scale, &mut pixels.as_mut());
    Ok(pixels)
}

fn tree(svg: &str) -> Result<Tree, GraphError> {
    let mut options = Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_font_data(REGULAR.to_vec());
    fonts.load_font_data(BOLD.to_vec());
    // The last of the families that the SVG asks for.
    fonts.set_sans_serif_family(FAMILY);
    Tree::from_str(svg, &options).map_err(|error| GraphError::NoPixels(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{self, Theme, text};
    use resvg::usvg::{Group, Node, Text};
    use serde_json::Value;

    const SMALL: &str = r#"{ "StartAt": "Done", "States": { "Done": { "Type": "Succeed" } } }"#;

    fn svg(definition: &str, theme: Theme) -> String {
        let definition: Value = serde_json::from_str(definition).expect("JSON");
        graph::svg(&definition, None, theme).expect("it can be drawn")
    }

    fn texts<'a>(group: &'a Group, found: &mut Vec<&'a Text>) {
        for node in group.children() {
            match node {
                Node::Group(group) => texts(group, found),
                Node::Text(text) => found.push(text),
                _ => {}
            }
        }
    }

    #[test]
    fn every_text_is_drawn_without_a_font_of_the_machine_and_as_wide_as_laid_out() {
        let svg = svg(simulator::cloud::RECOVERY, Theme::Auto);
        let tree = tree(&svg).expect("an SVG");
        let mut found = vec![];
        texts(tree.root(), &mut found);
        // A text without a font to draw it in is left out.
        assert_eq!(found.len(), svg.matches("<text").count());
        for drawn in found {
            let span = &drawn.chunks()[0].spans()[0];
            let (said, size) = (drawn.chunks()[0].text(), span.font_size().get().into());
            let room = if span.font().weight() > 400 {
                text::bold_width(said, size)
            } else {
                text::width(said, size)
            };
            // The margins of a box are far more than the 4 % that a bold name may be wider.
            let width = f64::from(drawn.bounding_box().width());
            assert!(
                width > 0.0 && width < room * 1.04 + 1.0,
                "{said}: {width} > {room}"
            );
        }
    }

    #[test]
    fn a_png_has_twice_the_size_and_is_light_or_dark_as_asked() {
        for (theme, page) in [
            (Theme::Auto, [0xff, 0xff, 0xff, 0xff]),
            (Theme::Light, [0xff, 0xff, 0xff, 0xff]),
            (Theme::Dark, [0x0f, 0x14, 0x1a, 0xff]),
        ] {
            let svg = svg(SMALL, theme);
            let drawn = tree(&svg).and_then(|tree| pixels(&tree));
            let pixels = drawn.expect("it can be drawn");
            let wide = format!(r#"width="{}""#, pixels.width() / 2);
            assert!(svg.contains(&wide), "{wide}");
            let pixel = pixels.pixel(40, 40).expect("it is on the page");
            let pixel = [pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()];
            assert_eq!(pixel, page, "{theme:?}");
        }
    }
}
