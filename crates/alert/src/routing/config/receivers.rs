//! What each kind of receiver is told to do, with Alertmanager's defaults. Texts are templates and stay texts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::super::period::Period;
use super::http::{HttpYaml, TlsConfig};
use super::values::{Secret, SecretSource};

/// Declares a kind's settings: what is read, what the check fills in, and what holds without a word.
macro_rules! kinds {
    ($(
        $(#[$doc:meta])*
        $name:ident, resolved: $resolved:literal,
        hidden { $($hidden:ident: $hidden_type:ty),* $(,)? }
        filled { $($(#[$filled_doc:meta])* $filled:ident: $filled_type:ty),* $(,)? }
        read { $($(#[$read_doc:meta])* $read:ident: $read_type:ty = $default:expr),* $(,)? }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            pub(super) send_resolved: bool,
            pub(super) http_config: Option<HttpYaml>,
            $(pub(super) $hidden: $hidden_type,)*
            $(
                $(#[$filled_doc])*
                #[serde(skip)]
                pub $filled: $filled_type,
            )*
            $($(#[$read_doc])* pub $read: $read_type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    send_resolved: $resolved,
                    http_config: None,
                    $($hidden: Default::default(),)*
                    $($filled: Default::default(),)*
                    $($read: $default,)*
                }
            }
        }
    )*};
}

/// The text of one of Alertmanager's own templates.
fn template(name: &str) -> String {
    format!("{{{{ template \"{name}\" . }}}}")
}

kinds! {
    /// `email_configs`.
    EmailConfig, resolved: false,
    hidden {
        auth_password: Option<Secret>,
        auth_password_file: Option<PathBuf>,
        tls_config: Option<TlsConfig>,
        require_tls: Option<bool>,
    }
    filled {
        /// The password at the mail server.
        password: Option<SecretSource>,
        /// Trust and own certificate at the mail server.
        tls: TlsConfig,
        /// Whether it needs TLS.
        needs_tls: bool,
    }
    read {
        /// Who gets the letter; several are separated by commas.
        to: String = String::new(),
        /// Who it is from.
        from: String = String::new(),
        /// How we greet the mail server.
        hello: String = String::new(),
        /// `host:port` of the mail server.
        smarthost: String = String::new(),
        /// The user there.
        auth_username: String = String::new(),
        /// The secret of CRAM-MD5.
        auth_secret: Option<Secret> = None,
        /// The identity of PLAIN.
        auth_identity: String = String::new(),
        /// Headers such as `Subject`, which is `email.default.subject` without one.
        headers: BTreeMap<String, String> = BTreeMap::new(),
        /// The page.
        html: String = template("email.default.html"),
        /// The text beside it; empty for none.
        text: String = String::new(),
    }

    /// `slack_configs`.
    SlackConfig, resolved: false,
    hidden {
        api_url: Option<Secret>,
        api_url_file: Option<PathBuf>,
    }
    filled {
        /// Where to.
        url: SecretSource,
    }
    read {
        /// Channel or user.
        channel: String = String::new(),
        /// Who it is from.
        username: String = template("slack.default.username"),
        /// Colour of the bar.
        color: String = "{{ if eq .Status \"firing\" }}danger{{ else }}good{{ end }}".into(),
        /// Headline.
        title: String = template("slack.default.title"),
        /// Where the headline leads.
        title_link: String = template("slack.default.titlelink"),
        /// Text above.
        pretext: String = template("slack.default.pretext"),
        /// Text.
        text: String = template("slack.default.text"),
        /// Fields.
        fields: Vec<SlackField> = Vec::new(),
        /// Whether fields stand side by side where they say nothing themselves.
        short_fields: bool = false,
        /// Text below.
        footer: String = template("slack.default.footer"),
        /// Text for clients that show no attachment.
        fallback: String = template("slack.default.fallback"),
        /// Name of the attachment's buttons.
        callback_id: String = template("slack.default.callbackid"),
        /// Emoji beside it.
        icon_emoji: String = template("slack.default.iconemoji"),
        /// Picture beside it.
        icon_url: String = template("slack.default.iconurl"),
        /// Picture in it.
        image_url: String = String::new(),
        /// Small picture in it.
        thumb_url: String = String::new(),
        /// Whether names become links.
        link_names: bool = false,
        /// Which parts are formatted.
        mrkdwn_in: Vec<String> = Vec::new(),
        /// Buttons.
        actions: Vec<SlackAction> = Vec::new(),
    }

    /// `webhook_configs`.
    WebhookConfig, resolved: true,
    hidden {
        url: Option<Secret>,
        url_file: Option<PathBuf>,
    }
    filled {
        /// Where to.
        target: SecretSource,
    }
    read {
        /// Most alerts of one message; 0 is no limit.
        max_alerts: u64 = 0,
        /// How long one request may take.
        timeout: Option<Period> = None,
    }

    /// `pagerduty_configs`.
    PagerdutyConfig, resolved: true,
    hidden {
        routing_key: Option<Secret>,
        routing_key_file: Option<PathBuf>,
        service_key: Option<Secret>,
        service_key_file: Option<PathBuf>,
    }
    filled {
        /// Key of Events API v2.
        routing: Option<SecretSource>,
        /// Key of the older one.
        service: Option<SecretSource>,
    }
    read {
        /// Where to.
        url: String = String::new(),
        /// Who says it.
        client: String = template("pagerduty.default.client"),
        /// Where to look.
        client_url: String = template("pagerduty.default.clientURL"),
        /// Headline.
        description: String = template("pagerduty.default.description"),
        /// Further values; `firing`, `resolved`, `num_firing` and `num_resolved` are always there.
        details: BTreeMap<String, String> = BTreeMap::new(),
        /// Pictures.
        images: Vec<PagerdutyImage> = Vec::new(),
        /// Links.
        links: Vec<PagerdutyLink> = Vec::new(),
        /// Severity there; `error` without one.
        severity: String = "error".into(),
        /// What is affected; the client without one.
        source: String = String::new(),
        /// Kind of event.
        class: String = String::new(),
        /// Part of the affected thing.
        component: String = String::new(),
        /// Group of parts.
        group: String = String::new(),
    }

    /// `discord_configs`.
    DiscordConfig, resolved: true,
    hidden {
        webhook_url: Option<Secret>,
        webhook_url_file: Option<PathBuf>,
    }
    filled {
        /// Where to.
        url: SecretSource,
    }
    read {
        /// Headline.
        title: String = template("discord.default.title"),
        /// Text.
        message: String = template("discord.default.message"),
        /// Text outside of the frame.
        content: String = template("discord.default.content"),
        /// Who it is from.
        username: String = String::new(),
        /// Picture beside it.
        avatar_url: String = String::new(),
    }

    /// `telegram_configs`.
    TelegramConfig, resolved: true,
    hidden {
        bot_token: Option<Secret>,
        bot_token_file: Option<PathBuf>,
    }
    filled {
        /// Who says it.
        token: SecretSource,
    }
    read {
        /// Where to.
        api_url: String = String::new(),
        /// Which chat.
        chat_id: i64 = 0,
        /// Which topic of it; 0 for none.
        message_thread_id: i64 = 0,
        /// Text.
        message: String = template("telegram.default.message"),
        /// Whether it arrives without a sound.
        disable_notifications: bool = false,
        /// `Markdown`, `MarkdownV2`, `HTML` or empty for plain text.
        parse_mode: String = "HTML".into(),
    }

    /// `msteams_configs`, for connectors.
    MsTeamsConfig, resolved: true,
    hidden {
        webhook_url: Option<Secret>,
        webhook_url_file: Option<PathBuf>,
    }
    filled {
        /// Where to.
        url: SecretSource,
    }
    read {
        /// Headline.
        title: String = template("msteams.default.title"),
        /// One line.
        summary: String = template("msteams.default.summary"),
        /// Text.
        text: String = template("msteams.default.text"),
    }

    /// `msteamsv2_configs`, for workflows.
    MsTeamsV2Config, resolved: true,
    hidden {
        webhook_url: Option<Secret>,
        webhook_url_file: Option<PathBuf>,
    }
    filled {
        /// Where to.
        url: SecretSource,
    }
    read {
        /// Headline.
        title: String = template("msteamsv2.default.title"),
        /// Text.
        text: String = template("msteamsv2.default.text"),
    }

    /// `mattermost_configs`.
    MattermostConfig, resolved: true,
    hidden {
        webhook_url: Option<Secret>,
        webhook_url_file: Option<PathBuf>,
    }
    filled {
        /// Where to.
        url: SecretSource,
    }
    read {
        /// Channel or user; the address's own without one.
        channel: String = String::new(),
        /// Who it is from.
        username: String = String::new(),
        /// Emoji beside it.
        icon_emoji: String = String::new(),
        /// Picture beside it.
        icon_url: String = String::new(),
        /// Text; ours without one.
        text: String = String::new(),
    }

    /// `googlechat_configs`, ours.
    GoogleChatConfig, resolved: true,
    hidden {
        webhook_url: Option<Secret>,
        webhook_url_file: Option<PathBuf>,
    }
    filled {
        /// Where to.
        url: SecretSource,
    }
    read {
        /// Text; ours without one.
        text: String = String::new(),
    }

    /// `ntfy_configs`, ours.
    NtfyConfig, resolved: true,
    hidden {
        token: Option<Secret>,
        token_file: Option<PathBuf>,
    }
    filled {
        /// Who says it, where the server asks.
        access: Option<SecretSource>,
    }
    read {
        /// The server.
        url: String = "https://ntfy.sh".into(),
        /// Which topic.
        topic: String = String::new(),
        /// Headline; ours without one.
        title: String = String::new(),
        /// Text; ours without one.
        message: String = String::new(),
        /// Tags beside it.
        tags: Vec<String> = Vec::new(),
    }

    /// `sms_configs`, ours: a provider's API.
    SmsConfig, resolved: false,
    hidden {
        token: Option<Secret>,
        token_file: Option<PathBuf>,
    }
    filled {
        /// The account's secret.
        access: SecretSource,
    }
    read {
        /// Which provider.
        provider: String = String::new(),
        /// The account there.
        account: String = String::new(),
        /// The sender's number or name.
        from: String = String::new(),
        /// Numbers that get it.
        to: Vec<String> = Vec::new(),
        /// The provider's address, where it is not the usual one.
        url: String = String::new(),
        /// Text; ours without one.
        text: String = String::new(),
    }
}

/// A field of a Slack message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlackField {
    /// Headline.
    pub title: String,
    /// Text.
    pub value: String,
    /// Whether it stands beside another.
    pub short: Option<bool>,
}

/// A button of a Slack message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlackAction {
    /// Usually `button`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What stands on it.
    pub text: String,
    /// Where it leads.
    pub url: String,
    /// `default`, `primary` or `danger`.
    pub style: String,
    /// Its name, where it leads to Slack's app.
    pub name: String,
    /// Its value there.
    pub value: String,
    /// A question before.
    pub confirm: Option<SlackConfirmation>,
}

/// A question before a button's action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlackConfirmation {
    /// The question.
    pub text: String,
    /// Headline.
    pub title: String,
    /// Yes.
    pub ok_text: String,
    /// No.
    pub dismiss_text: String,
}

/// A picture of a PagerDuty event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PagerdutyImage {
    /// Where it lies.
    pub src: String,
    /// Text instead.
    pub alt: String,
    /// Where it leads.
    pub href: String,
}

/// A link of a PagerDuty event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PagerdutyLink {
    /// Where it leads.
    pub href: String,
    /// What stands there.
    pub text: String,
}

/// What Alertmanager adds to `details` where it is not there (`DefaultPagerdutyDetails`).
pub(super) fn pagerduty_details(details: &mut BTreeMap<String, String>) {
    let usual = [
        ("firing", "{{ template \"pagerduty.default.instances\" .Alerts.Firing }}"),
        ("resolved", "{{ template \"pagerduty.default.instances\" .Alerts.Resolved }}"),
        ("num_firing", "{{ .Alerts.Firing | len }}"),
        ("num_resolved", "{{ .Alerts.Resolved | len }}"),
    ];
    for (name, text) in usual {
        details.entry(name.into()).or_insert_with(|| text.into());
    }
}
