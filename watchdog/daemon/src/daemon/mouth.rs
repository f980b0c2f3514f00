//! The ways out to humans, and the one way in.

use std::sync::{Arc, mpsc::SyncSender};

use super::Daemon;
use crate::{
    admin::Board,
    alerts::{Alarms, Alerts, News, Post, entry_of_host},
    ambient, chat,
    config::Config,
    error::Error,
    log::{Level, Log},
    mailbox::Mailbox,
};

/// What is told, and by whom.
pub(super) struct Mouth {
    pub(super) alerts: Alerts,
    /// Of the host.
    pub(super) alarms: Alarms,
    /// Ends the chat's thread when dropped.
    _chat: Option<SyncSender<()>>,
    /// The same for that of the pings.
    _ping: Option<SyncSender<()>>,
}

impl Mouth {
    /// Opens every way whose secret is there.
    ///
    /// # Errors
    /// When a secret is none, or a thread is refused.
    pub(super) fn open(
        config: &Config,
        board: &Arc<Board>,
        mailbox: &Mailbox,
        log: &Log,
    ) -> Result<Self, Error> {
        let post = Post::new();
        let name = config.alerts.name();
        let sinks = config.alerts.sinks(ambient::variable)?;
        let names: Vec<_> = sinks.iter().map(|(sink, _)| sink.name()).collect();
        let names = if names.is_empty() { "nobody: no sink is configured".into() } else { names.join(", ") };
        log.write(Level::Notice, format!("alerts go to {names}"));
        let alerts = Alerts::start(sinks, config.alerts.quiet().as_ref(), &name, &post, log)?;
        let bot = config.alerts.bot(ambient::variable)?;
        let chat = bot.map(|bot| chat::start(bot, &post, config, mailbox, log)).transpose()?;
        let ping = config.alerts.ping(ambient::variable)?;
        let ping = ping.map(|ping| ping.start(name, Arc::clone(board), mailbox.clone(), log.clone()));
        Ok(Self { alerts, alarms: Alarms::default(), _chat: chat, _ping: ping.transpose()? })
    }
}

impl Daemon {
    /// What the host says to humans.
    pub(super) fn pass_on(&self, news: News) {
        let now = ambient::now();
        self.enter(entry_of_host(&news));
        self.mouth.alerts.pass(news, self.machine.status(None, now.boot).state, now.unix_s);
    }
}
