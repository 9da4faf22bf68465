//! The functions that Step Functions adds to JSONata, and those of JSONata that would read real time or real chance.

use super::convert::from_json;
use crate::{
    definition::HostFunction,
    dice::Dice,
    time::{epoch_millis, rfc3339},
};
use jsonata_core::{
    evaluator::{Context, Evaluator, EvaluatorError},
    parser,
    value::JValue,
};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use std::time::SystemTime;

type Outcome = Result<JValue, EvaluatorError>;

/// Most elements of `$range`; measured on AWS.
const MAX_RANGE: f64 = 360_145.0;

/// Gives the evaluator the functions that its expression calls.
pub(super) fn register(
    evaluator: &mut Evaluator,
    functions: &[HostFunction],
    at: SystemTime,
    dice: &Dice,
) -> Result<(), EvaluatorError> {
    for function in functions {
        let dice = dice.clone();
        let name = function.name();
        match function {
            HostFunction::Parse => evaluator.register_fn(name, parse),
            HostFunction::Partition => evaluator.register_fn(name, partition),
            HostFunction::Range => evaluator.register_fn(name, range),
            HostFunction::Uuid => {
                evaluator.register_fn(name, move |_: &[JValue]| Ok(JValue::from(dice.uuid())))
            }
            HostFunction::Hash => evaluator.register_fn(name, hash),
            HostFunction::Random => {
                evaluator.register_fn_override(name, move |args: &[JValue]| random(args, &dice))
            }
            HostFunction::Now => {
                evaluator.register_fn_override(name, move |args: &[JValue]| now(args, at))
            }
            HostFunction::ToMillis => {
                evaluator.register_fn_override(name, move |args: &[JValue]| to_millis(args, at))
            }
            HostFunction::Millis => evaluator
                .register_fn_override(name, move |_: &[JValue]| Ok(JValue::from(epoch_millis(at)))),
            HostFunction::Shuffle => {
                evaluator.register_fn_override(name, move |args: &[JValue]| shuffle(args, &dice))
            }
        }?;
    }
    Ok(())
}

fn error(message: impl Into<String>) -> EvaluatorError {
    EvaluatorError::EvaluationError(message.into())
}

fn parse(args: &[JValue]) -> Outcome {
    match args {
        // As a callback it gets an index and the list, too.
        [JValue::Undefined, ..] => Ok(JValue::Undefined),
        [JValue::String(text), ..] => serde_json::from_str::<serde_json::Value>(text)
            .map(|value| from_json(&value))
            .map_err(|e| error(format!("$parse: {e}"))),
        _ => Err(error(
            "T0410: Argument 1 of function \"parse\" does not match function signature",
        )),
    }
}

/// `$hash(content, algorithm)`: hexadecimal.
fn hash(args: &[JValue]) -> Outcome {
    let (content, algorithm) = match args {
        [JValue::Undefined, ..] => return Ok(JValue::Undefined),
        [JValue::String(content), JValue::String(algorithm), ..] => {
            (content.as_bytes(), &**algorithm)
        }
        _ => {
            let index = if matches!(args, [JValue::String(_), ..]) {
                2
            } else {
                1
            };
            return Err(error(format!(
                "T0410: Argument {index} of function \"hash\" does not match function signature"
            )));
        }
    };
    let digest = match algorithm {
        "MD5" => Md5::digest(content).to_vec(),
        "SHA-1" => Sha1::digest(content).to_vec(),
        "SHA-256" => Sha256::digest(content).to_vec(),
        "SHA-384" => Sha384::digest(content).to_vec(),
        "SHA-512" => Sha512::digest(content).to_vec(),
        other => {
            return Err(error(format!(
                "$hash: no algorithm '{other}'; expected MD5, SHA-1, SHA-256, SHA-384 or SHA-512"
            )));
        }
    };
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(JValue::from(hex))
}

/// A whole number; what is not whole is "rounded down".
fn whole(value: Option<&JValue>) -> Option<f64> {
    value.and_then(JValue::as_f64).map(f64::trunc)
}

