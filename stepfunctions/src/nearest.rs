//! "Did you mean …?", for whoever words errors about names.

/// The known name that is most like this one, when it is like it at all.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A slip of the finger is one change in four letters, at most.
    let most = name.chars().count().div_ceil(4);
    known
        .into_iter()
        .map(|known| {
            (
                strsim::osa_distance(&name.to_lowercase(), &known.to_lowercase()),
                known,
            )
        })
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// ` (did you mean 'x'?)`, or nothing.
pub fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |known| format!(" (did you mean '{known}'?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_another_word_finds_none() {
        let known = ["CheckOrder", "Ship", "NotifyCustomer"];
        assert_eq!(nearest("CheckOder", known), Some("CheckOrder"));
        assert_eq!(nearest("shpi", known), Some("Ship"));
        assert_eq!(nearest("Notify", known), None);
        assert_eq!(hint("x", known), "");
    }
}
