use super::*;
use proc_macro2::Span;

#[test]
fn names_become_words() {
    for (name, expected) in [
        ("Arith", "arith"),
        ("KeyStore", "key_store"),
        ("HTTPServer", "http_server"),
        ("HttpServer", "http_server"),
        ("KV2Store", "kv2_store"),
        ("Already_Snake", "already_snake"),
        ("A", "a"),
        ("AB", "ab"),
        ("", ""),
    ] {
        assert_eq!(words(name, '_'), expected, "{name}");
    }
    assert_eq!(words("DivisionByZero", ' '), "division by zero");
}

#[test]
fn names_on_the_wire_are_checked() {
    let check = |name: &str| checked(&LitStr::new(name, Span::call_site()), "method").is_ok();
    assert!(check("processId"));
    assert!(check("textDocument/didOpen"));
    assert!(check("$/cancel"));
    assert!(!check(""));
    assert!(!check("a.b"));
    assert!(!check("a\nb"));
    assert!(!check("a\u{7f}"));
}
