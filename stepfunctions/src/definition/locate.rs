//! Where in a JSON text a value stands.

use super::error::join;
use std::collections::BTreeMap;

/// The line of each value, by JSON pointer, and the members that stand twice in their object. The text is known to be
/// valid JSON.
#[derive(Debug, Default)]
pub(crate) struct Places {
    lines: BTreeMap<String, usize>,
    pub(crate) duplicates: Vec<(String, usize)>,
}

impl Places {
    pub(crate) fn of(text: &str) -> Self {
        let mut scanner = Scanner {
            bytes: text.as_bytes(),
            at: 0,
            line: 1,
            places: Self::default(),
        };
        scanner.value(String::new());
        scanner.places
    }

    /// The line of the value, or of the nearest value around it.
    pub(crate) fn line(&self, pointer: &str) -> usize {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.lines.get(pointer) {
                return *line;
            }
            match pointer.rfind('/') {
                Some(end) => pointer = &pointer[..end],
                None => return 1,
            }
        }
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    places: Places,
}

impl Scanner<'_> {
    fn peek(&mut self) -> u8 {
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'\n' => self.line += 1,
                byte if !byte.is_ascii_whitespace() => return *byte,
                _ => {}
            }
            self.at += 1;
        }
        0
    }

    fn value(&mut self, pointer: String) {
        let first = self.peek();
        self.places
            .lines
            .entry(pointer.clone())
            .or_insert(self.line);
        match first {
            b'{' => self.members(b'}', |scanner, _| {
                let name = scanner.string();
                let pointer = join(&pointer, &name);
                // The line of a member is the line of its name.
                let line = scanner.line;
                if scanner.places.lines.insert(pointer.clone(), line).is_some() {
                    scanner.places.duplicates.push((pointer.clone(), line));
                }
                scanner.peek();
                scanner.at += 1;
                scanner.value(pointer);
            }),
            b'[' => self.members(b']', |scanner, index| {
                scanner.value(join(&pointer, &index.to_string()));
            }),
            b'"' => drop(self.string()),
            _ => {
                while let Some(byte) = self.bytes.get(self.at) {
                    if b",]}".contains(byte) || byte.is_ascii_whitespace() {
                        break;
                    }
                    self.at += 1;
                }
            }
        }
    }

    fn members(&mut self, end: u8, mut member: impl FnMut(&mut Self, usize)) {
        self.at += 1;
        let mut index = 0;
        loop {
            match self.peek() {
                0 => return,
                byte if byte == end => {
                    self.at += 1;
                    return;
                }
                b',' => self.at += 1,
                _ => {
                    member(self, index);
                    index += 1;
                }
            }
        }
    }

    fn string(&mut self) -> String {
        self.peek();
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => break,
                _ => {}
            }
        }
        serde_json::from_slice(&self.bytes[start..self.at.min(self.bytes.len())])
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_line_and_a_member_twice_is_told() {
        let text = "{\n \"a\": [1,\n  {\"b/c\": \"x\\\"\"}],\n \"d\": 1, \"d\": 2\n}";
        let places = Places::of(text);
        assert_eq!(places.line("/a"), 2);
        assert_eq!(places.line("/a/0"), 2);
        assert_eq!(places.line("/a/1/b~1c"), 3);
        assert_eq!(places.line("/a/1/missing/deeper"), 3);
        assert_eq!(places.duplicates, [("/d".to_owned(), 4)]);
    }
}
