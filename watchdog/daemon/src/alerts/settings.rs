//! `[alerts]` and the secrets beside it: which sinks there are.

use std::{ffi::OsString, time::Duration};

use serde::Deserialize;

use super::{
    email::EmailConfig,
    ping::Ping,
    post::is_safe,
    queue::Rules,
    quiet::{Quiet, QuietConfig},
    sink::{Bot, Sink},
};
use crate::{
    ambient,
    error::Error,
    machine::Severity,
    secret::{Secret, secret},
};

/// Chats; each is a sink with a thread of its own.
const MAX_CHATS: usize = 8;
/// Bytes of the name.
const MAX_NAME: usize = 64;

/// `[alerts]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AlertsConfig {
    /// Two watchdogs of one machine need two names: PagerDuty knows incidents by it.
    name: Option<String>,
    min_severity: MinSeverity,
    repeat_minutes: u64,
    telegram_chat_ids: Vec<i64>,
    command: Vec<String>,
    telegram_url: String,
    pagerduty_url: String,
    quiet: Option<QuietConfig>,
    email: Option<EmailConfig>,
}

/// Of each sink.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MinSeverity {
    discord: Severity,
    telegram: Severity,
    pagerduty: Severity,
    email: Severity,
    webhook: Severity,
    command: Severity,
}

impl Default for MinSeverity {
    fn default() -> Self {
        let (all, urgent) = (Severity::Info, Severity::Warning);
        Self { discord: all, telegram: all, pagerduty: urgent, email: all, webhook: all, command: all }
    }
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            name: None,
            min_severity: MinSeverity::default(),
            repeat_minutes: 15,
            telegram_chat_ids: Vec::new(),
            command: Vec::new(),
            telegram_url: "https://api.telegram.org".into(),
            pagerduty_url: "https://events.pagerduty.com".into(),
            quiet: None,
            email: None,
        }
    }
}

