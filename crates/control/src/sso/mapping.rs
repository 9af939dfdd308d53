//! Groups to roles, addresses to domains.

use crate::sso::provider::{Provider, RoleRule};

/// The role of the first rule whose group the person is in; else the provider's default.
pub(crate) fn role<'a>(provider: &'a Provider, groups: &[String]) -> Option<&'a str> {
    let fits = |rule: &&RoleRule| groups.contains(&rule.group);
    let mapped = provider.role_mapping.iter().find(fits).map(|rule| rule.role.as_str());
    mapped.or(provider.default_role.as_deref())
}

/// True when the address is of one of the provider's domains, or it has none to choose from.
pub(crate) fn is_allowed(domains: &[String], email: &str) -> bool {
    let domain = email.rsplit_once('@').map(|(_, domain)| domain);
    domains.is_empty()
        || domain.is_some_and(|domain| domains.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain)))
}

/// True for a name such as `example.com`.
pub(crate) fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        !bytes.is_empty()
            && bytes.len() <= 63
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_after_the_last_at_sign_is_the_domain() {
        let domains = ["example.com".to_owned()];
        for (email, allowed) in [
            ("ada@example.com", true),
            ("ada@EXAMPLE.com", true),
            ("ada@evil.com", false),
            ("ada@sub.example.com", false),
            ("ada@example.com.evil.com", false),
            ("ada@example.com@evil.com", false),
            ("example.com", false),
        ] {
            assert_eq!(is_allowed(&domains, email), allowed, "{email}");
        }
        assert!(is_allowed(&[], "ada@anywhere.test"));
    }

    #[test]
    fn domains_are_lower_case_names_with_a_dot() {
        for (text, good) in [
            ("example.com", true),
            ("a-b.example.co.uk", true),
            ("localhost", false),
            ("Example.com", false),
            ("@example.com", false),
            ("*.example.com", false),
            (".example.com", false),
            ("example..com", false),
            ("-a.com", false),
            ("", false),
        ] {
            assert_eq!(is_domain(text), good, "{text}");
        }
    }
}
