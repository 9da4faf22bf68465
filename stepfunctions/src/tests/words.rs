//! The words of JSONata's errors.

use super::support::{echo, play};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn errors_of_evaluation_are_told_in_the_words_of_jsonata_js() {
    // What npm's jsonata@2.0.6 says of each.
    for (source, words) in [
        (
            "1 + 'a'",
            "T2002: The right side of the \"+\" operator must evaluate to a number",
        ),
        (
            "'a' - 1",
            "T2001: The left side of the \"-\" operator must evaluate to a number",
        ),
        (
            "$number('x')",
            "D3030: Unable to cast value to a number: \"x\"",
        ),
        (
            "$formatBase(1, 99)",
            "D3100: The radix of the formatBase function must be between 2 and 36.  It was given 99",
        ),
        (
            "$single([1, 2])",
            "D3138: The $single() function expected exactly 1 matching result.  Instead it matched more.",
        ),
        ("$error('no')", "D3137: no"),
        (
            "$lookup({'a': 1}, 1)",
            "T0410: Argument 2 of function \"lookup\" does not match function signature",
        ),
        (
            "$count(1, 2)",
            "T0410: Argument 2 of function \"count\" does not match function signature",
        ),
        (
            "$append(1)",
            "T0410: Argument 2 of function \"append\" does not match function signature",
        ),
        (
            "$exists()",
            "T0410: Argument 1 of function \"exists\" does not match function signature",
        ),
        (
            "$uppercase('a', 'b')",
            "T0410: Argument 2 of function \"uppercase\" does not match function signature",
        ),
        (
            "$sum(['x'])",
            "T0412: Argument 1 of function \"sum\" must be an array of \"numbers\"",
        ),
        (
            "[1] < 2",
            "T2010: The expressions either side of operator \"<\" must evaluate to numeric or string values",
        ),
        (
            "['a'..2]",
            "T2003: The left side of the range operator (..) must evaluate to an integer",
        ),
        (
            "$replace('a', '', 'x')",
            "D3010: Second argument of replace function cannot be an empty string",
        ),
        (
            "$formatNumber(1, '0;0;0')",
            "D3080: The picture string must only contain a maximum of two sub-pictures",
        ),
        // The evaluator keeps the values and the function's name to itself: then all that it can have been are named.
        (
            "1 < 'a'",
            "T2009: The values either side of operator \"<\" must be of the same data type",
        ),
        (
            "$uppercase($string(1)) & $length(1) & '$trim('",
            "T0410: Argument 1 of function \"uppercase\" or \"string\" or \"length\" does not match function signature",
        ),
    ] {
        let states =
            json!({ "A": { "Type": "Pass", "Output": format!("{{% {source} %}}"), "End": true } });
        let cause = play(echo(), states, json!({})).await.cause.unwrap();
        let expected = format!("threw an error during evaluation. {words}");
        assert!(cause.ends_with(&expected), "{source}: {cause}");
    }
}
