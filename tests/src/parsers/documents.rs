//! Documents that nobody thought of: requests put together of what parsers are known to stumble over, each of it rarely
//! enough that a good part of them is accepted.

use fastrand::Rng;

const METHODS: [&str; 6] =
    ["tools/call", "prompts/get", "resources/read", "tools/list", "notifications/cancelled", "initialize"];

const TEXTS: [&str; 24] = [
    "look",
    "drop",
    "",
    " ",
    "a/b",
    "a\\/b",
    "\\u0061",
    "\\u00e9",
    "é",
    "e\u{301}",
    "😀",
    "\\ud83d\\ude00",
    "\\n\\t\\\"",
    "\\u0000",
    "\\ud800",
    "\u{7f}",
    "\u{2028}",
    "\u{feff}",
    "\\u2028",
    "__proto__",
    "sеarch",
    "\u{202e}x",
    "\u{200b}",
    "tools/call",
];

const NUMBERS: [&str; 22] = [
    "0",
    "-0",
    "1",
    "-1",
    "1.0",
    "1e0",
    "1E+2",
    "0.1",
    "1e-7",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "1e308",
    "1e-400",
    "2.2250738585072011e-308",
    "0.30000000000000004",
    "1e400",
    "01",
    "1.",
    "NaN",
];

const SPACES: [&str; 9] = ["", "", "", "", " ", "\n", "\t ", "\r\n", "\u{c}"];

/// One document.
pub fn document(rng: &mut Rng) -> Vec<u8> {
    let method = if one_in(rng, 40) { string(rng) } else { (*pick(rng, &METHODS)).to_owned() };
    let mut members =
        vec![("jsonrpc", quoted("2.0")), ("method", quoted(&method)), ("params", params(rng, &method))];
    if !method.starts_with("notifications/") || one_in(rng, 20) {
        members.push(("id", if rng.bool() { rng.u32(..).to_string() } else { quoted(&string(rng)) }));
    }
    if one_in(rng, 10) {
        members.push(("extra", value(rng, 2)));
    }
    let text = object(rng, members);
    let text = format!("{}{text}{}", space(rng), space(rng));
    damage(rng, text)
}

/// So many documents.
pub fn documents(rng: &mut Rng, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|_| document(rng)).collect()
}

fn params(rng: &mut Rng, method: &str) -> String {
    let mut members = Vec::new();
    if method == "resources/read" || one_in(rng, 10) {
        members.push(("uri", quoted(&format!("file:///{}", string(rng)))));
    }
    if method != "resources/read" || one_in(rng, 10) {
        members.push(("name", if one_in(rng, 50) { value(rng, 1) } else { quoted(&string(rng)) }));
    }
    if rng.bool() {
        members.push(("arguments", if one_in(rng, 20) { value(rng, 1) } else { tree(rng, 3) }));
    }
    if one_in(rng, 3) {
        let meta = vec![
            ("io.modelcontextprotocol/protocolVersion", quoted("2026-07-28")),
            ("io.modelcontextprotocol/clientCapabilities", "{}".to_owned()),
            ("progressToken", value(rng, 0)),
        ];
        let meta = object(rng, meta);
        members.push(("_meta", meta));
    }
    object(rng, members)
}

fn tree(rng: &mut Rng, depth: u32) -> String {
    let count = rng.usize(..4);
    let members: Vec<(String, String)> = (0..count).map(|_| (string(rng), value(rng, depth))).collect();
    object(rng, members.iter().map(|(key, value)| (key.as_str(), value.clone())).collect())
}

fn value(rng: &mut Rng, depth: u32) -> String {
    match rng.u8(..if depth == 0 { 6 } else { 9 }) {
        0 => "null".into(),
        1 => if rng.bool() { "true" } else { "false" }.into(),
        2 => {
            // The last three are no numbers, or not for all.
            let kinds = if one_in(rng, 20) { NUMBERS.len() } else { NUMBERS.len() - 4 };
            NUMBERS[rng.usize(..kinds)].into()
        }
        3 => rng.i64(..).to_string(),
        4 | 5 => quoted(&string(rng)),
        6 => {
            let items: Vec<String> = (0..rng.usize(..4)).map(|_| value(rng, depth - 1)).collect();
            format!("[{}]", items.join(&format!("{},", space(rng))))
        }
        _ => tree(rng, depth - 1),
    }
}

/// Members in any order; rarely one twice, or with another key of the same meaning to somebody.
fn object(rng: &mut Rng, members: Vec<(&str, String)>) -> String {
    let mut written = Vec::new();
    for (key, value) in members {
        if one_in(rng, 60) {
            written.push(format!("{}:{}", quoted(&twin(rng, key)), self::value(rng, 0)));
        }
        let key = if one_in(rng, 25) { escaped(rng, key) } else { key.to_owned() };
        written.push(format!("{}{}{}:{}{value}", space(rng), quoted(&key), space(rng), space(rng)));
    }
    rng.shuffle(&mut written);
    format!("{{{}{}}}", written.join(","), space(rng))
}

fn twin(rng: &mut Rng, key: &str) -> String {
    match rng.u8(..4) {
        0 => key.to_owned(),
        1 => escaped(rng, key),
        2 => key.to_uppercase(),
        _ => key.replacen('s', "ſ", 1).replacen('k', "\u{212a}", 1),
    }
}

/// A letter of it as an escape.
fn escaped(rng: &mut Rng, key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    let at = rng.usize(..letters.len().max(1));
    let spell = |(index, letter): (usize, &char)| {
        if index == at && letter.is_ascii_alphanumeric() {
            format!("\\u{:04x}", u32::from(*letter))
        } else {
            letter.to_string()
        }
    };
    letters.iter().enumerate().map(spell).collect()
}

fn string(rng: &mut Rng) -> String {
    if rng.bool() {
        return TEXTS[rng.usize(..2)].to_owned();
    }
    (0..rng.usize(1..3)).map(|_| *pick(rng, &TEXTS)).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn space(rng: &mut Rng) -> &'static str {
    // A form feed is no white space to JSON, and rare here.
    let kinds = if one_in(rng, 200) { SPACES.len() } else { SPACES.len() - 1 };
    SPACES[rng.usize(..kinds)]
}

/// Mostly none.
fn damage(rng: &mut Rng, text: String) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    match rng.u8(..40) {
        0 => bytes.splice(..0, *b"\xef\xbb\xbf").for_each(drop),
        1 => bytes.extend(*pick(rng, &[&b","[..], b"{}", b"//", b"\0", b" x"])),
        2 => bytes = String::from_utf8_lossy(&bytes).encode_utf16().flat_map(u16::to_le_bytes).collect(),
        3..=8 => {
            let at = rng.usize(..bytes.len());
            match rng.u8(..3) {
                0 => bytes.insert(at, rng.u8(..)),
                1 => drop(bytes.remove(at)),
                _ => bytes[at] = rng.u8(..),
            }
        }
        _ => {}
    }
    bytes
}

fn pick<'a, T>(rng: &mut Rng, list: &'a [T]) -> &'a T {
    &list[rng.usize(..list.len())]
}

fn one_in(rng: &mut Rng, many: u32) -> bool {
    rng.u32(..many) == 0
}
