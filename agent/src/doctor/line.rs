//! The line to the hub: whether it answers, through which proxy, and who issued the certificate that it shows.

use std::time::Duration;

use vitrina_host::certificate::{Certificate, day};
use vitrina_host::clock::now_ms;
use vitrina_host::output::Lang;
use vitrina_host::say;
use vitrina_host::when::rfc3339_ms;

use super::Finding;
use crate::core::Core;
use crate::hub_client::{HubClient, HubError, Line};
use crate::situation::{HubState, in_words};

/// How long the hub may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at the hub and at its certificate.
pub(super) async fn look(core: &Core, lang: Lang) -> Vec<Finding> {
    let Some(identity) = core.identity() else {
        return vec![Finding::ill(
            "hub",
            say!(
                lang,
                "this agent is not enrolled",
                "агент не подключён к хабу"
            ),
            "vitrina-agent enrol --hub URL --code CODE".to_owned(),
        )];
    };
    let line = match identity.line(core.config(), core.folder()) {
        Ok(line) => line,
        Err(error) => {
            let advice = say!(
                lang,
                "put the file there, or take ca out of agent.toml",
                "положите файл на место или уберите ca из agent.toml"
            );
            return vec![Finding::ill("hub", in_words(&error), advice)];
        }
    };
    let answered = soon(async { HubClient::new(&line)?.health().await }).await;
    let mut findings = vec![hub(&line, &answered, lang)];
    let state = core.situation().hub_state();
    findings.extend(version(&state, lang));
    findings.extend(refused(&state, lang));
    if line.url.starts_with("https://") {
        let shown = soon(HubClient::certificate(&line)).await;
        findings.push(certificate(shown, answered.is_ok(), lang));
    }
    findings
}

async fn soon<T>(asked: impl Future<Output = Result<T, HubError>>) -> Result<T, HubError> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answered) => answered,
        Err(_) => Err(HubError::Busy {
            status: 0,
            retry_after: None,
        }),
    }
}

fn hub(line: &Line, answered: &Result<(), HubError>, lang: Lang) -> Finding {
    let trust = if line.ca.is_some() {
        say!(
            lang,
            "the hub's own authority alone",
            "только собственный центр хаба"
        )
    } else {
        say!(lang, "the system", "система")
    };
    let (url, proxy) = (&line.url, &line.proxy);
    match answered {
        Ok(()) => Finding::well(
            "hub",
            say!(
                lang,
                "{url} answers (proxy {proxy}, trust {trust})",
                "{url} отвечает (прокси {proxy}, доверие {trust})"
            ),
        ),
        Err(error) => {
            let why = in_words(error);
            let found = say!(
                lang,
                "{url}: {why} (proxy {proxy}, trust {trust})",
                "{url}: {why} (прокси {proxy}, доверие {trust})"
            );
            let advice = say!(
                lang,
                "check cable and modem, the proxy in agent.toml, the clock, and with a company's own authority the key ca in agent.toml",
                "проверьте кабель и модем, proxy в agent.toml, часы, а при своём центре сертификации — ключ ca в agent.toml"
            );
            Finding::ill("hub", found, advice)
        }
    }
}

/// Whether the hub reads what this agent sends.
fn version(hub: &HubState, lang: Lang) -> Option<Finding> {
    if hub.word() != "upgrade_required" {
        return None;
    }
    let why = hub.detail().unwrap_or_default();
    Some(Finding::ill(
        "version",
        say!(
            lang,
            "the hub is too old for this agent ({why}); the shop sells on and keeps everything",
            "хаб слишком старый для этого агента ({why}); магазин продаёт, всё сохраняется"
        ),
        say!(
            lang,
            "ask head office to update the hub, or put the agent's former version back",
            "попросите офис обновить хаб или верните прежнюю версию агента"
        ),
    ))
}

/// Whether the hub lets this device in.
fn refused(hub: &HubState, lang: Lang) -> Option<Finding> {
    if !matches!(hub.word(), "revoked" | "unauthorized") {
        return None;
    }
    let why = hub.word();
    Some(Finding::ill(
        "device",
        say!(
            lang,
            "the hub does not let this shop in ({why}); it sells on and keeps everything",
            "хаб не впускает этот магазин ({why}); он продаёт, всё сохраняется"
        ),
        say!(
            lang,
            "ask head office why; vitrina-hub shop recode SHOP there and vitrina-agent enrol here bring it back",
            "спросите офис о причине; вернуть магазин: там vitrina-hub shop recode МАГАЗИН, здесь vitrina-agent enrol"
        ),
    ))
}

/// What the line's other end shows, trusted or not: a proxy that opens the line shows one of its own company.
fn certificate(shown: Result<Option<Vec<u8>>, HubError>, is_trusted: bool, lang: Lang) -> Finding {
    let Ok(Some(der)) = shown else {
        let found = say!(
            lang,
            "none was shown: the hub cannot be reached",
            "не показан: хаб недоступен"
        );
        return Finding::well("certificate", found);
    };
    let Some(Certificate {
        subject,
        issuer,
        since_ms,
        until_ms,
    }) = Certificate::read(&der)
    else {
        return Finding::ill(
            "certificate",
            say!(lang, "it cannot be read", "его нельзя прочитать"),
            say!(
                lang,
                "ask who runs the hub and the proxy",
                "спросите тех, кто ведёт хаб и прокси"
            ),
        );
    };
    let (since, until) = (day(since_ms), day(until_ms));
    let found = say!(
        lang,
        "of {subject}, issued by {issuer}, good from {since} to {until}",
        "выдан для {subject}, издатель {issuer}, действует с {since} по {until}"
    );
    if is_trusted {
        return Finding::well("certificate", found);
    }
    let now = now_ms();
    if !(since_ms..=until_ms).contains(&now) {
        let clock = rfc3339_ms(now);
        let advice = say!(
            lang,
            "the clock of this machine shows {clock}: set it, or have the hub's certificate renewed",
            "часы этого компьютера показывают {clock}: переведите их или обновите сертификат хаба"
        );
        return Finding::ill("certificate", found, advice);
    }
    Finding::ill(
        "certificate",
        found,
        say!(
            lang,
            "if the issuer is your company's proxy or authority, put its certificate (PEM) beside agent.toml and name it there as ca; if you do not know it, somebody else answers for the hub",
            "если издатель — прокси или центр вашей компании, положите его сертификат (PEM) рядом с agent.toml и укажите там ca; если издатель незнаком, за хаб отвечает кто-то другой"
        ),
    )
}
