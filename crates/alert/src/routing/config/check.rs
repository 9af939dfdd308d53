//! A receiver as written to a receiver that can be told, with the defaults of `global` filled in.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::global::{Global, check_host_port};
use super::http::{HttpConfig, HttpYaml};
use super::receivers::*;
use super::values::{Context, SecretSource, check_url};
use super::yaml::Flaw;

/// Most integrations of one receiver.
const INTEGRATIONS_MAX: usize = 256;

/// Who is told, by every integration at once.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The name that routes use.
    pub name: String,
    /// What is done.
    pub integrations: Vec<Integration>,
}

/// One way in which a receiver is told.
#[derive(Clone, Debug)]
pub struct Integration {
    /// Its name inside the receiver, `slack/0`: the log of notifications is kept by it.
    pub key: String,
    /// Whether it is told of what is resolved.
    pub send_resolved: bool,
    /// How its requests are made.
    pub http: HttpConfig,
    /// What is done.
    pub kind: IntegrationKind,
}

/// The kinds that there are.
#[derive(Clone, Debug)]
pub enum IntegrationKind {
    /// A letter.
    Email(Box<EmailConfig>),
    /// Slack.
    Slack(Box<SlackConfig>),
    /// A request to anybody.
    Webhook(WebhookConfig),
    /// PagerDuty.
    Pagerduty(Box<PagerdutyConfig>),
    /// Discord.
    Discord(DiscordConfig),
    /// Telegram.
    Telegram(TelegramConfig),
    /// Microsoft Teams by connector.
    MsTeams(MsTeamsConfig),
    /// Microsoft Teams by workflow.
    MsTeamsV2(MsTeamsV2Config),
    /// Mattermost.
    Mattermost(MattermostConfig),
    /// Google Chat.
    GoogleChat(GoogleChatConfig),
    /// ntfy.
    Ntfy(NtfyConfig),
    /// Text messages.
    Sms(SmsConfig),
}

/// As written. Kinds that we lack are known by name, so that the refusal can say so.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ReceiverYaml {
    pub(super) name: String,
    email_configs: Option<Vec<EmailConfig>>,
    slack_configs: Option<Vec<SlackConfig>>,
    webhook_configs: Option<Vec<WebhookConfig>>,
    pagerduty_configs: Option<Vec<PagerdutyConfig>>,
    discord_configs: Option<Vec<DiscordConfig>>,
    telegram_configs: Option<Vec<TelegramConfig>>,
    msteams_configs: Option<Vec<MsTeamsConfig>>,
    msteamsv2_configs: Option<Vec<MsTeamsV2Config>>,
    mattermost_configs: Option<Vec<MattermostConfig>>,
    googlechat_configs: Option<Vec<GoogleChatConfig>>,
    ntfy_configs: Option<Vec<NtfyConfig>>,
    sms_configs: Option<Vec<SmsConfig>>,
    opsgenie_configs: Option<Vec<IgnoredAny>>,
    victorops_configs: Option<Vec<IgnoredAny>>,
    pushover_configs: Option<Vec<IgnoredAny>>,
    wechat_configs: Option<Vec<IgnoredAny>>,
    sns_configs: Option<Vec<IgnoredAny>>,
    webex_configs: Option<Vec<IgnoredAny>>,
    jira_configs: Option<Vec<IgnoredAny>>,
    rocketchat_configs: Option<Vec<IgnoredAny>>,
    incidentio_configs: Option<Vec<IgnoredAny>>,
}

/// What a refusal lists.
const AVAILABLE: &str = "email_configs, slack_configs, webhook_configs, pagerduty_configs, discord_configs, \
     telegram_configs, msteams_configs, msteamsv2_configs, mattermost_configs, googlechat_configs, ntfy_configs, \
     sms_configs";

