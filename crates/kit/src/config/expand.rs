//! `${VAR}` and `${VAR:default}` in values; `$$` is a dollar sign.

/// Replaces each reference by what `lookup` knows. The error names the reference at fault.
pub fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = after.find('}').ok_or("has a ${ without its }; write $$ for a dollar sign")?;
            let (name, default) = match after[..end].split_once(':') {
                Some((name, default)) => (name, Some(default)),
                None => (&after[..end], None),
            };
            match lookup(name).or_else(|| default.map(str::to_owned)) {
                Some(value) => out.push_str(&value),
                None => {
                    let name: String = name.chars().take(60).collect();
                    return Err(format!(
                        "needs the environment variable {name}; set it, or write ${{{name}:default}}"
                    ));
                }
            }
            rest = &after[end + 1..];
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "HOST").then(|| "db1".to_owned())
    }

    #[test]
    fn references_defaults_and_dollars() {
        for (text, want) in [
            ("plain", Some("plain")),
            ("postgres://${HOST}/x", Some("postgres://db1/x")),
            ("${NONE:fallback:5432}", Some("fallback:5432")),
            ("${NONE:}", Some("")),
            ("a$$b $c $", Some("a$b $c $")),
            ("$${HOST}", Some("${HOST}")),
            ("${NONE}", None),
            ("${HOST", None),
        ] {
            assert_eq!(expand(text, &lookup).ok().as_deref(), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_expanded_or_refused(text in ".*") {
            let _ = expand(&text, &lookup);
            prop_assert_eq!(expand(&text.replace('$', "$$"), &lookup), Ok(text));
        }
    }
}
