//! Cuts a passing stream into lines without ever holding more than one, nor a long one.

/// Longer lines are reported and not kept.
pub const MAX_LINE: usize = 4 << 20;

#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Without its newline; `ended` tells whether there was one.
    Whole {
        bytes: &'a [u8],
        ended: bool,
    },
    TooLong,
}

#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
    overflown: bool,
}

impl Lines {
    pub fn feed(&mut self, mut data: &[u8], each: &mut dyn FnMut(Line<'_>)) {
        while let Some(at) = data.iter().position(|b| *b == b'\n') {
            let (head, rest) = data.split_at(at);
            data = &rest[1..];
            if self.overflown || self.partial.len() + head.len() > MAX_LINE {
                each(Line::TooLong);
            } else if self.partial.is_empty() {
                each(Line::Whole { bytes: head, ended: true });
            } else {
                self.partial.extend_from_slice(head);
                each(Line::Whole { bytes: &self.partial, ended: true });
            }
            self.partial.clear();
            self.overflown = false;
        }
        if self.partial.len() + data.len() > MAX_LINE {
            self.overflown = true;
            self.partial = Vec::new();
        } else if !self.overflown {
            self.partial.extend_from_slice(data);
        }
    }

    pub fn finish(&mut self, each: &mut dyn FnMut(Line<'_>)) {
        if self.overflown {
            each(Line::TooLong);
        } else if !self.partial.is_empty() {
            each(Line::Whole { bytes: &self.partial, ended: false });
        }
        *self = Lines::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<String> {
        let mut out = Vec::new();
        let mut lines = Lines::default();
        let mut each = |l: Line<'_>| {
            out.push(match l {
                Line::Whole { bytes, ended } => format!("{}{}", String::from_utf8_lossy(bytes), if ended { "$" } else { "" }),
                Line::TooLong => "LONG".into(),
            });
        };
        for c in chunks {
            lines.feed(c, &mut each);
        }
        lines.finish(&mut each);
        out
    }

    #[test]
    fn lines_survive_any_chunking() {
        assert_eq!(cut(&[b"ab\nc", b"d", b"\n\ne"]), ["ab$", "cd$", "$", "e"]);
        let long = vec![b'x'; MAX_LINE];
        assert_eq!(cut(&[b"a\ny", &long, b"zz", b"\nb\n"]), ["a$", "LONG", "b$"]);
        assert_eq!(cut(&[b"y", &long]), ["LONG"]);
    }
}
