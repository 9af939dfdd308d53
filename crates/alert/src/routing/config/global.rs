//! `global`: what receivers take where they say nothing themselves.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::period::Period;
use super::http::{HttpConfig, HttpYaml, TlsConfig};
use super::values::{Context, Secret, SecretSource, check_url};
use super::yaml::Flaw;

/// Defaults of all receivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// After how long an alert of others that is not heard of again counts as resolved; 5 minutes.
    pub resolve_timeout: Duration,
    /// How requests are made.
    pub http: HttpConfig,
    /// Who letters are from.
    pub smtp_from: String,
    /// How we greet the mail server.
    pub smtp_hello: String,
    /// `host:port` of the mail server; empty where none is named.
    pub smtp_smarthost: String,
    /// User at the mail server.
    pub smtp_auth_username: String,
    /// Its password.
    pub smtp_auth_password: Option<SecretSource>,
    /// The secret of CRAM-MD5.
    pub smtp_auth_secret: Option<Secret>,
    /// The identity of PLAIN.
    pub smtp_auth_identity: String,
    /// Whether letters need TLS.
    pub smtp_require_tls: bool,
    /// Trust and own certificate at the mail server.
    pub smtp_tls: TlsConfig,
    /// Slack's address.
    pub slack_api_url: Option<SecretSource>,
    /// PagerDuty's address.
    pub pagerduty_url: String,
    /// Telegram's address.
    pub telegram_api_url: String,
    /// Telegram's token.
    pub telegram_bot_token: Option<SecretSource>,
    /// Mattermost's address.
    pub mattermost_webhook_url: Option<SecretSource>,
}

/// As written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct GlobalYaml {
    resolve_timeout: Option<Period>,
    http_config: Option<HttpYaml>,
    smtp_from: Option<String>,
    smtp_hello: Option<String>,
    smtp_smarthost: Option<String>,
    smtp_auth_username: Option<String>,
    smtp_auth_password: Option<Secret>,
    smtp_auth_password_file: Option<PathBuf>,
    smtp_auth_secret: Option<Secret>,
    smtp_auth_identity: Option<String>,
    smtp_require_tls: Option<bool>,
    smtp_tls_config: Option<TlsConfig>,
    slack_api_url: Option<Secret>,
    slack_api_url_file: Option<PathBuf>,
    pagerduty_url: Option<String>,
    telegram_api_url: Option<String>,
    telegram_bot_token: Option<Secret>,
    telegram_bot_token_file: Option<PathBuf>,
    mattermost_webhook_url: Option<Secret>,
    mattermost_webhook_url_file: Option<PathBuf>,
    slack_app_token: Option<IgnoredAny>,
    slack_app_token_file: Option<IgnoredAny>,
    slack_app_url: Option<IgnoredAny>,
    opsgenie_api_url: Option<IgnoredAny>,
    opsgenie_api_key: Option<IgnoredAny>,
    opsgenie_api_key_file: Option<IgnoredAny>,
    wechat_api_url: Option<IgnoredAny>,
    wechat_api_secret: Option<IgnoredAny>,
    wechat_api_secret_file: Option<IgnoredAny>,
    wechat_api_corp_id: Option<IgnoredAny>,
    victorops_api_url: Option<IgnoredAny>,
    victorops_api_key: Option<IgnoredAny>,
    victorops_api_key_file: Option<IgnoredAny>,
    webex_api_url: Option<IgnoredAny>,
    jira_api_url: Option<IgnoredAny>,
    rocketchat_api_url: Option<IgnoredAny>,
    rocketchat_token: Option<IgnoredAny>,
    rocketchat_token_file: Option<IgnoredAny>,
    rocketchat_token_id: Option<IgnoredAny>,
    rocketchat_token_id_file: Option<IgnoredAny>,
}