impl ReceiverYaml {
    pub(super) fn check(self, context: Context, global: &Global) -> Result<Receiver, Flaw> {
        if self.name.is_empty() {
            return Err(Flaw::at("name", "is missing; a receiver is named by routes"));
        }
        let foreign = [
            ("opsgenie_configs", &self.opsgenie_configs),
            ("victorops_configs", &self.victorops_configs),
            ("pushover_configs", &self.pushover_configs),
            ("wechat_configs", &self.wechat_configs),
            ("sns_configs", &self.sns_configs),
            ("webex_configs", &self.webex_configs),
            ("jira_configs", &self.jira_configs),
            ("rocketchat_configs", &self.rocketchat_configs),
            ("incidentio_configs", &self.incidentio_configs),
        ];
        let given = |configs: &Option<Vec<IgnoredAny>>| configs.as_ref().is_some_and(|list| !list.is_empty());
        if let Some((key, _)) = foreign.into_iter().find(|(_, configs)| given(configs)) {
            return Err(Flaw::at(key, format!("is not available; there are {AVAILABLE}")));
        }
        let mut add = Adder { context, global, integrations: Vec::new() };
        add.all("email", self.email_configs)?;
        add.all("slack", self.slack_configs)?;
        add.all("webhook", self.webhook_configs)?;
        add.all("pagerduty", self.pagerduty_configs)?;
        add.all("discord", self.discord_configs)?;
        add.all("telegram", self.telegram_configs)?;
        add.all("msteams", self.msteams_configs)?;
        add.all("msteamsv2", self.msteamsv2_configs)?;
        add.all("mattermost", self.mattermost_configs)?;
        add.all("googlechat", self.googlechat_configs)?;
        add.all("ntfy", self.ntfy_configs)?;
        add.all("sms", self.sms_configs)?;
        if add.integrations.len() > INTEGRATIONS_MAX {
            return Err(Flaw::here(format!(
                "has more than {INTEGRATIONS_MAX} integrations; split the receiver"
            )));
        }
        Ok(Receiver { name: self.name, integrations: add.integrations })
    }
}

struct Adder<'a> {
    context: Context,
    global: &'a Global,
    integrations: Vec<Integration>,
}

impl Adder<'_> {
    fn all<T: Kind>(&mut self, kind: &str, configs: Option<Vec<T>>) -> Result<(), Flaw> {
        for (i, config) in configs.into_iter().flatten().enumerate() {
            let one = self.one(format!("{kind}/{i}"), config);
            self.integrations.push(one.map_err(|flaw| flaw.nth(i).under(&format!("{kind}_configs")))?);
        }
        Ok(())
    }

    fn one<T: Kind>(&self, key: String, mut config: T) -> Result<Integration, Flaw> {
        let (send_resolved, http) = config.common();
        let http = match http {
            Some(http) => http.check(self.context).map_err(|flaw| flaw.under("http_config"))?,
            None => self.global.http.clone(),
        };
        Ok(Integration { key, send_resolved, http, kind: config.check(self.context, self.global)? })
    }
}

trait Kind {
    fn common(&mut self) -> (bool, Option<HttpYaml>);
    fn check(self, context: Context, global: &Global) -> Result<IntegrationKind, Flaw>;
}

/// The two settings that all kinds have.
macro_rules! common {
    () => {
        fn common(&mut self) -> (bool, Option<HttpYaml>) {
            (self.send_resolved, self.http_config.take())
        }
    };
}

fn needed(source: Option<SecretSource>, key: &str) -> Result<SecretSource, Flaw> {
    source.ok_or_else(|| Flaw::here(format!("{key} is missing; write it here, or its path as {key}_file")))
}

/// Where a receiver says nothing, `global` does.
fn or_global(own: &mut String, global: &str) {
    if own.is_empty() {
        *own = global.into();
    }
}

impl Kind for EmailConfig {
    common!();

