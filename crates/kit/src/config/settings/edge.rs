//! What faces the outside: encryption of connections, pages of other sites, letters.

use std::time::Duration;

use crate::config::option::{choice, section};
use crate::config::value::Password;

choice! {
    /// Whether connections are encrypted.
    pub enum TlsMode {
        /// They are not.
        Off = "off",
        /// A port answers both, by what the client begins with: for a change without a moment of silence.
        Optional = "optional",
        /// They are; a plain request is refused with a word about it.
        Required = "required",
    }
}

choice! {
    /// The oldest version of TLS that is spoken.
    pub enum TlsVersion {
        /// TLS 1.2.
        V1_2 = "tls1.2",
        /// TLS 1.3.
        V1_3 = "tls1.3",
    }
}

section! {
    /// Encryption of the web application, the HTTP APIs and both OTLP listeners.
    pub struct Tls at "tls." {
        /// `off`, `optional` (a port answers plain and encrypted requests) or `required` (plain requests are refused).
        mode: TlsMode = "off";
        /// PEM file with the certificate chain, read anew when it changes; empty: one is made and kept in the data folder.
        certificate_file: String = "", live;
        /// PEM file with the private key, read anew when it changes.
        key_file: String = "", live;
        /// PEM file with the authorities of clients: whoever connects must show a certificate of one; empty asks for none.
        client_ca_file: String = "", live;
        /// Oldest version that is spoken: `tls1.2` or `tls1.3`.
        min_version: TlsVersion = "tls1.2", live;
    }
}

section! {
    /// Pages of other sites.
    pub struct Cors at "cors." {
        /// Origins such as `https://shop.example` whose pages may send telemetry; their cookies are never looked at.
        origins: Vec<String> = "", live;
    }
}

section! {
    /// Tokens of programs that act for a person.
    pub struct AuthTokens at "auth.tokens." {
        /// Refuse a token that comes from another address than its family began at.
        bind_address: bool = "false";
        /// Refuse a token that comes from another user agent than its family began with.
        bind_user_agent: bool = "false";
    }
}

choice! {
    /// How the mail server is talked to.
    pub enum SmtpTls {
        /// In the clear at first, then encrypted; a server that cannot is not used.
        StartTls = "starttls",
        /// Encrypted from the first byte.
        Implicit = "implicit",
        /// In the clear: for a mail server on this machine alone.
        Off = "off",
    }
}

section! {
    /// The mail server that letters (invitations, forgotten passwords) are given to.
    pub struct Smtp at "smtp." {
        /// Its name or address; empty sends no letters.
        host: String = "";
        /// Its port.
        port: u32 = "587" in 1..=65_535;
        /// `starttls`, `implicit`, or `off` for a server on this machine.
        tls: SmtpTls = "starttls";
        /// PEM file with its authority, where the system does not know it.
        ca_file: String = "";
        /// Name to sign in with; empty signs in nowhere.
        username: String = "";
        /// Password of that name.
        password: Password = "";
        /// File that holds the password, instead of `smtp.password`.
        password_file: String = "";
        /// Sender of letters, such as `Bellwether <bellwether@example.com>`.
        from: String = "";
        /// Longest wait for the mail server.
        timeout: Duration = "20s" in Duration::from_secs(1)..=Duration::from_secs(300);
    }
}