fn partition(args: &[JValue]) -> Outcome {
    let (Some(items), Some(size)) = (args.first().and_then(JValue::as_array), whole(args.get(1)))
    else {
        return Ok(JValue::Undefined);
    };
    if items.is_empty() || size < 1.0 {
        return Ok(JValue::Undefined);
    }
    let chunks = items.chunks(size as usize);
    Ok(JValue::array(
        chunks.map(|chunk| JValue::array(chunk.to_vec())).collect(),
    ))
}

fn range(args: &[JValue]) -> Outcome {
    let (Some(first), Some(last), Some(step)) =
        (whole(args.first()), whole(args.get(1)), whole(args.get(2)))
    else {
        return Ok(JValue::Undefined);
    };
    let count = ((last - first) / step).floor() + 1.0;
    if step == 0.0 || count < 1.0 {
        return Ok(JValue::Undefined);
    }
    if count > MAX_RANGE {
        return Err(error("Expression evaluation memory limit exceeded"));
    }
    let numbers = (0..count as u32).map(|n| JValue::Number(first + f64::from(n) * step));
    Ok(JValue::sequence(numbers.collect()))
}

fn random(args: &[JValue], dice: &Dice) -> Outcome {
    let fraction = match whole(args.first()) {
        Some(seed) => Dice::new(seed.to_bits(), "$random").fraction(),
        None => dice.fraction(),
    };
    Ok(JValue::Number(fraction))
}

fn shuffle(args: &[JValue], dice: &Dice) -> Outcome {
    let Some(items) = args.first().and_then(JValue::as_array) else {
        return Ok(args.first().cloned().unwrap_or(JValue::Undefined));
    };
    let mut items = items.clone();
    for last in (1..items.len()).rev() {
        let other = (dice.fraction() * (last + 1) as f64) as usize;
        items.swap(last, other.min(last));
    }
    Ok(JValue::array(items))
}

/// `$now()`, or `$now(picture, timezone)`: then `$fromMillis` formats it.
fn now(args: &[JValue], at: SystemTime) -> Outcome {
    if args.is_empty() {
        return Ok(JValue::from(rfc3339(at)));
    }
    let millis = [JValue::from(epoch_millis(at))];
    let args: Vec<JValue> = millis
        .into_iter()
        .chain(args.iter().take(2).cloned())
        .collect();
    builtin("fromMillis", &args)
}

/// A time without a date is today's; the builtin would take the real day.
fn to_millis(args: &[JValue], at: SystemTime) -> Outcome {
    const DAY: f64 = 24.0 * 3600.0 * 1000.0;
    let read = builtin("toMillis", &args[..args.len().min(2)])?;
    // Components of a date in a picture: `[Y]`, `[M]`, `[D]`, `[d]`, `[F]`, `[W]`, `[X]`, `[x]`, `[w]`.
    let without_date = matches!(args.get(1), Some(JValue::String(picture))
        if !picture.split('[').skip(1).any(|part| part.trim_start().starts_with(['Y', 'M', 'D', 'd', 'F', 'W', 'w', 'X', 'x'])));
    match read {
        JValue::Number(millis) if without_date => {
            let today = (epoch_millis(at) as f64 / DAY).floor() * DAY;
            Ok(JValue::Number(today + millis.rem_euclid(DAY)))
        }
        read => Ok(read),
    }
}

/// What JSONata's own function answers.
fn builtin(name: &str, args: &[JValue]) -> Outcome {
    let mut context = Context::new();
    let mut names = Vec::new();
    for (index, value) in args.iter().enumerate() {
        context.bind(format!("a{index}"), value.clone());
        names.push(format!("$a{index}"));
    }
    let call = format!("${name}({})", names.join(", "));
    let ast = parser::parse(&call).map_err(|e| error(e.to_string()))?;
    Evaluator::with_context(context).evaluate(&ast, &JValue::Undefined)
}
