use super::parse;

/// What npm's jsonata@2.0.6 says of each: code, position, words.
#[test]
fn syntax_errors_are_told_in_the_words_of_jsonata_js() {
    for (source, code, position, words) in [
        (
            "1 == 2",
            "S0211",
            4,
            "The symbol \"=\" cannot be used as a unary operator",
        ),
        (
            "1 && 2",
            "S0211",
            4,
            "The symbol \"&\" cannot be used as a unary operator",
        ),
        (
            "$x ?? 1",
            "S0211",
            5,
            "The symbol \"?\" cannot be used as a unary operator",
        ),
        (
            "$x ?: 1",
            "S0211",
            5,
            "The symbol \":\" cannot be used as a unary operator",
        ),
        ("1 || 2", "S0201", 3, "Syntax error: \"|\""),
        ("!true", "S0204", 1, "Unknown operator: \"!\""),
        (
            "$states.input.",
            "S0207",
            14,
            "Unexpected end of expression",
        ),
        (
            "$states.input[",
            "S0203",
            14,
            "Expected \"]\" before end of expression",
        ),
        ("(1", "S0203", 2, "Expected \")\" before end of expression"),
        (
            "[1,2",
            "S0203",
            4,
            "Expected \"]\" before end of expression",
        ),
        (
            "{\"a\":1",
            "S0203",
            6,
            "Expected \"}\" before end of expression",
        ),
        ("{\"a\" 1}", "S0202", 6, "Expected \":\", got 1"),
        ("1 +", "S0207", 3, "Unexpected end of expression"),
        (
            ")",
            "S0211",
            1,
            "The symbol \")\" cannot be used as a unary operator",
        ),
        (
            "\"abc",
            "S0101",
            4,
            "String literal must be terminated by a matching quote",
        ),
        (
            "`abc",
            "S0105",
            4,
            "Quoted property name must be terminated with a backquote (`)",
        ),
        ("/abc", "S0302", 4, "No terminating / in regular expression"),
        ("/* x", "S0106", 0, "Comment has no closing tag"),
        ("$x :=", "S0207", 5, "Unexpected end of expression"),
        (
            "function($x){1",
            "S0203",
            14,
            "Expected \"}\" before end of expression",
        ),
        (
            "function(x){1}",
            "S0208",
            10,
            "Parameter 1 of function definition must be a variable name (start with $)",
        ),
        (
            "function($x, y){1}",
            "S0208",
            14,
            "Parameter 2 of function definition must be a variable name (start with $)",
        ),
        ("1 2", "S0201", 3, "Syntax error: 2"),
        (
            "$string(1",
            "S0203",
            9,
            "Expected \")\" before end of expression",
        ),
        ("$f := 1; $f", "S0201", 8, "Syntax error: \";\""),
        (
            "a^(b",
            "S0203",
            4,
            "Expected \")\" before end of expression",
        ),
        (
            "$map($x, function($v) { $v + })",
            "S0211",
            30,
            "The symbol \"}\" cannot be used as a unary operator",
        ),
    ] {
        let said = parse(source).unwrap_err();
        let expected = format!("{code} at position {position}: {words}");
        assert!(
            said.starts_with(&expected),
            "{source}: {said}, not {expected}"
        );
    }
}

#[test]
fn the_usual_slips_get_a_hint() {
    for (source, hint) in [
        ("$a == $b", "compares with a single ="),
        ("$a && $b", "write `and`"),
        ("$a || $b", "write `or`"),
        ("!$a", "$not("),
        ("$a === $b", "compares with a single ="),
        ("$a <> $b", "compares with !="),
        ("$a ?? $b", "write $exists(a) ? a : b"),
    ] {
        let said = parse(source).unwrap_err();
        assert!(said.contains(hint), "{source}: {said}");
    }
}
