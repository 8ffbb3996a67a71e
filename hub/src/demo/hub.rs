//! The demo's hub: a real server on a folder of its own, with its keys, shops and catalogue.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::Value;

use super::error::DemoError;
use super::goods::{CATALOGUE, Goods};
use super::process::{Programs, Server};

const PROGRAM: &str = "vitrina-hub";
/// Who looks after which shops, by the beginnings of their names.
const PEOPLE: [(&str, &[&str]); 2] = [("Ivanova", &["S00*"]), ("Petrov", &["S01*", "W*"])];

/// The running hub.
#[derive(Debug)]
pub(super) struct DemoHub {
    pub(super) data: PathBuf,
    pub(super) server: Server,
    /// A key of the website's role.
    pub(super) website: String,
    /// A key of the office's role.
    pub(super) office: String,
}

impl DemoHub {
    /// Starts it and makes its keys.
    pub(super) async fn start(programs: &Programs) -> Result<Self, DemoError> {
        let data = programs.logs.join("hub");
        vitrina_host::os::create_private_dir(&data)?;
        let server = programs.serve(PROGRAM, &data, "serve").await?;
        let mut keys = Vec::new();
        for role in ["website", "office"] {
            let args = ["key", "add", "--role", role, "--name", role, "--json"];
            let answer = programs.run(PROGRAM, &data, &args).await?.json()?;
            let key = answer.get("key").and_then(Value::as_str);
            keys.push(
                key.ok_or_else(|| DemoError::answer("key add", &answer))?
                    .to_owned(),
            );
        }
        let office = keys.pop().unwrap_or_default();
        let website = keys.pop().unwrap_or_default();
        Ok(Self {
            data,
            server,
            website,
            office,
        })
    }

    /// Adds the shops and gives their one-time codes.
    pub(super) async fn add(
        &self,
        goods: &Goods,
        programs: &Programs,
    ) -> Result<HashMap<String, String>, DemoError> {
        let file = programs.logs.join("shops.csv");
        std::fs::write(&file, &goods.shops_csv).map_err(DemoError::file("write", &file))?;
        let from = file.to_string_lossy();
        let args = ["shop", "add", "--from", &from, "--json"];
        let answer = programs.run(PROGRAM, &self.data, &args).await?.json()?;
        let items = answer.get("items").unwrap_or(&answer).as_array();
        let items = items.ok_or_else(|| DemoError::answer("shop add --from", &answer))?;
        let text =
            |item: &Value, name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
        let codes = items
            .iter()
            .filter_map(|item| Some((text(item, "shop")?, text(item, "code")?)));
        Ok(codes.collect())
    }

    /// Lets a shop answer web orders by itself.
    pub(super) async fn answers_alone(
        &self,
        shop: &str,
        programs: &Programs,
    ) -> Result<(), DemoError> {
        let args = ["shop", "set", shop, "--holds", "auto"];
        programs.run(PROGRAM, &self.data, &args).await?.ok()?;
        Ok(())
    }

    /// Says who looks after which shops.
    pub(super) async fn share_out(&self, programs: &Programs) -> Result<(), DemoError> {
        for (person, shops) in PEOPLE {
            let mut args = vec!["alert", "owner", "add", "--person", person];
            args.extend(shops.iter().flat_map(|shops| ["--shop", shops]));
            programs.run(PROGRAM, &self.data, &args).await?.ok()?;
        }
        Ok(())
    }

    /// Imports the catalogue, prices and aliases.
    pub(super) async fn import(&self, programs: &Programs) -> Result<(), DemoError> {
        let mut args = vec!["import".to_owned()];
        for (path, bytes) in CATALOGUE {
            let file = programs.logs.join(path.replace("catalogue/", ""));
            std::fs::write(&file, bytes).map_err(DemoError::file("write", &file))?;
            args.push(file.to_string_lossy().into_owned());
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        programs.run(PROGRAM, &self.data, &args).await?.ok()?;
        Ok(())
    }
}
