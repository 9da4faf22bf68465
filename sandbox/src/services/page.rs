//! Lists that come in pages.

use serde_json::{Value, json};
use simulator::wire::ApiError;

/// The page of `all` that the request asks for: at most `size` after `token`, and the next one's token.
///
/// # Errors
/// `refused`, when the token is none of ours.
pub fn page(
    all: Vec<Value>,
    token: Option<&str>,
    size: usize,
    refused: impl FnOnce() -> ApiError,
) -> Result<(Vec<Value>, Option<String>), ApiError> {
    let from = match token {
        None => 0,
        Some(token) => token
            .strip_prefix("page-")
            .and_then(|from| from.parse().ok())
            .filter(|from| *from <= all.len())
            .ok_or_else(refused)?,
    };
    let count = all.len();
    let items: Vec<Value> = all.into_iter().skip(from).take(size.max(1)).collect();
    let to = from + items.len();
    Ok((items, (to < count).then(|| format!("page-{to}"))))
}

/// An answer with a page in it.
pub fn answered(list: &str, token: &str, (items, next): (Vec<Value>, Option<String>)) -> Value {
    let mut answer = json!({ list: items });
    if let Some(next) = next {
        answer[token] = next.into();
    }
    answer
}

/// How many the request asks for: `least` to `most`, `most` when it does not say.
pub fn size(asked: &Value, most: usize) -> usize {
    let asked = asked
        .as_u64()
        .or_else(|| asked.as_str().and_then(|text| text.parse().ok()));
    asked
        .and_then(|size| usize::try_from(size).ok())
        .map_or(most, |size| size.clamp(1, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_paged_to_its_end() {
        let all: Vec<Value> = (0..5).map(Value::from).collect();
        let no = || ApiError::new("InvalidNextToken", "no");
        let (first, next) = page(all.clone(), None, 3, no).unwrap();
        assert_eq!((first.len(), next.as_deref()), (3, Some("page-3")));
        let (rest, next) = page(all.clone(), next.as_deref(), 3, no).unwrap();
        assert_eq!((rest, next), (vec![3.into(), 4.into()], None));
        assert!(page(all, Some("page-9"), 3, no).is_err());
    }
}