impl AlertsConfig {
    /// Checks what the file alone says.
    ///
    /// # Errors
    /// The sentence about what is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        let rules = [
            (
                self.name.as_ref().is_none_or(|name| {
                    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
                }),
                "`[alerts] name` must be one word of 1 to 64 plain characters",
            ),
            ((1..=1440).contains(&self.repeat_minutes), "`[alerts] repeat_minutes` must be within 1..=1440"),
            (self.telegram_chat_ids.len() <= MAX_CHATS, "`[alerts] telegram_chat_ids` has more than 8 chats"),
            (
                is_safe(&self.telegram_url) && is_safe(&self.pagerduty_url),
                "`[alerts] telegram_url` and `pagerduty_url` must begin with https:// (http:// only on \
                 loopback)",
            ),
            (
                self.command.first().is_none_or(|program| program.starts_with('/')),
                "`[alerts] command` must begin with an absolute path",
            ),
        ];
        let broken = rules.iter().find(|(holds, _)| !holds);
        broken.map_or(Ok(()), |(_, sentence)| Err((*sentence).to_owned()))?;
        self.email.as_ref().map_or(Ok(()), EmailConfig::check)?;
        self.quiet.as_ref().map_or(Ok(()), |quiet| quiet.hours().map(drop))
    }

    /// When only what is critical is told.
    pub(crate) fn quiet(&self) -> Option<Quiet> {
        self.quiet.as_ref().and_then(|quiet| quiet.hours().ok())
    }

    /// Every sink whose secret, or command, is there.
    ///
    /// # Errors
    /// [`Error::Config`] when a secret is none; its text is never in it.
    pub(crate) fn sinks(
        &self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Vec<(Sink, Rules)>, Error> {
        let least = self.min_severity;
        let mut sinks = Vec::new();
        if let Some(url) = address(&variable, "DISCORD_WEBHOOK_URL")? {
            sinks.push((Sink::Discord { url }, least.discord));
        }
        if let Some(bot) = self.bot(&variable)? {
            let chats = self.telegram_chat_ids.iter();
            let chat = |chat: &i64| (Sink::Telegram { bot: bot.clone(), chat: *chat }, least.telegram);
            sinks.extend(chats.map(chat));
        }
        if let Some(routing_key) = secret(&variable, "PAGERDUTY_ROUTING_KEY")? {
            sinks.push((Sink::PagerDuty { url: self.pagerduty_url.clone(), routing_key }, least.pagerduty));
        }
        if let Some(email) = &self.email {
            let mail = |(server, envelope)| (Sink::Email { server, envelope }, least.email);
            sinks.extend(email.mails(&variable)?.into_iter().map(mail));
        } else if secret(&variable, "SMTP_PASSWORD")?.is_some() {
            let text = "SMTP_PASSWORD is set, but there is no section `[alerts.email]`";
            return Err(Error::Config(text.into()));
        }
        if let Some(url) = address(&variable, "ALERT_WEBHOOK_URL")? {
            let signing_key = secret(&variable, "ALERT_WEBHOOK_SECRET")?;
            sinks.push((Sink::Webhook { url, signing_key }, least.webhook));
        }
        if !self.command.is_empty() {
            sinks.push((Sink::Command { argv: self.command.clone() }, least.command));
        }
        let repeat = Duration::from_secs(60 * self.repeat_minutes);
        let ruled = |(sink, min_severity): (Sink, _)| {
            let rules = Rules { min_severity, repeat, resolves: sink.resolves() };
            (sink, rules)
        };
        Ok(sinks.into_iter().map(ruled).collect())
    }

    /// The bot, when there is a token; then there are chats.
    ///
    /// # Errors
    /// [`Error::Config`] when the token is none, or nobody may speak to the bot.
    pub(crate) fn bot(&self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Bot>, Error> {
        let name = "TELEGRAM_BOT_TOKEN";
        let Some(token) = secret(variable, name)? else {
            return Ok(None);
        };
        let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
        if !token.expose().chars().all(is_token) {
            return Err(Error::Config(format!("the environment variable {name} holds no token of a bot")));
        }
        if self.telegram_chat_ids.is_empty() {
            let text = format!("{name} is set, but `[alerts] telegram_chat_ids` names no chat");
            return Err(Error::Config(text));
        }
        Ok(Some(Bot { url: self.telegram_url.clone(), token }))
    }

    /// The check-in service, when there is an address of one.
    ///
    /// # Errors
    /// [`Error::Config`] when the address is none.
    pub(crate) fn ping(&self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Ping>, Error> {
        Ok(address(variable, "ALERT_PING_URL")?.map(|url| Ping { url }))
    }

    /// What this watchdog is called; the machine's name, unless the file says another.
    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(ambient::host_name)
    }

    /// Who may speak to the bot.
    pub(crate) fn chats(&self) -> &[i64] {
        &self.telegram_chat_ids
    }
}

fn address(variable: impl Fn(&str) -> Option<OsString>, name: &str) -> Result<Option<Secret>, Error> {
    let url = secret(variable, name)?;
    if url.as_ref().is_some_and(|url| !is_safe(url.expose())) {
        let text = format!("the environment variable {name} must hold an address that begins with https://");
        return Err(Error::Config(text));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sinks(text: &str, pairs: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let config: AlertsConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check()?;
        let variable =
            |name: &str| pairs.iter().find(|(own, _)| *own == name).map(|(_, text)| OsString::from(text));
        let sinks = config.sinks(variable).map_err(|error| error.to_string())?;
        assert!(!format!("{sinks:?}").contains("hush"), "{sinks:?}");
        Ok(sinks.iter().map(|(sink, rules)| format!("{} {:?}", sink.name(), rules.min_severity)).collect())
    }

    #[test]
    fn a_sink_is_there_when_its_secret_is() {
        let none: Vec<String> = Vec::new();
        assert_eq!(sinks("", &[]), Ok(none.clone()));
        assert_eq!(sinks("telegram_chat_ids = [5]", &[]), Ok(none));
        let text = "telegram_chat_ids = [5, -6]\ncommand = [\"/bin/x\"]\nmin_severity = { webhook = \
             \"critical\" }\n[email]\nserver = \"a.b:25\"\nfrom = \"c@d\"\nto = [\"e@f\"]";
        let all = [
            ("DISCORD_WEBHOOK_URL", "https://discord.com/api/webhooks/1/hush"),
            ("TELEGRAM_BOT_TOKEN", "1:hush"),
            ("PAGERDUTY_ROUTING_KEY", "hush"),
            ("ALERT_WEBHOOK_URL", "http://127.0.0.1:1/hush"),
            ("ALERT_WEBHOOK_SECRET", "hush"),
            ("SMTP_USERNAME", "hush"),
            ("SMTP_PASSWORD", "hush"),
        ];
        let expected = [
            "discord Info",
            "telegram chat 5 Info",
            "telegram chat -6 Info",
            "pagerduty Warning",
            "e-mail to e@f Info",
            "webhook Critical",
            "command Info",
        ];
        assert_eq!(sinks(text, &all), Ok(expected.map(String::from).to_vec()));
    }

    #[test]
    fn what_is_wrong_is_a_sentence_without_the_secret() {
        let refused = |text: &str, pairs: &[(&str, &str)], words: &str| {
            let error = sinks(text, pairs).expect_err(words);
            assert!(error.contains(words) && !error.contains("hush"), "{error}");
        };
        refused("repeat_minutes = 0", &[], "repeat_minutes");
        refused("name = \"a b\"", &[], "[alerts] name");
        refused("telegram_chat_ids = [1,2,3,4,5,6,7,8,9]", &[], "more than 8");
        refused("telegram_url = \"http://a.b\"", &[], "telegram_url");
        refused("pagerduty_url = \"http://a.b\"", &[], "pagerduty_url");
        refused("command = [\"x\"]", &[], "absolute");
        refused("", &[("SMTP_PASSWORD", "hush")], "no section `[alerts.email]`");
        refused("[email]\nserver = \"a:1\"\nfrom = \"x\"\nto = []", &[], "[alerts.email] from");
        refused("[quiet]\nfrom = \"1\"\nto = \"2\"\nzone = \"UTC\"", &[], "[alerts.quiet] from");
        refused("", &[("DISCORD_WEBHOOK_URL", "http://a.b/hush")], "DISCORD_WEBHOOK_URL must");
        refused("", &[("ALERT_WEBHOOK_URL", "hush")], "ALERT_WEBHOOK_URL must");
        refused("", &[("TELEGRAM_BOT_TOKEN", "1:hush")], "names no chat");
        refused("telegram_chat_ids = [1]", &[("TELEGRAM_BOT_TOKEN", "1/hush")], "no token");
    }
}
