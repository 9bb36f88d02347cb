//! Finds the members of an object in its text, without parsing their values.

use std::borrow::Cow;

/// A member: its name without escapes, and the texts of both its name, in quotes, and its value.
pub(super) struct Member<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) quoted: &'a str,
    pub(super) value: &'a str,
}

/// The members of `text`, which must be JSON, in order; `None` if it is not an object.
pub(super) fn members(text: &str) -> Option<Vec<Member<'_>>> {
    let mut scan = Scan { text, at: 0 };
    if scan.next_token()? != b'{' {
        return None;
    }
    scan.at += 1;
    let mut members = Vec::new();
    loop {
        match scan.next_token()? {
            b'}' => return Some(members),
            b',' => scan.at += 1,
            b'"' => members.push(scan.member()?),
            _ => return None,
        }
    }
}

/// Whether `text`, which is JSON without blanks around it, is an object.
pub(super) fn is_object(text: &str) -> bool {
    text.starts_with('{')
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// Moves to the next token, and returns its first byte.
    fn next_token(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
        self.at += blank.count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn member(&mut self) -> Option<Member<'a>> {
        let start = self.at;
        self.skip_string()?;
        let quoted = &self.text[start..self.at];
        if self.next_token()? != b':' {
            return None;
        }
        self.at += 1;
        self.next_token()?;
        let start = self.at;
        self.skip_value()?;
        let value = &self.text[start..self.at];
        let name = match quoted.contains('\\') {
            false => Cow::Borrowed(&quoted[1..quoted.len() - 1]),
            true => Cow::Owned(serde_json::from_str(quoted).ok()?),
        };
        Some(Member {
            name,
            quoted,
            value,
        })
    }

    /// Moves past the string at the current position.
    fn skip_string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            self.at += length + 1;
            if rest[length] == b'"' {
                return Some(());
            }
            // The first byte of an escape never ends the string.
            self.at += 1;
        }
    }

    /// Moves past the value at the current position.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.text.as_bytes().get(self.at)? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                _ if depth > 0 => self.at += 1,
                _ => {
                    let rest = &self.text.as_bytes()[self.at..];
                    let ends = |byte: &u8| {
                        byte.is_ascii_whitespace() || matches!(byte, b',' | b'}' | b']')
                    };
                    self.at += rest.iter().position(ends).unwrap_or(rest.len()).max(1);
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}