    fn check(mut self, context: Context, global: &Global) -> Result<IntegrationKind, Flaw> {
        if self.to.is_empty() {
            return Err(Flaw::at("to", "is missing; name who gets the letter"));
        }
        let mut headers: Vec<String> = self.headers.keys().map(|name| name.to_ascii_lowercase()).collect();
        headers.sort_unstable();
        if let Some(twice) = headers.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Flaw::at("headers", format!("{:?} is there twice; remove one", twice[0])));
        }
        or_global(&mut self.smarthost, &global.smtp_smarthost);
        or_global(&mut self.from, &global.smtp_from);
        or_global(&mut self.hello, &global.smtp_hello);
        or_global(&mut self.auth_username, &global.smtp_auth_username);
        or_global(&mut self.auth_identity, &global.smtp_auth_identity);
        check_host_port("smarthost", &self.smarthost)?;
        if self.smarthost.is_empty() {
            return Err(Flaw::here("no mail server is named; write smarthost here or global.smtp_smarthost"));
        }
        if self.from.is_empty() {
            return Err(Flaw::here("nobody is named as the sender; write from here or global.smtp_from"));
        }
        let own = context.secret("auth_password", &self.auth_password, &self.auth_password_file)?;
        self.password = own.or_else(|| global.smtp_auth_password.clone());
        self.auth_secret = self.auth_secret.or_else(|| global.smtp_auth_secret.clone());
        self.needs_tls = self.require_tls.unwrap_or(global.smtp_require_tls);
        self.tls = self.tls_config.take().unwrap_or_else(|| global.smtp_tls.clone());
        self.tls.check(context).map_err(|flaw| flaw.under("tls_config"))?;
        Ok(IntegrationKind::Email(Box::new(self)))
    }
}

impl Kind for SlackConfig {
    common!();

    fn check(mut self, context: Context, global: &Global) -> Result<IntegrationKind, Flaw> {
        let own = context.secret_url("api_url", &self.api_url, &self.api_url_file)?;
        self.url = own.or_else(|| global.slack_api_url.clone()).ok_or_else(|| {
            Flaw::here("Slack's address is missing; write api_url here or global.slack_api_url")
        })?;
        for (i, field) in self.fields.iter().enumerate() {
            let missing =
                [("title", &field.title), ("value", &field.value)].into_iter().find(|(_, t)| t.is_empty());
            if let Some((key, _)) = missing {
                return Err(Flaw::at(key, "is missing; a field has a title and a value")
                    .nth(i)
                    .under("fields"));
            }
        }
        for (i, action) in self.actions.iter().enumerate() {
            action.check().map_err(|flaw| flaw.nth(i).under("actions"))?;
        }
        Ok(IntegrationKind::Slack(Box::new(self)))
    }
}

impl SlackAction {
    fn check(&self) -> Result<(), Flaw> {
        let missing = [("type", &self.kind), ("text", &self.text)].into_iter().find(|(_, t)| t.is_empty());
        if let Some((key, _)) = missing {
            return Err(Flaw::at(key, "is missing; a button has a type and a text"));
        }
        if self.url.is_empty() && self.name.is_empty() {
            return Err(Flaw::here("url and name are missing; a button has one of them"));
        }
        match &self.confirm {
            Some(confirm) if confirm.text.is_empty() => Err(Flaw::at("text", "is missing").under("confirm")),
            _ => Ok(()),
        }
    }
}

impl Kind for WebhookConfig {
    common!();

    fn check(mut self, context: Context, _: &Global) -> Result<IntegrationKind, Flaw> {
        self.target = needed(context.secret_url("url", &self.url, &self.url_file)?, "url")?;
        Ok(IntegrationKind::Webhook(self))
    }
}

impl Kind for PagerdutyConfig {
    common!();

