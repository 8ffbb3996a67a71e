//! `cert`.

use std::path::PathBuf;

use serde_json::json;
use vitrina_host::clock;
use vitrina_host::output::{Exit, Out};
use vitrina_host::say;
use vitrina_shared::TimeMs;

use crate::certificate::{self, Files};

#[derive(Debug, clap::Args)]
pub(super) struct CertArgs {
    /// A name or an address by which agents and the website call the hub; again for more
    #[arg(long = "name", value_name = "NAME", required = true)]
    names: Vec<String>,
    /// The certificate: serve --tls-cert takes it, and the agents' enrol --ca
    #[arg(long, value_name = "F")]
    out_cert: PathBuf,
    /// Its key, for serve --tls-key; one that is there is used again, and then agents need no new certificate
    #[arg(long, value_name = "F")]
    out_key: PathBuf,
    /// How many days it is good
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3_650))]
    days: u16,
}

/// Makes a certificate that nobody else vouches for.
pub(super) fn cert(args: &CertArgs, json: bool, out: &mut Out) -> anyhow::Result<Exit> {
    let files = Files {
        cert: &args.out_cert,
        key: &args.out_key,
    };
    let now = TimeMs(clock::now_ms());
    let until = certificate::make(args.names.clone(), &files, (now, args.days))?;
    if json {
        out.json(&json!({
            "names": args.names,
            "cert": args.out_cert,
            "key": args.out_key,
            "until": until.to_string(),
        }))?;
        return Ok(Exit::Done);
    }
    let (cert, key) = (args.out_cert.display(), args.out_key.display());
    out.line(say!(
        out.lang(),
        "good until {until}: vitrina-hub serve --tls-cert {cert} --tls-key {key}, and at the shops vitrina-agent enrol --ca {cert}",
        "действует до {until}: vitrina-hub serve --tls-cert {cert} --tls-key {key}, а в магазинах vitrina-agent enrol --ca {cert}"
    ))?;
    Ok(Exit::Done)
}
