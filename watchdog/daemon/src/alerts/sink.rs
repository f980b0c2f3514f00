//! The six ways out.

use std::{fmt::Write, sync::Arc};

use ring::hmac;
use serde_json::Value;

use super::{
    letter::Letter,
    mail::Envelope,
    post::{CALL_WAIT, Post},
    queue::Failure,
    runner,
    smtp::{self, Server},
    wording,
};
use crate::{machine::Severity, secret::Secret};

/// One receiver, with what it takes to reach it.
#[derive(Clone, Debug)]
pub(crate) enum Sink {
    /// A channel's webhook.
    Discord {
        /// Its address is its secret.
        url: Secret,
    },
    /// A bot's message to one chat.
    Telegram {
        /// Where the bot is.
        bot: Bot,
        /// The chat.
        chat: i64,
    },
    /// An integration of Events v2.
    PagerDuty {
        /// Where it is.
        url: String,
        /// The integration's key.
        routing_key: Secret,
    },
    /// An e-mail to one human.
    Email {
        /// Who takes it.
        server: Arc<Server>,
        /// From whom and to whom.
        envelope: Envelope,
    },
    /// Somebody's own endpoint.
    Webhook {
        /// Its address.
        url: Secret,
        /// Signs the body.
        signing_key: Option<Secret>,
    },
    /// A program on this machine.
    Command {
        /// It and its arguments.
        argv: Vec<String>,
    },
}

/// A Telegram bot.
#[derive(Clone, Debug)]
pub(crate) struct Bot {
    /// Of the service, without the token.
    pub(crate) url: String,
    /// Part of every address.
    pub(crate) token: Secret,
}

impl Bot {
    /// Calls `method`.
    ///
    /// # Errors
    /// As [`Post::send`].
    pub(crate) fn call(
        &self,
        post: &Post,
        method: &str,
        body: &Value,
        wait: std::time::Duration,
    ) -> Result<Value, Failure> {
        let url = format!("{}/bot{}/{method}", self.url.trim_end_matches('/'), self.token.expose());
        let hint = "check TELEGRAM_BOT_TOKEN and `[alerts] telegram_chat_ids`; each chat has to have written \
                    to the bot once";
        post.send(&url, None, &body.to_string(), wait, hint)
    }
}

impl Sink {
    /// For logs.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Discord { .. } => "discord".into(),
            Self::Telegram { chat, .. } => format!("telegram chat {chat}"),
            Self::PagerDuty { .. } => "pagerduty".into(),
            Self::Email { envelope, .. } => format!("e-mail to {}", envelope.to),
            Self::Webhook { .. } => "webhook".into(),
            Self::Command { .. } => "command".into(),
        }
    }

    /// Whether it is told what is over, of whatever severity.
    pub(crate) fn resolves(&self) -> bool {
        match self {
            Self::PagerDuty { .. } => true,
            Self::Discord { .. } | Self::Telegram { .. } | Self::Email { .. } => false,
            Self::Webhook { .. } | Self::Command { .. } => false,
        }
    }

    /// Sends one letter.
    ///
    /// # Errors
    /// When it did not arrive, or nobody knows.
    pub(crate) fn send(&self, post: &Post, letter: &Letter, host: &str) -> Result<(), Failure> {
        match self {
            Self::Discord { url } => {
                let body = wording::discord(letter, host).to_string();
                post.send(url.expose(), None, &body, CALL_WAIT, "check DISCORD_WEBHOOK_URL")?;
            }
            Self::Telegram { bot, chat } => {
                let is_silent = letter.severity == Severity::Info || letter.is_over();
                let body = wording::telegram(*chat, &wording::lines(letter, host), is_silent);
                bot.call(post, "sendMessage", &body, CALL_WAIT)?;
            }
            Self::PagerDuty { url, routing_key } => {
                let url = format!("{}/v2/enqueue", url.trim_end_matches('/'));
                for event in wording::pagerduty(letter, host, routing_key.expose()) {
                    post.send(&url, None, &event.to_string(), CALL_WAIT, "check PAGERDUTY_ROUTING_KEY")?;
                }
            }
            Self::Email { server, envelope } => {
                server.send(envelope, &envelope.message(letter, host), smtp::SESSION_WAIT)?;
            }
            Self::Webhook { url, signing_key } => {
                let body = wording::generic(letter, host).to_string();
                let signature = signing_key.as_ref().map(|key| sign(key, &body));
                let header = signature.as_ref().map(|signature| ("X-Sandpit-Signature", signature.as_str()));
                post.send(url.expose(), header, &body, CALL_WAIT, "check ALERT_WEBHOOK_URL")?;
            }
            Self::Command { argv } => {
                runner::run(argv, &wording::generic(letter, host), runner::COMMAND_WAIT)?;
            }
        }
        Ok(())
    }
}

/// HMAC-SHA256 of the body's bytes.
fn sign(key: &Secret, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    let mut text = String::from("sha256=");
    for byte in hmac::sign(&key, body.as_bytes()).as_ref() {
        write!(text, "{byte:02x}").expect("a text takes everything");
    }
    text
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
