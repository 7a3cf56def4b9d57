//! Documents that parsers read in several ways. The filter refuses all of them.

/// What is ambiguous about it, and the document.
pub type Ambiguous = (String, Vec<u8>);

/// A request with these members.
fn request(members: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,{members}}}"#)
}

/// A call with these parameters.
fn call(params: &str) -> String {
    request(&format!(r#""method":"tools/call","params":{{{params}}}"#))
}

/// A call with these arguments.
fn call_with(arguments: &str) -> String {
    call(&format!(r#""name":"look","arguments":{arguments}"#))
}

/// All of them.
pub fn all() -> Vec<Ambiguous> {
    let mut all = Vec::new();
    duplicates(&mut all);
    twins(&mut all);
    encodings(&mut all);
    halves(&mut all);
    values(&mut all);
    all
}

fn add(all: &mut Vec<Ambiguous>, what: &str, document: impl Into<Vec<u8>>) {
    all.push((what.to_owned(), document.into()));
}

const CALL: &str = r#""method":"tools/call""#;
const LIST: &str = r#""method":"tools/list""#;
const LOOK: &str = r#""params":{"name":"look"}"#;
const DROP: &str = r#""params":{"name":"drop"}"#;

/// Of two members with one key some take the first, most the last, some neither.
fn duplicates(all: &mut Vec<Ambiguous>) {
    let root = |members: [&str; 3]| request(&members.join(","));
    add(all, "method twice, the worse one last", root([LIST, CALL, LOOK]));
    add(all, "method twice, the worse one first", root([CALL, LIST, LOOK]));
    add(all, "method twice, far apart", root([CALL, LOOK, LIST]));
    add(all, "params twice, the worse ones last", root([CALL, LOOK, DROP]));
    add(all, "params twice, the worse ones first", root([CALL, DROP, LOOK]));
    add(all, "params twice, of two kinds", root([CALL, r#""params":null"#, LOOK]));
    add(all, "id twice", root([r#""id":2"#, CALL, LOOK]));
    add(all, "jsonrpc twice", root([r#""jsonrpc":"1.0""#, CALL, LOOK]));
    add(all, "an unknown member twice", root([r#""x":1,"x":2"#, CALL, LOOK]));
    for (what, params) in [
        ("name twice", r#""name":"look","name":"drop""#),
        ("name twice, the worse one first", r#""name":"drop","name":"look""#),
        ("name twice, with something between", r#""name":"look","arguments":{},"name":"drop""#),
        ("name twice, of two kinds", r#""name":"look","name":null"#),
        ("arguments twice", r#""name":"look","arguments":{"all":false},"arguments":{"all":true}"#),
        ("uri twice", r#""uri":"file:///a","uri":"file:///b""#),
        ("an empty key twice", r#""name":"look","":1,"":2"#),
        ("a key of _meta twice", r#""name":"look","_meta":{"progressToken":1,"progressToken":2}"#),
        ("name, and name with an escape", r#""name":"look","n\u0061me":"drop""#),
        ("name with two escapes", r#""\u006eame":"look","nam\u0065":"drop""#),
        ("name in escapes altogether", r#""name":"look","\u006E\u0061\u006D\u0065":"drop""#),
        ("uri with an escape", r#""uri":"file:///a","ur\u0069":"file:///b""#),
        ("a solidus with and without its escape", r#""name":"look","a/b":1,"a\/b":2"#),
    ] {
        add(all, what, call(params));
    }
    for (what, arguments) in [
        ("an argument twice", r#"{"all":false,"all":true}"#),
        ("an argument of an argument twice", r#"{"where":{"team":"a","team":"b"}}"#),
        ("an argument in an array twice", r#"{"where":[{"team":"a","team":"b"}]}"#),
        ("an argument with an escape", r#"{"all":false,"\u0061ll":true}"#),
        ("a key beyond the basic plane, plain and in escapes", r#"{"😀":1,"\ud83d\ude00":2}"#),
        ("__proto__ twice", r#"{"__proto__":{"a":1},"__proto__":{"a":2}}"#),
    ] {
        add(all, what, call_with(arguments));
    }
    add(all, "method with an escape", root([LIST, r#""\u006dethod":"tools/call""#, LOOK]));
    add(all, "params with an escape", root([CALL, LOOK, r#""param\u0073":{"name":"drop"}"#]));
}

/// Some look for the fields of a structure in any case.
fn twins(all: &mut Vec<Ambiguous>) {
    let root = |members: [&str; 3]| request(&members.join(","));
    add(all, "Method behind method", root([LIST, r#""Method":"tools/call""#, LOOK]));
    add(all, "Method alone", root([r#""Method":"tools/call""#, LOOK, r#""x":1"#]));
    add(all, "METHOD behind method, of another kind", root([LIST, LOOK, r#""METHOD":7"#]));
    add(all, "Params behind params", root([CALL, LOOK, r#""Params":{"name":"drop"}"#]));
    add(all, "params with a long s", root([CALL, LOOK, r#""paramſ":{"name":"drop"}"#]));
    add(all, "params with a long s in an escape", root([CALL, LOOK, r#""param\u017f":{"name":"drop"}"#]));
    for (what, params) in [
        ("Name behind name", r#""name":"look","Name":"drop""#),
        ("NAME behind name", r#""name":"look","NAME":"drop""#),
        ("nAmE with an escape", r#""name":"look","nA\u006dE":"drop""#),
        ("Arguments behind arguments", r#""name":"look","arguments":{"a":1},"Arguments":{"a":2}"#),
        ("argumentſ behind arguments", r#""name":"look","arguments":{"a":1},"argumentſ":{"a":2}"#),
        ("URI behind uri", r#""uri":"file:///a","URI":"file:///b""#),
        ("Name alone", r#""Name":"drop""#),
        ("Uri alone", r#""Uri":"file:///b""#),
    ] {
        add(all, what, call(params));
    }
}

/// Some guess the encoding, and some replace what is none.
fn encodings(all: &mut Vec<Ambiguous>) {
    let text = call(r#""name":"look""#);
    let with_mark = format!("\u{feff}{text}");
    add(all, "a byte order mark", with_mark.as_bytes());
    for (what, text) in [("without its mark", &text), ("with its mark", &with_mark)] {
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        add(all, &format!("UTF-16, little-endian, {what}"), little);
        add(all, &format!("UTF-16, big-endian, {what}"), big);
    }
    let little: Vec<u8> = text.chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect();
    let big: Vec<u8> = text.chars().flat_map(|letter| u32::from(letter).to_be_bytes()).collect();
    add(all, "UTF-32, little-endian", little);
    add(all, "UTF-32, big-endian", big);
    for (what, bytes) in [
        ("a byte that is never UTF-8", &b"\xff"[..]),
        ("a continuation alone", b"\x80"),
        ("a sequence that is cut short", b"\xe2\x82"),
        ("a solidus that is too long", b"\xc0\xaf"),
        ("a half of a pair in UTF-8", b"\xed\xa0\x80"),
        ("a pair of halves in UTF-8", b"\xed\xa0\xbd\xed\xb8\x80"),
        ("beyond the last character", b"\xf4\x90\x80\x80"),
    ] {
        let (before, after) =
            (br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look"#, br#""}}"#);
        add(all, &format!("{what} in the name"), [&before[..], bytes, after].concat());
    }
    let (before, after) =
        (br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","a"#, br#"":1}}"#);
    add(all, "a byte that is never UTF-8 in a key", [&before[..], b"\xff", after].concat());
}

/// Some keep half a pair, some replace it.
fn halves(all: &mut Vec<Ambiguous>) {
    for (what, params) in [
        ("the first half of a pair", r#""name":"look\ud800""#),
        ("the second half of a pair", r#""name":"look\udc00""#),
        ("a pair the wrong way round", r#""name":"look\ude00\ud83d""#),
        ("the first half before a letter", r#""name":"look\ud83dx""#),
        ("the first half twice", r#""name":"look\ud83d\ud83d\ude00""#),
        ("half a pair in a key", r#""name":"look","\ud800":1"#),
        ("half a pair in an argument", r#""name":"look","arguments":{"a":"\udfff"}"#),
    ] {
        add(all, what, call(params));
    }
}

/// Numbers that not all have, depths that not all reach, structures in arrays.
fn values(all: &mut Vec<Ambiguous>) {
    for text in ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"] {
        add(all, text, call_with(&format!(r#"{{"n":{text}}}"#)));
    }
    let digits = "9".repeat(400);
    add(all, "an integer that no double holds", call_with(&format!(r#"{{"n":{digits}}}"#)));
    for depth in [130, 1_100] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        add(all, &format!("{depth} arrays in each other"), call_with(&format!(r#"{{"n":{deep}}}"#)));
    }
    add(all, "params by position", request(&format!(r#"{CALL},"params":["drop"]"#)));
    add(all, "a request by position", r#"["tools/call",["drop",null,null]]"#);
}
