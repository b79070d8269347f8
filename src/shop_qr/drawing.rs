//! Pictures of a code's content, drawn here: nothing is fetched.

use qrcode::render::unicode::Dense1x2;
use qrcode::{Color, EcLevel, QrCode};

/// Light modules around a code, as the QR standard wants them.
const QUIET_ZONE: usize = 4;

/// The content is too long for a code, or the picture is too small for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content does not fit into a QR code of that size")]
pub struct DoesNotFit;

/// A code, ready to be drawn.
pub struct Drawing(QrCode);

impl Drawing {
    /// The code for a content.
    ///
    /// # Errors
    /// When no code can hold it.
    pub fn of(content: &str) -> Result<Self, DoesNotFit> {
        QrCode::with_error_correction_level(content, EcLevel::M).map(Self).map_err(|_| DoesNotFit)
    }

    /// An SVG that prints in any size.
    #[must_use]
    pub fn svg(&self) -> String {
        let side = self.0.width() + 2 * QUIET_ZONE;
        let mut path = String::new();
        for (row, modules) in self.rows().enumerate() {
            let mut column = 0;
            while column < modules.len() {
                let run = modules[column..].iter().take_while(|dark| **dark).count();
                if run > 0 {
                    path += &format!("M{} {}h{run}v1h-{run}z", column + QUIET_ZONE, row + QUIET_ZONE);
                }
                column += run.max(1);
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
             <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>\n"
        )
    }

    /// A PNG of at most `size` by `size` pixels, as large as whole pixels for each
    /// module allow.
    ///
    /// # Errors
    /// When that is less than a pixel for each.
    pub fn png(&self, size: u32) -> Result<Vec<u8>, DoesNotFit> {
        let side = self.0.width() + 2 * QUIET_ZONE;
        let scale = usize::try_from(size).unwrap_or(usize::MAX) / side;
        if scale == 0 {
            return Err(DoesNotFit);
        }
        let pixels = side * scale;
        let stride = pixels.div_ceil(8);
        let mut data = vec![0xff_u8; stride * pixels];
        for (row, modules) in self.rows().enumerate() {
            for column in modules.iter().enumerate().filter(|(_, dark)| **dark).map(|(column, _)| column) {
                for y in (row + QUIET_ZONE) * scale..(row + QUIET_ZONE + 1) * scale {
                    for x in (column + QUIET_ZONE) * scale..(column + QUIET_ZONE + 1) * scale {
                        data[y * stride + x / 8] &= !(0x80 >> (x % 8));
                    }
                }
            }
        }
        let mut png = Vec::new();
        let width = u32::try_from(pixels).map_err(|_| DoesNotFit)?;
        let mut encoder = png::Encoder::new(&mut png, width, width);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let mut writer = encoder.write_header().map_err(|_| DoesNotFit)?;
        writer.write_image_data(&data).map_err(|_| DoesNotFit)?;
        writer.finish().map_err(|_| DoesNotFit)?;
        Ok(png)
    }

    /// For a terminal, dark on light whatever its colours are: two modules in one
    /// character.
    #[must_use]
    pub fn text(&self) -> String {
        // A terminal is dark: what is light in the code is what is written.
        self.0.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build()
    }

    /// Rows of modules, `true` for dark.
    fn rows(&self) -> impl Iterator<Item = Vec<bool>> {
        let (colors, width) = (self.0.to_colors(), self.0.width());
        (0..width).map(move |row| (0..width).map(|column| colors[row * width + column] == Color::Dark).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &str = "https://qr.vipps.no/28/2/01/031/47/1234567?v=1";

    #[test]
    fn the_svg_has_a_quiet_zone_and_all_modules() {
        let drawing = Drawing::of(CONTENT).unwrap();
        let svg = drawing.svg();
        let side = drawing.0.width() + 8;
        assert!(svg.contains(&format!("viewBox=\"0 0 {side} {side}\"")), "{svg}");
        // The upper edge of the first finder pattern.
        assert!(svg.contains("M4 4h7v1h-7z"), "{svg}");
    }

    #[test]
    fn a_png_decodes_to_the_modules() {
        let drawing = Drawing::of(CONTENT).unwrap();
        let png = drawing.png(200).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut data).unwrap();
        let side = drawing.0.width() + 8;
        let scale = 200 / side;
        assert_eq!(usize::try_from(info.width).unwrap(), side * scale);
        let is_dark = |column: usize, row: usize| {
            let (x, y) = (column * scale, row * scale);
            data[y * info.line_size + x / 8] & (0x80 >> (x % 8)) == 0
        };
        for (row, modules) in drawing.rows().enumerate() {
            for (column, dark) in modules.into_iter().enumerate() {
                assert_eq!(is_dark(column + 4, row + 4), dark, "{column} {row}");
            }
        }
        assert!(!is_dark(3, 3));
        assert_eq!(drawing.png(20), Err(DoesNotFit));
    }
}