impl GlobalYaml {
    /// Keys that are there for receivers that we do not have, so that they have no effect.
    pub(super) fn unused(&self) -> Vec<&'static str> {
        let keys = [
            ("slack_app_token", &self.slack_app_token),
            ("slack_app_token_file", &self.slack_app_token_file),
            ("slack_app_url", &self.slack_app_url),
            ("opsgenie_api_url", &self.opsgenie_api_url),
            ("opsgenie_api_key", &self.opsgenie_api_key),
            ("opsgenie_api_key_file", &self.opsgenie_api_key_file),
            ("wechat_api_url", &self.wechat_api_url),
            ("wechat_api_secret", &self.wechat_api_secret),
            ("wechat_api_secret_file", &self.wechat_api_secret_file),
            ("wechat_api_corp_id", &self.wechat_api_corp_id),
            ("victorops_api_url", &self.victorops_api_url),
            ("victorops_api_key", &self.victorops_api_key),
            ("victorops_api_key_file", &self.victorops_api_key_file),
            ("webex_api_url", &self.webex_api_url),
            ("jira_api_url", &self.jira_api_url),
            ("rocketchat_api_url", &self.rocketchat_api_url),
            ("rocketchat_token", &self.rocketchat_token),
            ("rocketchat_token_file", &self.rocketchat_token_file),
            ("rocketchat_token_id", &self.rocketchat_token_id),
            ("rocketchat_token_id_file", &self.rocketchat_token_id_file),
        ];
        keys.into_iter().filter(|(_, value)| value.is_some()).map(|(key, _)| key).collect()
    }

    pub(super) fn check(self, context: Context) -> Result<Global, Flaw> {
        let http = self.http_config.unwrap_or_default().check(context).map_err(|f| f.under("http_config"))?;
        let smtp_tls = self.smtp_tls_config.unwrap_or_default();
        smtp_tls.check(context).map_err(|f| f.under("smtp_tls_config"))?;
        let smtp_smarthost = self.smtp_smarthost.unwrap_or_default();
        check_host_port("smtp_smarthost", &smtp_smarthost)?;
        let address = |key, given: Option<String>, default: &str| {
            let url = given.unwrap_or_else(|| default.into());
            check_url(key, &url).map(|()| url)
        };
        let pagerduty = "https://events.pagerduty.com/v2/enqueue";
        Ok(Global {
            resolve_timeout: self.resolve_timeout.map_or(Duration::from_secs(300), |period| period.0),
            http,
            smtp_from: self.smtp_from.unwrap_or_default(),
            smtp_hello: self.smtp_hello.unwrap_or_else(|| "localhost".into()),
            smtp_smarthost,
            smtp_auth_username: self.smtp_auth_username.unwrap_or_default(),
            smtp_auth_password: context.secret(
                "smtp_auth_password",
                &self.smtp_auth_password,
                &self.smtp_auth_password_file,
            )?,
            smtp_auth_secret: self.smtp_auth_secret,
            smtp_auth_identity: self.smtp_auth_identity.unwrap_or_default(),
            smtp_require_tls: self.smtp_require_tls.unwrap_or(true),
            smtp_tls,
            slack_api_url: context.secret_url(
                "slack_api_url",
                &self.slack_api_url,
                &self.slack_api_url_file,
            )?,
            pagerduty_url: address("pagerduty_url", self.pagerduty_url, pagerduty)?,
            telegram_api_url: address("telegram_api_url", self.telegram_api_url, "https://api.telegram.org")?,
            telegram_bot_token: context.secret(
                "telegram_bot_token",
                &self.telegram_bot_token,
                &self.telegram_bot_token_file,
            )?,
            mattermost_webhook_url: context.secret_url(
                "mattermost_webhook_url",
                &self.mattermost_webhook_url,
                &self.mattermost_webhook_url_file,
            )?,
        })
    }
}

/// A host and a port; empty where nothing is named.
pub(super) fn check_host_port(key: &str, text: &str) -> Result<(), Flaw> {
    let port = text.rsplit_once(':').map(|(_, port)| port);
    if text.is_empty() || port.is_some_and(|port| !port.is_empty()) {
        return Ok(());
    }
    Err(Flaw::at(key, "has no port; write it like mail.example.org:587"))
}