    fn check(mut self, context: Context, global: &Global) -> Result<IntegrationKind, Flaw> {
        self.routing = context.secret("routing_key", &self.routing_key, &self.routing_key_file)?;
        self.service = context.secret("service_key", &self.service_key, &self.service_key_file)?;
        if self.routing.is_none() && self.service.is_none() {
            return Err(Flaw::here("routing_key is missing; write the key of the service's Events API v2"));
        }
        or_global(&mut self.url, &global.pagerduty_url);
        check_url("url", &self.url)?;
        if self.source.is_empty() {
            self.source = self.client.clone();
        }
        pagerduty_details(&mut self.details);
        Ok(IntegrationKind::Pagerduty(Box::new(self)))
    }
}

impl Kind for TelegramConfig {
    common!();

    fn check(mut self, context: Context, global: &Global) -> Result<IntegrationKind, Flaw> {
        let own = context.secret("bot_token", &self.bot_token, &self.bot_token_file)?;
        self.token = needed(own.or_else(|| global.telegram_bot_token.clone()), "bot_token")?;
        if self.chat_id == 0 {
            return Err(Flaw::here("chat_id is missing; write the number of the chat"));
        }
        if !["", "Markdown", "MarkdownV2", "HTML"].contains(&self.parse_mode.as_str()) {
            return Err(Flaw::at("parse_mode", "is not one of Markdown, MarkdownV2, HTML or empty"));
        }
        or_global(&mut self.api_url, &global.telegram_api_url);
        check_url("api_url", &self.api_url)?;
        Ok(IntegrationKind::Telegram(self))
    }
}

/// Kinds that need nothing but an address.
macro_rules! by_webhook {
    ($($config:ident => $kind:ident),*) => {$(
        impl Kind for $config {
            common!();

            fn check(mut self, context: Context, _: &Global) -> Result<IntegrationKind, Flaw> {
                let url = context.secret_url("webhook_url", &self.webhook_url, &self.webhook_url_file)?;
                self.url = needed(url, "webhook_url")?;
                Ok(IntegrationKind::$kind(self))
            }
        }
    )*};
}

by_webhook!(
    DiscordConfig => Discord,
    MsTeamsConfig => MsTeams,
    MsTeamsV2Config => MsTeamsV2,
    GoogleChatConfig => GoogleChat
);

impl Kind for MattermostConfig {
    common!();

    fn check(mut self, context: Context, global: &Global) -> Result<IntegrationKind, Flaw> {
        let own = context.secret_url("webhook_url", &self.webhook_url, &self.webhook_url_file)?;
        self.url = needed(own.or_else(|| global.mattermost_webhook_url.clone()), "webhook_url")?;
        Ok(IntegrationKind::Mattermost(self))
    }
}

impl Kind for NtfyConfig {
    common!();

    fn check(mut self, context: Context, _: &Global) -> Result<IntegrationKind, Flaw> {
        if self.topic.is_empty() {
            return Err(Flaw::here("topic is missing; name the topic that phones subscribe to"));
        }
        check_url("url", &self.url)?;
        self.access = context.secret("token", &self.token, &self.token_file)?;
        Ok(IntegrationKind::Ntfy(self))
    }
}

impl Kind for SmsConfig {
    common!();

    fn check(mut self, context: Context, _: &Global) -> Result<IntegrationKind, Flaw> {
        let texts = [("provider", &self.provider), ("account", &self.account), ("from", &self.from)];
        if let Some((key, _)) = texts.into_iter().find(|(_, text)| text.is_empty()) {
            return Err(Flaw::here(format!(
                "{key} is missing; a text message has provider, account, from, to"
            )));
        }
        if self.to.is_empty() || self.to.len() > INTEGRATIONS_MAX {
            return Err(Flaw::at("to", format!("write 1 to {INTEGRATIONS_MAX} numbers")));
        }
        if !self.url.is_empty() {
            check_url("url", &self.url)?;
        }
        self.access = needed(context.secret("token", &self.token, &self.token_file)?, "token")?;
        Ok(IntegrationKind::Sms(self))
    }
}
