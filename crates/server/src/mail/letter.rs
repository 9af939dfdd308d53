//! What people read: each letter as plain text and as simple HTML.

use control::{Invitation, PasswordReset};

use crate::realtime::timestamp;

/// A letter. It holds a secret link, so it is never printed.
pub(super) struct Letter {
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// How to set a new password.
pub(super) fn reset(reset: &PasswordReset, tenant: &str, base: &str) -> Letter {
    let until = timestamp(reset.expires_at);
    write(
        &reset.user.email,
        format!("A new password for {tenant}"),
        &[
            format!(
                "Somebody, most likely you, asked for a new password for {} at {tenant}.",
                reset.user.email
            ),
            format!("This link sets one. It works once, until {until}:"),
        ],
        &format!("{base}/reset/{}", reset.token.expose()),
        "If it was not you, do nothing: the password stays as it is.",
    )
}

/// How to join.
pub(super) fn invitation(invitation: &Invitation, tenant: &str, url: &str) -> Letter {
    let until = timestamp(invitation.expires_at);
    write(
        &invitation.email,
        format!("Invitation to {tenant}"),
        &[
            format!("You are invited to join {tenant} on Bellwether as {}.", invitation.role),
            format!("This link accepts it. It works once, until {until}:"),
        ],
        url,
        "If you did not expect this letter, do nothing.",
    )
}

fn write(to: &str, subject: String, sentences: &[String], link: &str, end: &str) -> Letter {
    // Names are chosen by tenants: a line of its own in the head of a letter would be theirs to write.
    let subject = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect();
    let mut text = sentences.join("\n");
    text += &format!("\n\n{link}\n\n{end}\n");
    let mut html = String::from("<!doctype html><html><body>");
    for sentence in sentences {
        html += &format!("<p>{}</p>", escaped(sentence));
    }
    let link = escaped(link);
    html += &format!("<p><a href=\"{link}\">{link}</a></p><p>{}</p></body></html>", escaped(end));
    Letter { to: to.to_owned(), subject, text, html }
}

/// Text as it stands in HTML, in attributes too.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_write_html_or_lines_of_the_head() {
        let letter = write(
            "a@b.example",
            "Invitation to x\r\nBcc: all@b.example".to_owned(),
            &["Join <script>alert(1)</script> & \"friends\".".to_owned()],
            "https://bw.example/invite/a\"b",
            "End.",
        );
        assert!(!letter.subject.contains(['\r', '\n']));
        assert!(
            !letter.html.contains("<script>") && letter.html.contains("&lt;script&gt;"),
            "{}",
            letter.html
        );
        assert!(letter.html.contains("href=\"https://bw.example/invite/a&quot;b\""), "{}", letter.html);
        assert!(letter.text.contains("\nhttps://bw.example/invite/a\"b\n"), "{}", letter.text);
    }
}
